//! The check of a tenant's own document as a user meets it: what it tells, with which exit code, and what the service keeps of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::eventually;
use crate::support::ports::free;
use crate::support::program::{Ended, Program};
use crate::support::scripted::{Asked, Scripted, list, scripted, segments};

/// A document with the lists that the test's settings leave on: segments and audit events.
fn document(release: &str, audit_array: &str) -> Value {
    let texts = |names: &[&str]| -> Value {
        let fields = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({"type": "string"})));
        json!({"type": "object", "properties": fields.collect::<serde_json::Map<_, _>>()})
    };
    let mut segment = texts(&[
        "id",
        "name",
        "description",
        "tags",
        "profileCount",
        "creationDate",
        "lastModifiedDate",
        "inverseOf",
        "inversedBy",
        "canDelete",
    ]);
    segment["properties"]["creator"] = texts(&["userName"]);
    let mut event = texts(&[
        "date",
        "username",
        "application",
        "objectType",
        "operation",
        "ipAddress",
        "objects",
    ]);
    event["properties"]["objectType"]["enum"] = json!(["SEGMENT", "ROBOT"]);
    let operation = |parameters: &[&str], array: &str, item: Value| {
        let parameters = parameters.iter();
        let parameters =
            parameters.map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
        let schema = json!({"type": "object", "properties": {array: {"type": "array", "items": item}}});
        json!({"get": {
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": {"200": {"content": {"application/json": {"schema": schema}}}},
        }})
    };
    json!({
        "openapi": "3.1.0",
        "info": {"title": "REST API", "version": release},
        "paths": {
            "/segments": operation(&["startIndex", "count"], "segments", segment),
            "/auditEvents": operation(&["fromDate", "count"], audit_array, event),
        },
    })
}

/// A tenant that answers with its document, one after the other, the last one again and again.
async fn tenant(documents: Vec<(u16, Value)>) -> Scripted {
    let given = Arc::new(AtomicUsize::new(0));
    scripted(move |asked: &Asked| match asked.path.as_str() {
        "/openapi.json" => {
            let number = given.fetch_add(1, Ordering::Relaxed).min(documents.len() - 1);
            documents[number].clone()
        }
        "/segments" => segments(asked),
        "/auditEvents" => list("auditEvents", asked, &[], 1000, &Value::Null),
        _ => (404, json!({"message": "nothing"})),
    })
    .await
}

/// The program with segments and audit events alone.
fn program(url: &str, database: &str) -> Program {
    let others = RESOURCES
        .names()
        .filter(|name| !["segments", "audit_events"].contains(name));
    others.fold(Program::new(url, database), |program, name| {
        program.set(&format!("resources.{name}.enabled"), "false")
    })
}

