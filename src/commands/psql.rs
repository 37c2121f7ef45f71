//! `psql`: opens psql on the configured database. The password goes through the environment, never a command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use embedded_postgres::{Cluster, is_made};
use percent_encoding::percent_decode_str;
use tokio::process::Command;
use url::Url;

use crate::app::{self, Database};
use crate::cli::Psql;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::postgres::{address, embedded};

use super::{child_environment, output};

/// The search path for analysts. PostgreSQL's own names come first. `public` is left out: in many databases everybody
/// may create a better matching function there.
const SEARCH_PATH: &str = "-c search_path=blueconic,pg_temp";

/// Runs the command.
pub async fn run(arguments: &Psql, settings: &Settings) -> Outcome<Exit> {
    if !settings.database.is_embedded() && !arguments.demo {
        let variables = variables(settings.database.url.expose());
        return psql(Path::new("psql"), &variables, &arguments.args).await;
    }
    let database = embedded(arguments, settings).await?;
    let Some(cluster) = database.embedded() else {
        return Err(Fault::new(Kind::Final, "the embedded cluster is gone"));
    };
    let (program, variables) = (cluster.bin_dir().join("psql"), variables(&cluster.url()));
    let outcome = psql(&program, &variables, &arguments.args).await;
    database.close().await?;
    outcome
}

/// The configured cluster, or the demo's if it was requested or is the only one.
async fn embedded(arguments: &Psql, settings: &Settings) -> Outcome<Database> {
    let own = app::data_dir(settings)?;
    let demo = demo_dir(settings)?;
    if arguments.demo || (!is_made(&own) && is_made(&demo)) {
        if !is_made(&demo) {
            return Err(Fault::new(Kind::Final, "there is no demo to look at")
                .because(format!("there is no cluster in {}", demo.display()))
                .hint("run `blueconic-sync demo --keep` first"));
        }
        output::note("(the demo's database)");
        let cluster = Cluster::start(&embedded::CONFIG, &demo)
            .await
            .map_err(|error| app::embedded_fault(&error))?;
        return Database::of_embedded(cluster);
    }
    Database::open(settings).await
}

/// The directory of a kept demo: beside the real cluster, never in it.
pub(super) fn demo_dir(settings: &Settings) -> Outcome<PathBuf> {
    let own = app::data_dir(settings)?;
    let name = own.file_name().map_or_else(
        || "blueconic-sync".into(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(own.with_file_name(format!("{name}-demo")))
}

/// libpq's variables for a connection string.
fn variables(url: &str) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![("PGAPPNAME", OsString::from("blueconic-sync psql"))];
    // Options of the address come later and override these.
    let mut options = SEARCH_PATH.to_owned();
    let Ok(url) = Url::parse(url) else {
        variables.push(("PGOPTIONS", options.into()));
        return variables;
    };
    let decoded = |text: &str| OsString::from_vec(percent_decode_str(text).collect());
    let mut put = |name, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            variables.push((name, decoded(value)));
        }
    };
    let host = url.host_str();
    put("PGHOST", host.and_then(address::unbracketed).or(host));
    put("PGUSER", Some(url.username()));
    put("PGPASSWORD", url.password());
    put("PGDATABASE", url.path().strip_prefix('/'));
    variables.extend(url.port().map(|port| ("PGPORT", port.to_string().into())));
    let has_mode = url
        .query_pairs()
        .any(|(key, _)| matches!(&*key, "sslmode" | "ssl-mode"));
    for (key, value) in url.query_pairs() {
        let name = match key.as_ref() {
            "options" => {
                options = format!("{options} {value}");
                continue;
            }
            name if name.starts_with("options[") => {
                let name = name.trim_start_matches("options[").trim_end_matches(']');
                options = format!("{options} -c {name}={}", escaped(&value));
                continue;
            }
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" if address::is_system(&value) => {
                // Only psql 16 or newer supports this value.
                variables
                    .extend(address::system_roots().map(|file| ("PGSSLROOTCERT", file.into_os_string())));
                if !has_mode {
                    variables.push(("PGSSLMODE", "verify-full".into()));
                }
                continue;
            }
            "host" | "hostaddr" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            "application_name" => "PGAPPNAME",
            _ => continue,
        };
        variables.push((name, value.into_owned().into()));
    }
    variables.push(("PGOPTIONS", options.into()));
    variables
}

/// A value within `PGOPTIONS`: a backslash keeps a blank.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\ ")
}

async fn psql(
    program: &Path,
    variables: &[(&'static str, OsString)],
    arguments: &[OsString],
) -> Outcome<Exit> {
    // psql handles Ctrl-C by cancelling the query, and this process must not end before psql.
    let ignored = tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let mut command = Command::new(program);
    child_environment::without_ours(command.as_std_mut());
    let status = command
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::inherit())
        .status()
        .await;
    ignored.abort();
    match status {
        Ok(status) if status.success() => Ok(Exit::Done),
        // psql has printed the error on stderr.
        Ok(_) => Ok(Exit::Failed),
        Err(error) => Err(not_started(program, &error)),
    }
}

fn not_started(program: &Path, error: &std::io::Error) -> Fault {
    Fault::new(Kind::Final, format!("`{}` cannot be started", program.display()))
        .because(error)
        .hint("install PostgreSQL's client (Debian, Ubuntu: apt-get install postgresql-client), or use any other with your DATABASE_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_becomes_libpqs_variables() {
        let found = variables("postgres://us%40er:p%2Bw+d&e@db.example:5433/my%20db?sslmode=require");
        let value = |name: &str| {
            found
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_string_lossy().into_owned())
        };
        assert_eq!(value("PGHOST").as_deref(), Some("db.example"));
        assert_eq!(value("PGPORT").as_deref(), Some("5433"));
        assert_eq!(value("PGUSER").as_deref(), Some("us@er"));
        assert_eq!(value("PGPASSWORD").as_deref(), Some("p+w+d&e"));
        assert_eq!(value("PGDATABASE").as_deref(), Some("my db"));
        assert_eq!(value("PGSSLMODE").as_deref(), Some("require"));
        let socket = variables("postgres:///blueconic?host=%2Ftmp%2Fx&port=5432&user=u&sslmode=disable");
        assert!(socket.contains(&("PGHOST", "/tmp/x".into())));
    }

    #[test]
    fn options_and_an_address_of_ipv6_reach_psql() {
        let found = variables(
            "postgres://u@[::1]:5433/d?options=-c%20work_mem%3D8MB&options[application_name]=a%20b",
        );
        assert!(found.contains(&("PGHOST", "::1".into())));
        let options = "-c search_path=blueconic,pg_temp -c work_mem=8MB -c application_name=a\\ b";
        assert!(found.contains(&("PGOPTIONS", options.into())), "{found:?}");
    }
}
