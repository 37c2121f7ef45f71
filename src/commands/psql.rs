//! `psql`: opens psql on the configured database. The password goes through the environment, never a command line.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use url::Url;

use crate::app::{self, Database};
use crate::cli::Psql;
use crate::commands::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::postgres::embedded::{Embedded, is_made};

use super::{demo, output};

/// What an analyst wants to name without its schema.
const SEARCH_PATH: &str = "-c search_path=blueconic,public";

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

/// The configured cluster; or what the demo left behind, where that was asked for or is all that there is.
async fn embedded(arguments: &Psql, settings: &Settings) -> Outcome<Database> {
    let own = app::data_dir(settings)?;
    let demo = demo::data_dir(settings)?;
    if arguments.demo || (!is_made(&own) && is_made(&demo)) {
        if !is_made(&demo) {
            return Err(Fault::new(Kind::Final, "there is no demo to look at")
                .because(format!("there is no cluster in {}", demo.display()))
                .hint("run `blueconic-sync demo --keep` first"));
        }
        output::aside("(the demo's database)");
        let cluster = Embedded::start(&demo)
            .await
            .map_err(|error| app::embedded_fault(&error))?;
        return Database::of_embedded(cluster);
    }
    Database::open(settings).await
}

/// libpq's variables for a connection string.
fn variables(url: &str) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![
        ("PGOPTIONS", OsString::from(SEARCH_PATH)),
        ("PGAPPNAME", "blueconic-sync psql".into()),
    ];
    let Ok(url) = Url::parse(url) else {
        return variables;
    };
    let decoded = |text: &str| -> OsString {
        url::form_urlencoded::parse(format!("v={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map_or_else(|| text.into(), |(_, value)| value.into_owned().into())
    };
    let mut put = |name, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            variables.push((name, decoded(value)));
        }
    };
    put("PGHOST", url.host_str());
    put("PGUSER", Some(url.username()));
    put("PGPASSWORD", url.password());
    put("PGDATABASE", url.path().strip_prefix('/'));
    variables.extend(url.port().map(|port| ("PGPORT", port.to_string().into())));
    for (key, value) in url.query_pairs() {
        let name = match key.as_ref() {
            "host" | "hostaddr" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            _ => continue,
        };
        variables.push((name, value.into_owned().into()));
    }
    variables
}

async fn psql(
    program: &Path,
    variables: &[(&'static str, OsString)],
    arguments: &[OsString],
) -> Outcome<Exit> {
    // psql handles Ctrl-C itself: it cancels the query. This process must outlive it all the same.
    let ignored = tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::inherit())
        .status()
        .await;
    ignored.abort();
    match status {
        Ok(status) if status.success() => Ok(Exit::Done),
        // psql has said on stderr what was wrong.
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
        let found = variables("postgres://us%40er:p%2Bw+d@db.example:5433/my%20db?sslmode=require");
        let value = |name: &str| {
            found
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_string_lossy().into_owned())
        };
        assert_eq!(value("PGHOST").as_deref(), Some("db.example"));
        assert_eq!(value("PGPORT").as_deref(), Some("5433"));
        assert_eq!(value("PGUSER").as_deref(), Some("us@er"));
        assert_eq!(value("PGPASSWORD").as_deref(), Some("p+w+d"));
        assert_eq!(value("PGDATABASE").as_deref(), Some("my db"));
        assert_eq!(value("PGSSLMODE").as_deref(), Some("require"));
        let socket = variables("postgres:///blueconic?host=%2Ftmp%2Fx&port=5432&user=u&sslmode=disable");
        assert!(socket.contains(&("PGHOST", "/tmp/x".into())));
    }
}
