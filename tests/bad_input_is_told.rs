//! Whatever is wrong outside is told: what failed, why, what to do, with the exit code of the contract.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::tenant::Tenant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::truth::{assert_equal, assert_events_equal, assert_lists_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

const READABLE: [&str; 4] = [
    "read:segments",
    "read:profiles",
    "read:profile-properties",
    "read:audit-events",
];

fn without(tenant: &Tenant, scope: &str) {
    let scopes = READABLE.iter().filter(|other| **other != scope);
    tenant.set_scopes(&scopes.map(|scope| (*scope).to_owned()).collect::<Vec<_>>());
}

/// A program whose tenant nobody should ask: nothing listens there.
fn astray() -> Program {
    Program::new("http://127.0.0.1:9", "postgres://u@127.0.0.1:9/x")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_once_and_never_tried_again() {
    let Scene {
        tenant,
        database: _database,
        program,
    } = scene(small(10)).await;
    let wrong = program.with("BLUECONIC_CLIENT_SECRET", "wr0ng-secret");
    for command in ["backfill", "check"] {
        tenant.requests().forget();
        let ended = wrong.expect(1, &[command]).await;
        let told = format!("{}{}", ended.stdout, ended.stderr);
        for word in [
            "invalid_client",
            "Client authentication failed",
            "BLUECONIC_CLIENT_SECRET",
        ] {
            assert!(told.contains(word), "`{word}` is not in:\n{told}");
        }
        assert!(!told.contains("wr0ng-secret"));
        assert_eq!(tenant.requests().all().len(), 1, "{:?}", tenant.requests().all());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_database_is_told_with_its_address_and_without_its_password() {
    let program = astray().with("DATABASE_URL", "postgres://someone:hunter2@127.0.0.1:9/warehouse");
    for command in [
        &["backfill"][..],
        &["status"],
        &["migrate"],
        &["reset", "profiles", "--yes"],
        &["serve", "--bind", "127.0.0.1:0"],
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
async fn a_database_or_a_password_that_is_wrong_is_told_apart() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_resource_is_named_with_its_scope_and_the_others_are_synced() {
    for status in [403, 401] {
        let Scene {
            tenant,
            database,
            program,
        } = scene(simulated_tenant::settings::Settings {
            missing_scope: status,
            ..small(60)
        })
        .await;
        without(&tenant, "read:audit-events");
        program
            .expect(3, &["backfill"])
            .await
            .tells(&["audit_events", "read:audit-events"]);
        assert_lists_equal(&database, &tenant).await;
        assert_profiles_equal(&database, &tenant).await;
        let runs: Vec<(String, String, Option<String>)> = database
            .rows("select resource, status, error from sync.runs order by resource")
            .await;
        for (resource, status, error) in runs {
            if resource == "audit_events" {
                assert_eq!(status, "failed");
                assert!(error.unwrap().contains("read:audit-events"));
            } else {
                assert_eq!((status.as_str(), error), ("succeeded", None), "{resource}");
            }
        }
        let checked = program.expect(3, &["check"]).await;
        assert!(
            checked.stdout.contains("denied") && checked.stdout.contains("read:audit-events"),
            "{}",
            checked.stdout
        );
        tenant.set_scopes(&READABLE.map(str::to_owned));
        program.expect(0, &["backfill"]).await;
        assert_events_equal(&database, &tenant).await;
        program.expect(0, &["check"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_segments_scope_denies_profiles_too_and_all_denied_is_three() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(20)).await;
    tenant.set_scopes(&[]);
    let ended = program.expect(3, &["backfill"]).await;
    ended.tells(&["read:segments", "read:profile-properties", "read:audit-events"]);
    assert_eq!(
        database
            .count("sync.runs where status = 'failed' and error like '%read:%'")
            .await,
        4
    );
}

/// A hash over the rows of every table.
async fn state(database: &Database) -> Vec<(String, Option<String>)> {
    let tables = database
        .texts(
            "select format('%I.%I', nspname, relname)
             from pg_class join pg_namespace as s on s.oid = relnamespace
             where nspname in ('blueconic', 'sync') and relkind = 'r'
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
    } = scene(small(20)).await;
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
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(
            told.contains(tenant.url()) && told.contains("reset tenant"),
            "{command:?}: {told}"
        );
    }
    assert!(other.requests().all().is_empty(), "{:?}", other.requests().all());
    assert_eq!(state(&database).await, before);
    wrong.expect(0, &["reset", "tenant", "--yes"]).await;
    wrong.expect(0, &["backfill", "segments"]).await;
    assert!(other.requests().count(Route::Segments) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_elements_are_kept_with_their_reasons_until_they_load() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(200)).await;
    let program = program
        .set("resources.profiles.page_size", "50")
        .set("limits.element_size", "32KiB");
    tenant.insert_raw(3, r#"{"id":"broken","properties":[{"id":"a","values":[tru]}]}"#);
    tenant.insert_raw(
        60,
        format!(
            r#"{{"id":"large","properties":[{{"id":"a","values":["{}"]}}]}}"#,
            "x".repeat(40_000)
        ),
    );
    tenant.insert_raw(61, r#"{"properties":[{"id":"a","values":["1"]}]}"#);
    tenant.insert_raw(120, r#"{"id":"shape","properties":"none"}"#);
    let ended = program.expect(3, &["backfill", "--full"]).await;
    ended.tells(&["sync.rejects"]);
    let rejects: Vec<(Option<String>, String, i64)> = database
        .rows("select element_id, reason, raw_bytes from sync.rejects where resolved_at is null order by reason")
        .await;
    let reasons: Vec<(Option<&str>, &str)> = rejects
        .iter()
        .map(|(id, reason, _)| (id.as_deref(), reason.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (None, "no_id"),
            (Some("broken"), "not_json"),
            (Some("large"), "too_large"),
            (Some("shape"), "wrong_shape"),
        ]
    );
    assert!(rejects[2].2 > 40_000, "the whole length is told");
    let (status, rejected): (String, i64) = database
        .rows("select status, rows_rejected from sync.runs where resource = 'profiles'")
        .await
        .remove(0);
    assert_eq!((status.as_str(), rejected), ("partial", 4));
    assert_equal(&database, &tenant).await;
    // Again: no second row for the same trouble.
    program.expect(3, &["backfill", "--full"]).await;
    assert_eq!(database.count("sync.rejects").await, 4);
    // Repaired at the tenant.
    tenant.list_truly();
    tenant.insert_raw(3, r#"{"id":"broken","properties":[{"id":"a","values":["1"]}]}"#);
    tenant.insert_raw(60, r#"{"id":"large","properties":[{"id":"a","values":["1"]}]}"#);
    tenant.insert_raw(120, r#"{"id":"shape","properties":[]}"#);
    program.expect(0, &["backfill", "--full"]).await;
    assert_eq!(
        database
            .texts("select element_id from sync.rejects where resolved_at is not null order by 1")
            .await,
        ["broken", "large", "shape"]
    );
    assert_eq!(
        database
            .count("blueconic.profiles where id in ('broken', 'large', 'shape')")
            .await,
        3
    );
}

/// Lists cannot be asked for by id: what cannot be recognized today must not be removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_cannot_be_read_keeps_its_row() {
    let listing = |second: &str| {
        format!(r#"{{"startIndex":0,"totalResults":2,"segments":[{{"id":"one","name":"One"}},{second}]}}"#)
    };
    let body = Arc::new(Mutex::new(listing(r#"{"id":"two","name":"Two"}"#)));
    let served = Arc::clone(&body);
    let json = |text: String| ([("content-type", "application/json")], text);
    let token = json(r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#.to_owned());
    let router = axum::Router::new()
        .route("/rest/v2/oauth/token", axum::routing::post(async move || token))
        .route(
            "/rest/v2/segments",
            axum::routing::get(async move || json(served.lock().unwrap().clone())),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let database = Database::empty().await;
    let program = Program::new(&url, &database.url);
    program.expect(0, &["backfill", "segments"]).await;
    for (second, code) in [
        (r#"{"name":tru,"id":"two"}"#, 3),
        (r#"{"id":"two","name":tru}"#, 3),
        (r#"{"id":"three","name":"Three"}"#, 0),
    ] {
        *body.lock().unwrap() = listing(second);
        program.expect(code, &["backfill", "segments"]).await;
        let left = database
            .texts("select id from blueconic.segments order by id")
            .await;
        let expected = if code == 0 {
            ["one", "three"]
        } else {
            ["one", "two"]
        };
        assert_eq!(left, expected, "{second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn html_in_place_of_json_passes_or_is_told() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(50)).await;
    tenant
        .faults()
        .push(Fault::at(Route::Segments, When::Request(1), Kind::Html));
    program.expect(0, &["backfill"]).await;
    assert_equal(&database, &tenant).await;
    tenant.faults().clear();
    tenant
        .faults()
        .push(Fault::at(Route::ProfileProperties, When::Always, Kind::Html));
    let ended = program
        .set("retry.give_up_after", "2s")
        .expect(1, &["backfill", "profile_properties"])
        .await;
    ended.tells(&["profile_properties", "BLUECONIC_URL"]);
    assert_equal(&database, &tenant).await;
}

/// A redirect is followed by nobody: it would carry the secret elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/rest/v2/oauth/token", elsewhere.local_addr().unwrap());
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _read = socket.read(&mut request).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let database = Database::empty().await;
    Program::new(&url, &database.url)
        .expect(2, &["backfill"])
        .await
        .tells(&["302", "BLUECONIC_URL"]);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
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
