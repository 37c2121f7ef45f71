//! What scripts read: the summary of a backfill and the status, in the shapes of the contract.

use std::collections::BTreeSet;

use blueconic_sync::model::description::Description;
use blueconic_sync::model::status::Run;
use serde_json::Value;
use simulated_tenant::settings::{AuditOrder, Settings};

use crate::support::database::Database;
use crate::support::registry::{by_default, names};
use crate::support::{Scene, scene, scene_in, small};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const RUN: [&str; 23] = [
    "id",
    "resource",
    "mode",
    "status",
    "started_at",
    "finished_at",
    "source_total",
    "rows_read",
    "rows_distinct",
    "rows_inserted",
    "rows_updated",
    "rows_unchanged",
    "rows_removed",
    "rows_rejected",
    "pages",
    "requests",
    "retries",
    "bytes_read",
    "position_from",
    "position_to",
    "error",
    "hint",
    "unexplained",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_tells_its_runs_in_json() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(120)).await;
    let ended = program.expect(0, &["backfill", "--full", "--json"]).await;
    let summary = ended.json();
    assert_eq!(keys(&summary), BTreeSet::from(["exit_code", "runs", "status"]));
    assert_eq!(
        (summary["exit_code"].as_i64(), summary["status"].as_str()),
        (Some(0), Some("succeeded"))
    );
    let runs = summary["runs"].as_array().unwrap();
    let resources: Vec<&str> = runs.iter().map(|run| run["resource"].as_str().unwrap()).collect();
    assert_eq!(resources, names());
    let columns: Vec<String> = database
        .texts("select column_name::text from information_schema.columns where table_schema = 'sync' and table_name = 'runs'")
        .await;
    let columns: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    assert!(RUN.iter().all(|name| columns.contains(name)), "{columns:?}");
    for run in runs {
        assert_eq!(keys(run), columns);
        // The same as the table says.
        let id = run["id"].as_str().unwrap();
        let row: Value = database
            .one(&format!(
                "select to_jsonb(r) from sync.runs as r where id = '{id}'"
            ))
            .await;
        let row: Run = serde_json::from_value(row).unwrap();
        assert_eq!(*run, serde_json::to_value(row).unwrap());
        assert_eq!(run["status"], "succeeded");
        for counter in ["rows_read", "pages", "requests", "bytes_read"] {
            assert!(run[counter].as_i64().unwrap() > 0, "{counter} of {run}");
        }
    }
    let run_of = |name: &str| runs.iter().find(|run| run["resource"] == name).unwrap();
    let profiles = run_of("profiles");
    assert_eq!(
        (
            &profiles["mode"],
            &profiles["source_total"],
            &profiles["rows_read"],
            &profiles["rows_inserted"]
        ),
        (&"full".into(), &120.into(), &120.into(), &120.into())
    );
    assert_eq!(run_of("audit_events")["mode"], "increment");
    // Not well: the same shape, another code.
    let allowed = "read:profile-properties";
    tenant.set_scopes(&[allowed.to_owned()]);
    let denied = program.expect(3, &["backfill", "--json"]).await.json();
    assert_eq!(
        (denied["exit_code"].as_i64(), denied["status"].as_str()),
        (Some(3), Some("partial"))
    );
    let statuses: Vec<&str> = denied["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["status"].as_str().unwrap())
        .collect();
    let ended = |one: &Description| {
        if one.oauth_scope == allowed {
            "succeeded"
        } else {
            "failed"
        }
    };
    let is_skipped = |one: &&Description| {
        let is_optional = one.as_list().is_some_and(|list| list.optional);
        is_optional && one.oauth_scope != allowed
    };
    let run = by_default().filter(|one| !is_skipped(one));
    assert_eq!(statuses, run.map(ended).collect::<Vec<_>>());
    let skipped = denied["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), by_default().filter(is_skipped).count());
    assert!(
        skipped[0]["why"].as_str().unwrap().contains("read:channels"),
        "{skipped:?}"
    );
    assert!(
        denied["runs"][0]["error"]
            .as_str()
            .unwrap()
            .contains("read:segments")
    );
    assert!(denied["runs"][0]["hint"].is_string());
}

/// All texts of a document that are times.
fn times(document: &Value) -> Vec<&str> {
    match document {
        Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => vec![text],
        Value::Array(items) => items.iter().flat_map(times).collect(),
        Value::Object(members) => members.values().flat_map(times).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_time_in_json_ends_in_z() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(40)).await;
    let backfill = program
        .expect(0, &["backfill", "--full", "--verify", "--json"])
        .await;
    let status = program.expect(0, &["status", "--verify", "--json"]).await;
    let id: String = database
        .one("select id from blueconic.profiles order by id limit 1")
        .await;
    let erase = program.expect(0, &["erase", &id, "--yes", "--json"]).await;
    let lift = program
        .expect(0, &["erase", "--lift", &id, "--yes", "--json"])
        .await;
    // A run has two times; a receipt has one.
    for (ended, least) in [(backfill, 2 * names().len()), (status, 2), (erase, 1), (lift, 1)] {
        let document = ended.json();
        let times = times(&document);
        assert!(times.len() >= least, "{document}");
        assert!(times.iter().all(|time| time.ends_with('Z')), "{times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_reported_in_json_and_for_people() {
    let Scene {
        tenant,
        database: _database,
        program,
    } = scene_in(
        Database::bare().await,
        Settings {
            // From new to old a first answer leaves a gap: nothing proves that it is whole.
            audit_order: AuditOrder::OldestFirst,
            ..small(120)
        },
    )
    .await;
    // Before the first run there is no schema: named, not made.
    let fresh = program.run(&["status"]).await;
    assert_eq!(fresh.code(), 1, "{}", fresh.stderr);
    fresh.tells(&["blueconic-sync migrate"]);
    program.expect(0, &["migrate"]).await;
    let empty = program.expect(0, &["status", "--json"]).await.json();
    assert!(
        empty["tenant"].is_null() && empty["resources"][0]["last_run"].is_null(),
        "{empty}"
    );
    program.expect(0, &["backfill"]).await;
    let status = program.expect(0, &["status", "--json"]).await.json();
    assert!(
        ["tenant", "resources", "token"]
            .iter()
            .all(|key| keys(&status).contains(key))
    );
    assert_eq!(status["tenant"].as_str(), Some(tenant.url()));
    let slots: Vec<(&str, &str)> = status["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| {
            (
                slot["resource"].as_str().unwrap(),
                slot["scope"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = by_default().flat_map(Description::slots);
    let expected: Vec<_> = expected
        .map(|slot| (slot.resource, slot.scope.as_str()))
        .collect();
    assert_eq!(slots, expected);
    for slot in status["resources"].as_array().unwrap() {
        for key in [
            "resource",
            "scope",
            "watermark",
            "complete_as_of",
            "last_run",
            "lag_seconds",
            "open_gaps",
            "lease",
        ] {
            assert!(keys(slot).contains(key), "{key} is not in {slot}");
        }
        assert!(
            slot["complete_as_of"].is_string() && slot["lag_seconds"].is_number(),
            "{slot}"
        );
        assert_eq!(slot["open_gaps"], 0);
    }
    let profiles = slots
        .iter()
        .position(|slot| *slot == ("profiles", "full"))
        .unwrap();
    let run = &status["resources"][profiles]["last_run"];
    assert!(RUN.iter().all(|key| keys(run).contains(key)), "{run}");
    assert_eq!(status["token"]["status"], "valid");
    assert!(status["token"]["expires_at"].is_string());
    let reported = program.expect(0, &["status"]).await.stdout;
    for word in [
        tenant.url(),
        "segments",
        "profile_properties",
        "profiles",
        "audit_events",
        "succeeded",
        "120",
    ] {
        assert!(reported.contains(word), "`{word}` is not in:\n{reported}");
    }
}
