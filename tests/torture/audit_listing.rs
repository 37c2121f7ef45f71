//! Listings of audit events that give fewer than they have: a cap below what is asked for, and events that are left out
//! after the limit was taken. What is missing lies in a recorded gap; from old to new a cap loses nothing.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use simulated_tenant::settings::{AuditHidden, AuditOrder, Settings};
use simulated_tenant::tenant::Tenant;
use simulated_tenant::truth::AuditEvent;

use crate::support::truth::{assert_events_equal, assert_shown_events_within};
use crate::support::{Scene, scene, small};

use super::table::{Case, tries};

const HOUR: i64 = 3_600_000;
const PAGE: usize = 40;

fn listing(order: AuditOrder, audit_cap: Option<usize>, audit_hidden: Option<AuditHidden>) -> Settings {
    Settings {
        audit_events: 250,
        audit_history: Duration::from_hours(20 * 24),
        audit_order: order,
        // Its clock is put forward, and nothing that lies ahead of our own clock is claimed.
        now: Some(chrono::Utc::now() - chrono::TimeDelta::hours(2)),
        audit_cap,
        audit_hidden,
        ..small(1)
    }
}

async fn set(settings: Settings, page_size: usize) -> Scene {
    let mut scene = scene(settings).await;
    scene.program = scene
        .program
        .set("resources.audit_events.page_size", &page_size.to_string());
    scene
}

/// So many events since the last poll.
fn happen(tenant: &Tenant, events: i64) {
    tenant.advance(Duration::from_mins(10));
    let sample: AuditEvent = tenant.audit_events().pop().unwrap();
    tenant.push_audit_events((0..events).map(|number| AuditEvent {
        date: tenant.now() - 200_000 + number * 11,
        object_type: format!("TYPE_{number}"),
        ..sample.clone()
    }));
}

async fn poll(scene: &Scene, case: &mut Case) {
    let began = Instant::now();
    scene.program.expect(0, &["backfill", "audit_events"]).await;
    case.recovered(began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capped_audit_listing() {
    let mut case = Case::new("an audit listing with a cap");
    let mut missing = 0;
    for number in 0..tries(3, 60) {
        let cap = rand::rng().random_range(12..90);
        let order = [
            AuditOrder::OldestFirst,
            AuditOrder::NewestFirst,
            AuditOrder::Shuffled,
        ][number as usize % 3];
        let scene = set(listing(order, Some(cap), None), 1_000).await;
        for events in [0, 20, 200] {
            happen(&scene.tenant, events);
            poll(&scene, &mut case).await;
            if order == AuditOrder::OldestFirst {
                assert_events_equal(&scene.database, &scene.tenant).await;
                assert_eq!(scene.database.count("blueconic.gaps").await, 0);
            } else {
                missing += assert_shown_events_within(&scene.database, &scene.tenant, |_| true).await;
            }
        }
        let before = scene.database.count("blueconic.audit_events").await;
        poll(&scene, &mut case).await;
        let again = scene.database.count("blueconic.audit_events").await;
        // Without an order another answer may bring what one before left out.
        assert!(
            again == before || order == AuditOrder::Shuffled,
            "{before} rows, then {again}"
        );
        case.tried(1);
    }
    case.note(format!(
        "{missing} events behind the cap, each in a gap; none oldest first"
    ));
    case.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_audit_listing() {
    let mut case = Case::new("an audit listing that hides events after its limit");
    let mut missing = 0;
    for number in 0..tries(2, 40) {
        let mut random = rand::rng();
        // From single events to days of them.
        let every = random.random_range(HOUR..48 * HOUR);
        let hidden = AuditHidden {
            every,
            first: every * random.random_range(2..7) / 10,
        };
        let order = [AuditOrder::OldestFirst, AuditOrder::NewestFirst][number as usize % 2];
        let scene = set(listing(order, None, Some(hidden)), PAGE).await;
        for events in [0, 20, 70] {
            happen(&scene.tenant, events);
            poll(&scene, &mut case).await;
            let shown = |event: &AuditEvent| !hidden.hides(event.date);
            missing += assert_shown_events_within(&scene.database, &scene.tenant, shown).await;
        }
        case.tried(1);
    }
    case.note(format!("{missing} events not reached, each in a gap"));
    case.report();
}
