//! Whatever is wrong in the tenant's answers is told, and costs no more than what is wrong: scopes that are denied, elements and
//! pages that are none.

use blueconic_sync::model::description::{Description, List};
use blueconic_sync::resources::registry::RESOURCES;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use simulated_tenant::faults::{Fault, Kind, Route, When};
use simulated_tenant::tenant::Tenant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::registry::{by_default, scopes};
use crate::support::truth::{assert_equal, assert_events_equal, assert_lists_equal, assert_profiles_equal};
use crate::support::{Scene, scene, small};

fn without(tenant: &Tenant, scope: &str) {
    let mut scopes = scopes();
    scopes.retain(|other| other != scope);
    tenant.set_scopes(&scopes);
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
        tenant.set_scopes(&scopes());
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
    // Optional lists are skipped, and those with listings for each row of another one without a request.
    let (optional, needed): (Vec<&Description>, Vec<&Description>) =
        by_default().partition(|one| one.as_list().is_some_and(|list| list.optional));
    for (status, count) in [("failed", needed.len()), ("skipped", optional.len())] {
        let runs = format!(
            "sync.runs where status = '{status}' and (error like '%read:%' or error like '%for each row%')"
        );
        assert_eq!(
            database.count(&runs).await,
            i64::try_from(count).unwrap(),
            "{status}"
        );
    }
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
    assert!(rejects[2].2 > 40_000, "the whole length is reported");
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
async fn html_in_place_of_json_passes_or_is_reported() {
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
async fn a_redirect_is_reported_and_not_followed() {
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

/// The listing of groups has a scope that the listing of their types does not need, and each URL of a list may be refused for itself.
#[tokio::test(flavor = "multi_thread")]
async fn check_tries_what_follows_from_parents_and_each_url() {
    let Scene {
        tenant,
        database: _database,
        program,
    } = scene(small(20)).await;
    let list = |wanted: fn(&List) -> bool| RESOURCES.lists().find(|(_, list)| wanted(list)).unwrap();
    let (groups, described) = list(|list| list.by_cursor);
    let (types, pages) = (described.parents().unwrap().name, list(List::is_of_urls).0.name());
    let urls = "https://www.example.com/a,https://www.example.com/b";
    let program = program
        .set(&format!("resources.{}.enabled", groups.name()), "true")
        .set(&format!("resources.{pages}.enabled"), "true")
        .set(&format!("resources.{pages}.urls"), urls);
    let checked = program.expect(0, &["check"]).await;
    let line = |text: &str, what: &str| {
        let mut lines = text.lines();
        let found = lines.find(|line| line.split_whitespace().next() == Some(what));
        found.unwrap_or_default().to_owned()
    };
    assert!(
        line(&checked.stdout, groups.name()).contains("scope read:groups"),
        "{}",
        checked.stdout
    );
    assert!(
        line(&checked.stdout, pages).ends_with(", 2 URLs"),
        "{}",
        checked.stdout
    );
    without(&tenant, "read:groups");
    let denied = program.expect(3, &["check"]).await;
    let groups = line(&denied.stdout, groups.name());
    assert!(
        groups.contains("denied") && groups.contains("`read:groups`"),
        "{}",
        denied.stdout
    );
    assert!(line(&denied.stdout, types).contains("ok"), "{}", denied.stdout);
}
