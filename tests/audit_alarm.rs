//! A tenant that answers newest first: the alarm before events are lost, the gap after, and what each is told as.

use std::time::Duration;

use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::Tenant;

use crate::support::{Scene, scene, small};

/// So many events in the last minute.
fn busy(tenant: &Tenant, events: i64) {
    tenant.advance(Duration::from_mins(10));
    let sample = tenant.audit_events().pop().unwrap();
    tenant.push_audit_events((0..events).map(|number| {
        let mut event = sample.clone();
        event.date = tenant.now() - 150_000 + number;
        event
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_events_are_hidden_there_is_an_alarm_and_then_a_gap() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        audit_events: 60,
        // Time passes at the tenant alone: it begins half an hour ago, and reaches ours with the third step.
        now: Some(chrono::Utc::now() - chrono::TimeDelta::minutes(30)),
        audit_order: AuditOrder::NewestFirst,
        ..small(1)
    })
    .await;
    let program = program.set("resources.audit_events.page_size", "100");
    let poll = ["backfill", "audit_events"];
    let first = program.expect(0, &poll).await;
    assert!(!first.stderr.contains("poll at least"), "{}", first.stderr);
    busy(&tenant, 40);
    let calm = program.expect(0, &poll).await;
    assert!(!calm.stderr.contains("poll at least"), "{}", calm.stderr);
    busy(&tenant, 85);
    program.expect(0, &poll).await.tells(&[
        "85 audit events came",
        "poll at least every",
        "resources.audit_events.schedule",
    ]);
    let gaps = database.count("blueconic.gaps").await;
    assert_eq!(
        gaps, 1,
        "but for what the first answer may have hidden, nothing is lost yet"
    );
    let last = "select {} from sync.runs order by started_at desc limit 1";
    let (status, fill, hint): (String, i64, String) = database
        .rows(&last.replace("{}", "status, page_fill_percent, hint"))
        .await
        .remove(0);
    assert_eq!((status.as_str(), fill), ("succeeded", 85));
    assert!(hint.contains("*/"), "{hint}");
    let reported = program.expect(0, &["status"]).await.stdout;
    assert!(reported.contains("poll at least every"), "{reported}");

    busy(&tenant, 150);
    program.expect(0, &poll).await.tells(&[
        "at least 100 audit events came in 2 minutes",
        "= \\\"* * * * *\\\"",
    ]);
    let gaps: Vec<(String, String)> = database.rows("select resource, reason from blueconic.gaps").await;
    assert_eq!(
        gaps,
        vec![("audit_events".to_owned(), "unreachable".to_owned()); 2]
    );
    // A gap is no fault: what comes later is complete, and the run says so.
    busy(&tenant, 1);
    program.expect(0, &poll).await;
    let status: String = database.one(&last.replace("{}", "status")).await;
    assert_eq!(status, "succeeded");
}
