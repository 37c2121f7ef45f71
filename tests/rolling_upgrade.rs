//! An upgrade while the service works: a replica of the former version goes on beside the schema of the next one, and a process of the
//! former version that starts then says what is wrong.

use std::time::Duration;

use blueconic_sync::postgres::migration_steps;
use nix::sys::signal::Signal;
use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType};

use crate::support::database::Database;
use crate::support::program::LONG;
use crate::support::truth::{assert_events_equal, assert_profiles_equal};
use crate::support::{Scene, eventually, scene, small};

/// What the migrations of a next version may do: see 'Migrations' in CONTRIBUTING.md.
const NEXT: &str = "
alter table blueconic.profiles add column of_the_next_version text;
alter table blueconic.segments add column of_the_next_version boolean not null default false;
alter table sync.runs add column of_the_next_version bigint not null default 0;
alter table sync.cursors add column of_the_next_version jsonb;
alter table sync.leases add column of_the_next_version text;
create table sync.of_the_next_version (id bigint primary key);
create index of_the_next_version on blueconic.profiles (modified_at);";

/// What `migrate` of the next version does where tables are distributed.
async fn upgrade(database: &Database) {
    let next = SqlStr::from_static(NEXT);
    let next = Migration::new(9999, "next".into(), MigrationType::Simple, next, false);
    let mut connection = database.pool.acquire().await.unwrap();
    migration_steps::apply(&mut connection, &next).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_the_former_version_works_on_beside_a_newer_schema() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(300)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let settings = |overlap: &str| {
        format!(
            "[schedule]\nheartbeat = \"1s\"\n[resources.segments]\nschedule = \"* * * * * *\"\n\
             [resources.profiles]\nschedule = \"* * * * * *\"\nfull_schedule = \"*/3 * * * * *\"\noverlap = \"{overlap}\"\n"
        )
    };
    std::fs::write(&file, settings("2s")).unwrap();
    let serve = [
        "--config",
        file.to_str().unwrap(),
        "serve",
        "--bind",
        "127.0.0.1:0",
    ];
    let mut running = program.start(&serve);
    let full = "sync.runs where resource = 'profiles' and mode = 'full' and status = 'succeeded'";
    let walks = async |more: i64, running: &mut crate::support::program::Running| {
        let before = database.count(full).await;
        eventually("full walks end", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            (database.count(full).await >= before + more).then_some(())
        })
        .await;
    };
    walks(1, &mut running).await;

    // The tables change while rows are written.
    tenant.add_profiles(40);
    upgrade(&database).await;
    tenant.touch(17, "name", &["Touched"]);
    let last = tenant.id(tenant.add_profiles(2) + 1);
    eventually("what changed has come", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (database
            .count(&format!("blueconic.profiles where id = '{last}'"))
            .await
            == 1)
            .then_some(())
    })
    .await;
    walks(2, &mut running).await;

    // Other settings would be a start with the former version.
    std::fs::write(&file, settings("3s")).unwrap();
    running.signal(Signal::SIGHUP);
    eventually("the former settings stay", LONG, async || {
        let said = running.stderr();
        (said.contains("the former settings stay") && said.contains("is newer than this program"))
            .then_some(())
    })
    .await;
    walks(1, &mut running).await;
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
    let bad = database
        .texts("select resource || ' ' || status || ': ' || coalesce(error, '') from sync.runs where status not in ('succeeded', 'interrupted', 'skipped')")
        .await;
    assert_eq!(bad, [""; 0]);
    assert_profiles_equal(&database, &tenant).await;
    assert_events_equal(&database, &tenant).await;

    let before = database.count("sync.runs").await;
    for command in [
        &["serve", "--bind", "127.0.0.1:0"][..],
        &["backfill"],
        &["migrate"],
        &["check"],
    ] {
        let ended = program.expect(2, command).await;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(
            said.contains("the database's schema (9999) is newer than this program")
                && said.contains("or a newer one"),
            "{command:?}: {said}"
        );
    }
    assert_eq!(database.count("sync.runs").await, before);
}
