//! Whatever is wrong in what we are given is told: what failed, why, what to do, with the exit code of the contract.

use std::time::Duration;

use simulated_tenant::faults::{Fault, Kind, Route, When};

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::{Scene, scene, scene_in, small};

/// A program whose tenant nobody should ask: nothing listens there.
fn astray() -> Program {
    Program::new("http://127.0.0.1:9", "postgres://u@127.0.0.1:9/x")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_reported_once_and_never_tried_again() {
    let Scene {
        tenant,
        database: _database,
        program,
    } = scene(small(10)).await;
    let wrong = program.with("BLUECONIC_CLIENT_SECRET", "wr0ng-secret");
    for command in ["backfill", "check"] {
        tenant.requests().forget();
        let ended = wrong.expect(1, &[command]).await;
        let reported = format!("{}{}", ended.stdout, ended.stderr);
        for word in [
            "invalid_client",
            "Client authentication failed",
            "BLUECONIC_CLIENT_SECRET",
        ] {
            assert!(reported.contains(word), "`{word}` is not in:\n{reported}");
        }
        assert!(!reported.contains("wr0ng-secret"));
        assert_eq!(tenant.requests().all().len(), 1, "{:?}", tenant.requests().all());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_database_is_reported_with_its_address_and_without_its_password() {
    let program = astray().with("DATABASE_URL", "postgres://someone:hunter2@127.0.0.1:9/warehouse");
    for command in [
        &["backfill"][..],
        &["status"],
        &["migrate"],
        &["reset", "profiles", "--yes"],
        &["pause", "profiles"],
        &["resume", "profiles"],
        &["run-now", "profiles"],
    ] {
        let ended = program.expect(1, command).await;
        ended.tells(&["127.0.0.1:9", "start PostgreSQL", "DATABASE_URL"]);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        assert!(
            ended.took < Duration::from_secs(20),
            "{command:?} took {:?}",
            ended.took
        );
    }
    let checked = program.expect(1, &["check"]).await;
    assert!(checked.stdout.contains("127.0.0.1:9"), "{}", checked.stdout);
    assert!(!format!("{checked:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_or_a_password_that_is_wrong_is_distinguished() {
    let Scene {
        database, program, ..
    } = scene(small(1)).await;
    let missing = database.url.replace("/it_", "/no_such_");
    let ended = program
        .with("DATABASE_URL", &missing)
        .expect(1, &["backfill"])
        .await;
    ended.tells(&["does not exist", "createdb"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_and_usage_end_in_two() {
    astray()
        .set("limits.burts", "3")
        .expect(2, &["check"])
        .await
        .tells(&["BLUECONIC_SYNC__LIMITS__BURTS", "BLUECONIC_SYNC__LIMITS__BURST"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "[resources.profiles]\npagesize = 5\n").unwrap();
    astray()
        .expect(2, &["--config", file.to_str().unwrap(), "status"])
        .await
        .tells(&["resources.profiles.pagesize", "resources.profiles.page_size"]);
    astray()
        .with("BLUECONIC_URL", "http://example.com")
        .expect(2, &["backfill"])
        .await
        .tells(&["https"]);
    astray()
        .without("BLUECONIC_URL")
        .expect(2, &["backfill"])
        .await
        .tells(&["BLUECONIC_URL"]);
    astray()
        .without("BLUECONIC_CLIENT_SECRET")
        .expect(2, &["backfill"])
        .await
        .tells(&["BLUECONIC_CLIENT_SECRET"]);
    for usage in [
        &["backfill", "--full", "--since", "2026-01-01T00:00:00Z"][..],
        &["backfill", "profile"],
        &["backfill", "--since", "yesterday"],
        &["reset", "everything", "--yes"],
        &["synchronise"],
        &[],
    ] {
        astray().expect(2, usage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_without_a_person_wants_yes() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(10)).await;
    program.expect(0, &["backfill"]).await;
    let cursors = database.count("sync.cursors").await;
    program.expect(2, &["reset", "profiles"]).await.tells(&["--yes"]);
    assert_eq!(database.count("sync.cursors").await, cursors);
    program.expect(0, &["reset", "profiles", "--yes"]).await;
    assert_eq!(
        database.count("sync.cursors where resource = 'profiles'").await,
        0
    );
    assert_eq!(
        database.count("blueconic.profiles").await,
        10,
        "no data is deleted"
    );
}

/// A hash over the rows of every table but the ledger of usage, to which every process adds what it sent.
async fn state(database: &Database) -> Vec<(String, Option<String>)> {
    let tables = database
        .texts(
            "select format('%I.%I', nspname, relname)
             from pg_class join pg_namespace as s on s.oid = relnamespace
             where nspname in ('blueconic', 'sync') and relkind = 'r' and relname <> 'usage'
             order by 1",
        )
        .await;
    let mut state = Vec::new();
    for table in tables {
        let hash = format!("select md5(string_agg(t::text, ',' order by t::text)) from {table} as t");
        state.push((table, database.one(&hash).await));
    }
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn check_changes_nothing() {
    let Scene {
        tenant,
        database,
        program,
    } = scene_in(Database::bare().await, small(20)).await;
    let fresh = program.expect(0, &["check"]).await;
    fresh.tells(&["blueconic-sync migrate"]);
    assert_eq!(
        database
            .count("pg_namespace where nspname in ('blueconic', 'sync')")
            .await,
        0,
        "check migrates nothing"
    );
    program.expect(0, &["backfill"]).await;
    let before = state(&database).await;
    assert!(before.len() > 5);
    let checked = program.expect(0, &["check"]).await;
    for word in [
        "settings",
        "database",
        "token",
        "segments",
        "profile_properties",
        "profiles",
        "audit_events",
    ] {
        assert!(
            checked.stdout.contains(word),
            "`{word}` is not in:\n{}",
            checked.stdout
        );
    }
    assert_eq!(state(&database).await, before);
    tenant.stop().await;
    let away = program
        .set("retry.give_up_after", "500ms")
        .expect(1, &["check"])
        .await;
    assert!(away.stdout.contains("unreachable"), "{}", away.stdout);
    assert_eq!(state(&database).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_database_is_refused_before_any_request() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(20)).await;
    program.expect(0, &["backfill"]).await;
    let other = simulated_tenant::tenant::start(small(20)).await.unwrap();
    let wrong = program.with("BLUECONIC_URL", other.url());
    let before = state(&database).await;
    for command in [
        &["backfill"][..],
        &["backfill", "--full", "segments"],
        &["check"],
        &["serve", "--bind", "127.0.0.1:0"],
    ] {
        let ended = wrong.expect(2, command).await;
        let reported = format!("{}{}", ended.stdout, ended.stderr);
        assert!(
            reported.contains(tenant.url()) && reported.contains("reset tenant"),
            "{command:?}: {reported}"
        );
    }
    assert!(other.requests().all().is_empty(), "{:?}", other.requests().all());
    assert_eq!(state(&database).await, before);
    wrong.expect(0, &["reset", "tenant", "--yes"]).await;
    wrong.expect(0, &["backfill", "segments"]).await;
    assert!(other.requests().count(Route::Segments) > 0);
}

/// Also where everything is logged.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_logged() {
    let Scene {
        tenant,
        database: _database,
        program,
    } = scene(small(50)).await;
    tenant
        .faults()
        .push(Fault::at(Route::Profiles, When::Request(2), Kind::TokensDie));
    let ended = program
        .with("RUST_LOG", "trace")
        .set("resources.profiles.page_size", "20")
        .expect(0, &["backfill", "--full"])
        .await;
    assert!(ended.stderr.len() > 1_000, "little was logged");
    for secret in ["simulated-secret", "Bearer ", "bearer "] {
        assert!(!ended.stderr.contains(secret), "`{secret}` was logged");
    }
}