/// Fails unless stdout contains all of these.
#[track_caller]
fn prints(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(
            ended.stdout.contains(word),
            "`{word}` is not in:\n{}",
            ended.stdout
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_ends_in_three_and_what_is_new_in_zero() {
    let nowhere = "postgres://u@127.0.0.1:9/x";
    let whole = tenant(vec![(200, document("103.0", "auditEvents"))]).await;
    let ended = program(&whole.url, nowhere)
        .expect(0, &["check", "--drift"])
        .await;
    prints(
        &ended,
        &[
            "release 103.0",
            "the tenant has everything that is used",
            "canDelete",
            "objectType = ROBOT",
        ],
    );
    assert_eq!(whole.asked("/openapi.json").len(), 1);
    assert_eq!(whole.asked("").len(), 1, "nothing else is asked for");

    let renamed = tenant(vec![(200, document("104.0", "entries"))]).await;
    let program = program(&renamed.url, nowhere);
    let ended = program.expect(3, &["check", "--drift"]).await;
    prints(&ended, &["breaks", "renamed_array", "auditEvents -> entries"]);
    ended.tells(&["look for a newer release of blueconic-sync"]);
    let told = program.expect(3, &["check", "--drift", "--json"]).await.json();
    assert_eq!(
        (&told["release"], &told["known_release"], &told["breaks"]),
        (&json!("104.0"), &json!("103.0"), &json!(1))
    );
    let first = &told["findings"][0];
    assert_eq!(
        (
            &first["severity"],
            &first["kind"],
            &first["resource"],
            &first["path"]
        ),
        (
            &json!("breaks"),
            &json!("renamed_array"),
            &json!("audit_events"),
            &json!("/auditEvents")
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_a_document_is_told_with_a_reason() {
    let nowhere = "postgres://u@127.0.0.1:9/x";
    for (status, body, words) in [
        (404, json!({"message": "none"}), "the tenant has no such document"),
        (403, json!({"message": "no"}), "needs no token"),
        (200, json!({"segments": []}), "describes no API"),
        (503, json!({"message": "busy"}), "HTTP 503"),
    ] {
        let tenant = tenant(vec![(status, body)]).await;
        let ended = program(&tenant.url, nowhere)
            .expect(1, &["check", "--drift"])
            .await;
        ended.tells(&["GET /openapi.json", words]);
        assert_eq!(tenant.asked("/openapi.json").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_notes_the_release_and_what_differs_once_a_day() {
    let database = Database::empty().await;
    let tenant = tenant(vec![
        (200, document("103.0", "auditEvents")),
        (200, document("104.0", "auditEvents")),
        (404, json!({})),
    ])
    .await;
    let program = program(&tenant.url, &database.url);
    program.expect(0, &["backfill"]).await;
    program.expect(0, &["backfill"]).await;
    assert_eq!(tenant.asked("/openapi.json").len(), 1);
    let releases = "select distinct coalesce(tenant_release, 'none') from sync.runs order by 1";
    assert_eq!(database.texts(releases).await, ["103.0"]);
    let status = program.expect(0, &["status"]).await;
    prints(&status, &["release of the tenant: 103.0", "0 breaks"]);
    let told = program.expect(0, &["status", "--json"]).await.json();
    assert_eq!(told["drift"]["release"], "103.0");
    let unknown = "select name from sync.drift where kind = 'unknown_field' and resource = 'segments'";
    assert_eq!(database.texts(unknown).await, ["canDelete"]);

    // A day later the tenant has another release, and a day after that no document.
    for expected in ["104.0", "104.0"] {
        database
            .run("update sync.tenant_document set asked_at = asked_at - interval '25 hours'")
            .await;
        program.expect(0, &["backfill"]).await;
        let last = "select tenant_release from sync.runs order by started_at desc limit 1";
        assert_eq!(database.texts(last).await, [expected]);
    }
    assert_eq!(tenant.asked("/openapi.json").len(), 3);
    let seen = "select times || ' ' || release from sync.drift where name = 'canDelete'";
    assert_eq!(database.texts(seen).await, ["2 104.0"]);
    program.expect(0, &["reset", "tenant", "--yes"]).await;
    assert_eq!(database.one::<i64>("select count(*) from sync.drift").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_compares_by_its_schedule_and_shows_what_breaks() {
    let database = Database::empty().await;
    let tenant = tenant(vec![(200, document("104.0", "entries"))]).await;
    let address = free();
    let program = program(&tenant.url, &database.url);
    let mut service = program.start(&["serve", "--bind", &address.to_string()]);
    let metrics = eventually("the metrics show the drift", Duration::from_mins(1), async || {
        assert!(!service.has_ended(), "it has ended:\n{}", service.stderr());
        let answer = reqwest::get(format!("http://{address}/metrics")).await.ok()?;
        let text = answer.text().await.ok()?;
        text.contains("drift_findings").then_some(text)
    })
    .await;
    for line in [
        "blueconic_sync_tenant_release_info{release=\"104.0\"} 1",
        "blueconic_sync_drift_findings{severity=\"breaks\"} 1",
        "blueconic_sync_drift_findings{severity=\"loses\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let job = "select cron from sync.schedule where job = 'drift' and next_run_at > now()";
    eventually(
        "the job waits for its time",
        Duration::from_secs(30),
        async || (database.texts(job).await == ["25 5 * * *"]).then_some(()),
    )
    .await;
    assert_eq!(tenant.asked("/openapi.json").len(), 1);
}
