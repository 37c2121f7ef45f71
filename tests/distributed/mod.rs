//! The program over a plain server that says that its tables are distributed (`support::pretended`). The tables equal the tenant, and no
//! statement is of a form that Citus refuses. `script/test --distributed` runs other tests over a real cluster.

mod rules;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use simulated_tenant::settings::AuditOrder;
use tokio::process::Command;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::history::assert_history;
use crate::support::pretended::{self, VARIABLE, pretend};
use crate::support::program::Program;
use crate::support::truth::{assert_equal, assert_profiles_equal};
use crate::support::{Scene, scene_in, small};

/// Precedes each entry of the server's log; the name of the session follows.
const ENTRY: &str = "@@@entry ";

/// A database on a server of its own, which logs each statement.
async fn logging(cluster: &Cluster) -> Database {
    let database = Database::on(cluster).await;
    // The server is started without these messages, which a database's own setting overrules.
    for setting in [
        "log_statement = 'all'",
        "log_min_messages = 'log'",
        "log_parameter_max_length = 0",
        "log_error_verbosity = 'terse'",
    ] {
        let name = &database.name;
        database
            .run(&format!("alter database {name} set {setting}"))
            .await;
    }
    database
        .run(&format!("alter system set log_line_prefix = '{ENTRY}%a '"))
        .await;
    database.run("select pg_reload_conf()").await;
    Program::new("http://127.0.0.1:9", &database.url)
        .expect(0, &["migrate"])
        .await;
    pretend(&database).await;
    database
}

/// The texts that sessions of the program ran, each once, without the names of prepared statements.
fn statements(log: &str) -> Vec<String> {
    let entries = log.split(ENTRY).filter_map(|entry| {
        let (_, said) = entry.strip_prefix("blueconic-sync ")?.split_once(" LOG:  ")?;
        let text = said.strip_prefix("statement: ").or_else(|| {
            let (_, text) = said.strip_prefix("execute ")?.split_once(": ")?;
            Some(text)
        })?;
        Some(text.trim().to_owned())
    });
    entries
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// A full load with everything that is recorded and read by profile, changes, merges, a sweep, an erasure, and that it was lifted.
#[tokio::test(flavor = "multi_thread")]
async fn everything_equals_the_tenant_and_no_statement_is_refused() {
    let cluster = tokio::task::block_in_place(Cluster::start);
    let database = logging(&cluster).await;
    let tables: rules::Tables = pretended::tables(&database).await.into_iter().collect();
    let before = cluster.log().len();
    let Scene {
        tenant,
        database,
        program,
    } = scene_in(
        database,
        simulated_tenant::settings::Settings {
            audit_order: AuditOrder::OldestFirst,
            ..small(600)
        },
    )
    .await;
    let property = tenant.properties()[0].id.clone();
    let program = program
        .set("resources.profiles.history.segments", "true")
        .set("resources.profiles.history.consent", "true")
        .set("resources.profiles.history.lifecycle_stages", "true")
        .set("resources.profiles.history.properties", &property)
        .set("resources.profiles.lifecycle_stages", "with_profiles")
        .set("resources.profiles.groups", "with_profiles")
        .set("resources.profiles.timeline", "with_profiles")
        .set("changes.enabled", "true");
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(&database, &tenant).await;
    program.expect(0, &["backfill", "--full"]).await;
    tenant.advance(Duration::from_mins(1));
    for position in 0..40 {
        tenant.touch(position, "name", &["Somebody else"]);
    }
    for loser in 50..60 {
        assert!(tenant.merge(loser, 70));
    }
    program.expect(0, &["backfill"]).await;
    for position in 80..90 {
        assert!(tenant.delete(position));
    }
    program.expect(0, &["backfill", "--full"]).await;
    assert_equal(&database, &tenant).await;
    assert_history(&database).await;
    let person = tenant.id(100);
    program.expect(0, &["erase", "--yes", &person]).await;
    program.expect(0, &["backfill", "--full"]).await;
    program.expect(0, &["erase", "--lift", "--yes", &person]).await;
    program.expect(0, &["backfill", "--full"]).await;
    assert_profiles_equal(&database, &tenant).await;
    program.expect(0, &["backfill", "--verify"]).await;
    program.expect(0, &["status", "--json"]).await;

    let mut broken: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut unread = Vec::new();
    let mut read = 0;
    for text in statements(&cluster.log()[before..]) {
        match rules::broken(&text, &tables) {
            Ok(rules) if rules.is_empty() => read += 1,
            Ok(rules) => drop(broken.insert(text, rules)),
            // The parser lacks a few forms of PostgreSQL (`for key share`, `drop index concurrently if exists`).
            Err(error) if names_one(&text, &tables) => unread.push(format!("{error}: {text}")),
            Err(_) => {}
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(unread.is_empty(), "{read} were read, not these: {unread:#?}");
    assert!(read > 200, "only {read} statements were read");
}

/// Whether a text has the name of a distributed table in it.
fn names_one(text: &str, tables: &rules::Tables) -> bool {
    let text = text.replace('"', "");
    tables.keys().any(|name| {
        let mut after = text
            .match_indices(name.as_str())
            .map(|(at, _)| &text[at + name.len()..]);
        after.any(|rest| !rest.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '_'))
    })
}

/// Runs tests of this binary once more in a process whose databases pretend.
async fn pass_again(tests: &[&str]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(tests)
        .arg("--test-threads=2")
        .env(VARIABLE, "1")
        .env_remove("CITUS_URL")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}");
    assert!(!said.contains(" 0 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tests_of_loads_merges_and_erasures_pass_in_these_forms() {
    pass_again(&[
        "history::leaving::",
        "increments::",
        "merges_are_guarded::",
        "sweeps::",
        "erase::gone_everywhere",
        "erase::lifted_they_come_back",
        "erase::later_merges",
    ])
    .await;
}
