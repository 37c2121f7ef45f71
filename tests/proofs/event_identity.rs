//! What makes two audit events one, through the engine, the real resource and the real PostgreSQL, for generated tenants: a
//! date as fine as it comes, in whatever order and neighbourhood, and a value that the tenant renames.

use std::sync::Arc;
use std::time::Duration;

use chrono::SecondsFormat;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult};

use super::audit_walk::Stage;
use super::event_tenant::{Event, Tenant, Written, moment};
use super::reader::events_with;
use super::scenario::{Arrangement, At, Burst, DAY, MINUTE, Scan, Scenario};
use crate::support::fixture::{Fixture, fixture, run};

/// Digits behind the milliseconds, by the event's kind.
const FINER: [&str; 4] = ["", "4", "4567", "456789123"];

fn written(event: &Event, finer: &str, object_type: &str) -> Vec<u8> {
    let date = moment(event.date).to_rfc3339_opts(SecondsFormat::Millis, true);
    let date = date.replace('Z', finer);
    format!(r#"{{"date":"{date}Z","objectType":"{object_type}","operation":"UPDATE","userName":"u","objects":[]}}"#)
        .into_bytes()
}

fn fine(event: &Event) -> Vec<u8> {
    written(event, FINER[usize::from(event.kind)], "LISTENER")
}

/// All that have a finer date are of one microsecond of their own.
fn coarse(event: &Event) -> Vec<u8> {
    written(event, "", "LISTENER")
}

fn one_finer(event: &Event) -> Vec<u8> {
    written(event, "4", "LISTENER")
}

fn before(event: &Event) -> Vec<u8> {
    written(
        event,
        FINER[usize::from(event.kind)],
        "INACTIVITY_TIMEOUT_SETTING",
    )
}

fn after(event: &Event) -> Vec<u8> {
    written(event, FINER[usize::from(event.kind)], "INACTIVITY_SETTING")
}

/// Beside each event of one type there is one of another type, alike in all else.
fn two_types(event: &Event) -> Vec<u8> {
    written(event, "", ["SEGMENT", "LISTENER"][usize::from(event.kind % 2)])
}

struct Story {
    db: Arc<Fixture>,
    stage: Stage<blueconic_sync::postgres::store::PostgresStore>,
}

impl Story {
    async fn begin(db: &Arc<Fixture>, scenario: &Scenario, written: Written) -> Self {
        let empty = "truncate blueconic.audit_events, sync.gaps, sync.cursors, sync.audit_renames";
        run(&mut db.look.acquire().await.unwrap(), empty).await;
        let feed = events_with(scenario.page_size);
        let tenant = Tenant::new(scenario, written);
        Self {
            db: Arc::clone(db),
            stage: Stage::new(scenario, tenant, db.store.clone(), feed),
        }
    }

    fn writes(&self, written: Written) {
        self.stage.tenant.lock().unwrap().written = written;
    }

    /// Scans all that the tenant keeps, and gives the number of rows.
    async fn scan(&self) -> i64 {
        self.stage.tenant.lock().unwrap().now += MINUTE;
        let scan = Scan {
            pause: 0,
            overlap: Duration::from_hours(29 * 24),
            crash_after: None,
            since: None,
        };
        assert!(self.stage.scan(&scan).await);
        self.db.one("select count(*) from blueconic.audit_events").await
    }

    fn events(&self) -> i64 {
        let tenant = self.stage.tenant.lock().unwrap();
        let shown = tenant.events.iter().filter(|event| event.visible <= tenant.now);
        i64::try_from(shown.count()).unwrap()
    }
}

/// A burst of events within the retention and one that shows up late among them; no millisecond fills a page.
fn scenario() -> impl Strategy<Value = Scenario> {
    let arrangement = prop::sample::select(vec![
        Arrangement::OldestFirst,
        Arrangement::NewestFirst,
        Arrangement::Unordered,
    ]);
    let events = || prop::collection::vec((0.0..1.0_f64, 0_u8..4), 12..30);
    (
        any::<u64>(),
        arrangement,
        events(),
        prop::collection::vec((0.0..1.0_f64, 0_u8..4), 0..9),
        4_i64..400,
    )
        .prop_map(|(seed, arrangement, events, late, spread)| Scenario {
            seed,
            page_size: 60,
            arrangement,
            known_order: false,
            cap: None,
            hidden_kinds: 0,
            tells_time: true,
            skew: 0,
            early_clean_up: 0,
            step: 0,
            bursts: vec![
                burst(spread, events, 0),
                burst(spread, late, 5 * MINUTE + MINUTE / 2 + DAY),
            ],
            scans: Vec::new(),
        })
}

fn burst(spread: i64, events: Vec<(f64, u8)>, lag: i64) -> Burst {
    Burst {
        at: At::Share(29.0 / 30.0),
        spread,
        events,
        lag,
    }
}

async fn fine_dates(db: &Arc<Fixture>, scenario: &Scenario) -> TestCaseResult {
    let story = Story::begin(db, scenario, fine).await;
    for _ in 0..3 {
        let rows = story.scan().await;
        prop_assert_eq!(rows, story.events());
    }
    // Late ones come between those that are stored; and the order within a millisecond is another each time.
    story.stage.tenant.lock().unwrap().now += 5 * MINUTE;
    for _ in 0..2 {
        let rows = story.scan().await;
        prop_assert_eq!(rows, story.events());
    }
    Ok(())
}

async fn renamed(db: &Arc<Fixture>, scenario: &Scenario) -> TestCaseResult {
    let story = Story::begin(db, scenario, before).await;
    prop_assert_eq!(story.scan().await, story.events());
    story.writes(after);
    for _ in 0..2 {
        prop_assert_eq!(story.scan().await, story.events());
    }
    let renames: i64 = db.one("select count(*) from sync.audit_renames").await;
    prop_assert_eq!(renames, 1);
    // What shows up afterwards, and a tenant that takes it back.
    story.stage.tenant.lock().unwrap().now += 5 * MINUTE;
    prop_assert_eq!(story.scan().await, story.events());
    story.writes(before);
    prop_assert_eq!(story.scan().await, story.events());
    Ok(())
}

async fn two_that_are_alike(db: &Arc<Fixture>, scenario: &Scenario) -> TestCaseResult {
    let story = Story::begin(db, scenario, two_types).await;
    // First those of one type are there, then the others show up beside them.
    let others = {
        let mut tenant = story.stage.tenant.lock().unwrap();
        let others: Vec<Event> = tenant
            .events
            .iter()
            .map(|event| Event {
                kind: event.kind ^ 1,
                ..*event
            })
            .collect();
        tenant.events.retain(|event| event.kind % 2 == 0);
        others
    };
    prop_assert_eq!(story.scan().await, story.events());
    {
        let mut tenant = story.stage.tenant.lock().unwrap();
        tenant
            .events
            .extend(others.into_iter().filter(|event| event.kind % 2 == 1));
        tenant.events.sort_unstable();
    }
    for _ in 0..2 {
        prop_assert_eq!(story.scan().await, story.events());
    }
    let renames: i64 = db.one("select count(*) from sync.audit_renames").await;
    prop_assert_eq!(renames, 0);
    Ok(())
}

/// Rows of a release that looked at milliseconds only are found again.
async fn of_a_former_release(db: &Arc<Fixture>, scenario: &Scenario) -> TestCaseResult {
    let story = Story::begin(db, scenario, coarse).await;
    story.scan().await;
    let finer = "update blueconic.audit_events set occurred_at = occurred_at + interval '400 microseconds'";
    run(&mut db.look.acquire().await.unwrap(), finer).await;
    story.writes(one_finer);
    for _ in 0..2 {
        prop_assert_eq!(story.scan().await, story.events());
    }
    Ok(())
}

#[test]
fn an_event_is_stored_once_however_it_comes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = Arc::new(runtime.block_on(fixture()));
    let config = Config {
        cases: 16,
        max_shrink_iters: 50,
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(scenario in scenario())| {
        runtime.block_on(fine_dates(&db, &scenario))?;
        runtime.block_on(renamed(&db, &scenario))?;
        runtime.block_on(two_that_are_alike(&db, &scenario))?;
        runtime.block_on(of_a_former_release(&db, &scenario))?;
    });
}
