//! The contract of `status --json` and `/status.json`, key by key: what a script that was written against an earlier version
//! reads is still there, of the same kind. `tests/golden/status.json` holds the document with kinds in place of values that
//! differ from run to run.

use std::time::Duration;

use serde_json::{Map, Value, json};
use simulated_tenant::settings::{AuditOrder, Settings};

use crate::support::ports::free;
use crate::support::{Scene, eventually, scene, small};

const GOLDEN: &str = include_str!("golden/status.json");

/// What a value is, where it is not a word of the contract.
fn kind(text: &str, tenant: &str) -> String {
    if text == tenant {
        return "URL".to_owned();
    }
    if uuid::Uuid::parse_str(text).is_ok() {
        return "uuid".to_owned();
    }
    // All times have one form, in UTC.
    if text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        return "time".to_owned();
    }
    text.to_owned()
}

/// The document with kinds in place of times, ids and numbers; words stay.
fn kinds(value: &Value, tenant: &str) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!("float"),
        Value::Number(_) => json!("integer"),
        Value::String(text) => json!(kind(text, tenant)),
        Value::Array(items) => items.iter().map(|item| kinds(item, tenant)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| match key.as_str() {
                "holder" => (key.clone(), json!("holder")),
                _ => (key.clone(), kinds(member, tenant)),
            })
            .collect::<Map<String, Value>>()
            .into(),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// Without the resources and tables that the contract does not name: a list that came later is more of the same.
fn without_others(mut found: Value, wanted: &Value) -> Value {
    for (part, name) in [
        ("/resources", "resource"),
        ("/tables", "name"),
        ("/usage/costs", "resource"),
    ] {
        let known = wanted.pointer(part).unwrap();
        let known: Vec<&Value> = known.as_array().unwrap().iter().map(|one| &one[name]).collect();
        let items = found.pointer_mut(part).unwrap().as_array_mut().unwrap();
        items.retain(|item| known.contains(&&item[name]));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_has_the_keys_and_kinds_of_the_contract() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        audit_order: AuditOrder::OldestFirst,
        ..small(40)
    })
    .await;
    program.expect(0, &["backfill"]).await;
    // One of each kind of trouble, beside what a backfill leaves behind.
    database
        .run(
            r#"update sync.runs set status = 'failed', error = 'it failed', hint = 'do it again', finished_at = null,
               position_to = '{"walk": "since", "through": "2026-01-01T00:00:00Z"}'
             where resource = 'segments';
             update sync.cursors set position = '{"walk": "since", "through": "2026-01-01T00:00:00Z"}'
             where resource = 'segments';
             update sync.runs set page_fill_percent = 12, late_by_seconds = 3, unexplained = -2
             where resource = 'profile_properties';
             update sync.leases set holder = 'a:1:b', expires_at = now() + interval '1 hour' where name = 'segments/full';
             update sync.cursors set watermark = now() + interval '1 day' where resource = 'audit_events';
             update sync.column_layout set postponed_at = now(), postponed_why = 'it is held';
             update sync.tokens set status = 'reauth_required', last_error = 'it was revoked';
             insert into sync.audit_renames (field, old_value, new_value, run_id, noticed_at)
             values ('user_name', 'a', 'b', gen_random_uuid(), now()), ('operation', 'c', 'd', gen_random_uuid(), now());
             insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at)
             values ('audit_events', now() - interval '2 hours', now() - interval '1 hour', 'retention', gen_random_uuid(), now());"#,
        )
        .await;
    let printed = program.expect(0, &["status", "--json"]).await.json();
    let wanted: Value = serde_json::from_str(GOLDEN).unwrap();
    let found = without_others(kinds(&printed, tenant.url()), &wanted);
    assert_eq!(found, wanted, "found:\n{found:#}");

    // The service tells the same.
    let address = free();
    let mut service = program.start(&["serve", "--bind", &address.to_string()]);
    let served = eventually("it serves", Duration::from_mins(1), async || {
        assert!(!service.has_ended(), "it has ended:\n{}", service.stderr());
        let answer = reqwest::get(format!("http://{address}/status.json")).await.ok()?;
        answer.status().is_success().then_some(answer)
    })
    .await;
    let served: Value = serde_json::from_str(&served.text().await.unwrap()).unwrap();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&served), keys(&printed));
    for at in [
        "/resources/0",
        "/resources/0/last_run",
        "/resources/0/lease",
        "/token",
        "/tables/0",
        "/usage",
        "/usage/requests",
        "/usage/costs/0",
    ] {
        let (served, printed) = (served.pointer(at).unwrap(), printed.pointer(at).unwrap());
        assert_eq!(keys(served), keys(printed), "{at}");
    }
}
