//! Three orders, ties, equal events, retention.

use std::time::Duration;

use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::truth::AuditEvent;

use super::asker::{Asker, fixed, iso, text};

#[tokio::test]
async fn audit_events_come_in_the_order_of_the_setting() {
    for order in [
        AuditOrder::OldestFirst,
        AuditOrder::NewestFirst,
        AuditOrder::Shuffled,
    ] {
        let asker = Asker::new(Settings {
            audit_order: order,
            ..fixed()
        })
        .await;
        let truth: Vec<i64> = asker
            .tenant
            .audit_events()
            .iter()
            .map(|event| event.date)
            .collect();
        let all = asker.events(&[("count", "1000")]).await;
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, truth);
        let from = truth[100];
        let later: Vec<i64> = truth.iter().copied().filter(|date| *date > from).collect();
        let page = asker.events(&[("fromDate", &iso(from)), ("count", "50")]).await;
        let mut newest = later[later.len() - 50..].to_vec();
        match order {
            AuditOrder::OldestFirst => assert_eq!(page, later[..50]),
            AuditOrder::NewestFirst => {
                newest.reverse();
                assert_eq!(page, newest);
            }
            AuditOrder::Shuffled => {
                assert!(!page.is_sorted() && !page.iter().rev().is_sorted());
                let mut page = page;
                page.sort_unstable();
                assert_eq!(page, newest);
            }
        }
        assert_eq!(asker.events(&[]).await.len(), 100);
    }
}

#[tokio::test]
async fn audit_events_are_as_awkward_as_the_document_allows() {
    let asker = Asker::new(Settings {
        audit_events: 5_000,
        audit_order: AuditOrder::OldestFirst,
        ..fixed()
    })
    .await;
    let truth = asker.tenant.audit_events();
    assert!(
        truth.windows(2).any(|pair| pair[0] == pair[1]),
        "equal in every field"
    );
    assert!(
        truth
            .windows(2)
            .any(|pair| pair[0] != pair[1] && pair[0].date == pair[1].date),
        "ties"
    );
    assert!(
        truth
            .iter()
            .any(|event| event.objects.as_ref().is_some_and(Vec::is_empty))
    );
    assert!(
        truth
            .iter()
            .any(|event| event.objects.is_none() && event.user_name.is_some())
    );
    assert!(truth.iter().any(|event| event.object_type == "AGENT_2027"));
    let body = asker.json("/auditEvents", &[("count", "1000")]).await;
    let listed = body["auditEvents"].as_array().unwrap();
    assert!(listed.iter().any(|event| event.get("username").is_some()));
    assert!(listed.iter().any(|event| event.get("userName").is_some()));
    for (event, truth) in listed.iter().zip(&truth) {
        let user = event.get("username").or_else(|| event.get("userName")).map(text);
        assert_eq!(
            (user, text(&event["operation"])),
            (truth.user_name.clone(), truth.operation.clone())
        );
    }
    asker.tenant.advance(Duration::from_hours(24 * 10));
    let mut asker = asker;
    asker.renew().await;
    let oldest = asker.events(&[("count", "1")]).await[0];
    assert!(
        oldest > asker.tenant.now() - 30 * 86_400_000,
        "older ones are forgotten"
    );
    let event = AuditEvent {
        date: asker.tenant.now(),
        ..truth[0].clone()
    };
    asker.tenant.push_audit_events([event.clone()]);
    assert_eq!(
        asker.events(&[("fromDate", &iso(event.date - 1))]).await,
        [event.date]
    );
    assert!(
        asker.events(&[("fromDate", &iso(event.date))]).await.is_empty(),
        "`fromDate` is exclusive"
    );
}
