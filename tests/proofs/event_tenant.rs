//! A tenant with audit events behind the engine's own port, without HTTP: what it shows depends on its clock, on what
//! has shown up, and on what it has dropped.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::model::page::{Block, Head, Lookup, Meter, PageEnd, Request};
use blueconic_sync::model::ports::{Clock, Page, Source};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::scenario::{Arrangement, At, RETENTION, SECOND, Scenario};

/// Distinct dates in a page after which its order is trusted (`src/sync/walk/since/order.rs`).
const TRUSTED_AFTER: usize = 5;

/// An event; those with the same date and kind are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    /// In milliseconds since [`moment`]`(0)`.
    pub(super) date: i64,
    pub(super) kind: u8,
    /// When it shows up.
    pub(super) visible: i64,
}

/// How an event is written as an element.
pub(super) type Written = fn(&Event) -> Vec<u8>;

/// The tenant.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, set and looked at by itself"
)]
pub(super) struct Tenant {
    pub(super) events: Vec<Event>,
    pub(super) now: i64,
    /// Whether an answer takes time.
    pub(super) frozen: bool,
    /// Requests since the test last looked.
    pub(super) requests: u32,
    /// Requests that are answered before the program dies.
    pub(super) crash_after: Option<u32>,
    /// Whether it did.
    pub(super) died: bool,
    /// How many events each answer held.
    pub(super) answers: Vec<u64>,
    /// Whether the first page of a scan, or one that was cut, showed too few dates to tell its order.
    pub(super) undecided: bool,
    /// Whether a limit that knows no order was taken before events were left out: what came tells nothing then.
    pub(super) cut_blindly: bool,
    scenario: Scenario,
    pub(super) written: Written,
}

/// The first moment of the story.
pub(super) fn moment(millis: i64) -> Time {
    DateTime::from_timestamp_millis(1_750_000_000_123 + millis).unwrap()
}

/// The same, back.
pub(super) fn millis(time: Time) -> i64 {
    (time - moment(0)).num_milliseconds()
}

impl Tenant {
    pub(super) fn new(scenario: &Scenario, written: Written) -> Self {
        Self {
            events: events(scenario),
            now: RETENTION,
            frozen: false,
            requests: 0,
            crash_after: None,
            died: false,
            answers: Vec::new(),
            undecided: false,
            cut_blindly: false,
            scenario: scenario.clone(),
            written,
        }
    }

    pub(super) fn is_kept(&self, event: &Event) -> bool {
        self.now < event.date + RETENTION - self.scenario.early_clean_up
    }

    fn answer(&mut self, from: i64, count: usize) -> Vec<Event> {
        let now = self.now;
        let mut found: Vec<Event> = self
            .events
            .iter()
            .copied()
            .filter(|event| event.date > from && event.visible <= now && self.is_kept(event))
            .collect();
        // While it stands still, the same question gets the same answer.
        let turn = if self.frozen { 0 } else { u64::from(self.requests) };
        #[expect(clippy::cast_sign_loss, reason = "any bits will do")]
        let seed = self.scenario.seed ^ (from as u64).rotate_left(20) ^ (turn << 50);
        let mut random = StdRng::seed_from_u64(seed);
        found.shuffle(&mut random);
        let arrangement = match self.scenario.arrangement {
            Arrangement::Changing => [
                Arrangement::OldestFirst,
                Arrangement::NewestFirst,
                Arrangement::Unordered,
            ][random.random_range(0..3)],
            settled => settled,
        };
        match arrangement {
            Arrangement::OldestFirst => found.sort_by_key(|event| event.date),
            Arrangement::NewestFirst => found.sort_by_key(|event| -event.date),
            Arrangement::Unordered | Arrangement::Changing => {}
        }
        let raw = found.len();
        found.truncate(count);
        let in_order = matches!(arrangement, Arrangement::OldestFirst | Arrangement::NewestFirst)
            && self.scenario.arrangement != Arrangement::Changing;
        found.retain(|event| !self.scenario.hides(event.kind));
        // Where a page shows too few dates, its order is not known either.
        let is_ordered = in_order && (self.scenario.known_order || distinct(&found) >= TRUSTED_AFTER);
        self.cut_blindly |= raw > count && self.scenario.hidden_kinds != 0 && !is_ordered;
        let shown = found.len();
        found.truncate(self.scenario.at_once() as usize);
        if arrangement == Arrangement::Unordered {
            disorder(&mut found);
        }
        let fills = found.len() == (self.scenario.at_once() as usize).min(count);
        let is_cut = raw > count || found.len() < shown || fills;
        self.undecided |= (is_cut || self.requests == 0) && distinct(&found) < TRUSTED_AFTER;
        self.answers.push(found.len() as u64);
        found
    }
}

fn distinct(events: &[Event]) -> usize {
    let mut dates: Vec<i64> = events.iter().map(|event| event.date).collect();
    dates.sort_unstable();
    dates.dedup();
    dates.len()
}

/// By chance a page without order could look like one with it: pages of a thousand never do, small ones must not.
fn disorder(events: &mut [Event]) {
    let by_date = |left: &Event, right: &Event| left.date <= right.date;
    let sorted =
        events.is_sorted_by(by_date) || events.iter().rev().is_sorted_by(|one, two| by_date(one, two));
    if distinct(events) >= TRUSTED_AFTER && sorted {
        let other = events
            .iter()
            .rposition(|event| event.date != events[0].date)
            .unwrap();
        let middle = events
            .iter()
            .position(|event| event.date != events[0].date && event.date != events[other].date)
            .unwrap();
        events.swap(0, middle);
    }
}

fn events(scenario: &Scenario) -> Vec<Event> {
    let mut begins = vec![];
    let mut now = RETENTION;
    for scan in &scenario.scans {
        now += scan.pause;
        begins.push(now);
    }
    let mut events = Vec::new();
    for burst in &scenario.bursts {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "shares of a few months"
        )]
        let share = |share: f64, of: i64| (share * of as f64) as i64;
        let at = match burst.at {
            At::Share(part) => share(part, now),
            At::Scan(index, off) => *index.get(&begins) + off,
        };
        events.extend(burst.events.iter().map(|(part, kind)| {
            let date = at + share(*part, burst.spread);
            Event {
                date,
                kind: *kind,
                visible: date + burst.lag,
            }
        }));
    }
    events.sort_unstable();
    events
}

/// The tenant as the engine reads it.
#[derive(Clone)]
pub(super) struct EventSource(pub(super) Arc<Mutex<Tenant>>);

/// An answer that is there whole.
pub(super) struct Ready {
    block: Option<Block>,
    end: PageEnd,
}

impl Ready {
    pub(super) fn new(block: Block, end: PageEnd) -> Self {
        Self {
            block: Some(block),
            end,
        }
    }
}

impl Source for EventSource {
    type Page = Ready;

    async fn open(&self, request: &Request, _attempt: u32, meter: &Meter) -> Outcome<Ready> {
        meter.request();
        let mut tenant = self.0.lock().unwrap();
        if tenant.crash_after == Some(tenant.requests) {
            tenant.died = true;
            return Err(Fault::new(Kind::Final, "the program dies here"));
        }
        let from = DateTime::parse_from_rfc3339(&request.query[0].1).unwrap();
        let found = tenant.answer(millis(from.to_utc()), request.query[1].1.parse().unwrap());
        // As HTTP has it: in whole seconds.
        let second = moment(tenant.now).timestamp();
        let head = Head {
            server_time: tenant
                .scenario
                .tells_time
                .then(|| DateTime::from_timestamp(second, 0).unwrap()),
            ..Head::default()
        };
        tenant.requests += 1;
        if !tenant.frozen {
            tenant.now += tenant.scenario.step;
        }
        let mut bytes = Vec::new();
        let mut elements = Vec::with_capacity(found.len());
        for event in &found {
            let start = bytes.len();
            bytes.extend_from_slice(&(tenant.written)(event));
            elements.push(start..bytes.len());
        }
        let block = Block {
            bytes: Bytes::from(bytes),
            elements,
            broken: Vec::new(),
        };
        Ok(Ready::new(block, PageEnd::whole(head, found.len() as u64)))
    }

    async fn one(&self, _request: &Request, _meter: &Meter) -> Lookup {
        Lookup::Gone
    }
}

impl Page for Ready {
    async fn next(&mut self) -> Outcome<Option<Block>> {
        Ok(self.block.take())
    }

    fn so_far(&self) -> &Head {
        self.end.head()
    }

    async fn finish(self) -> Outcome<PageEnd> {
        Ok(self.end)
    }
}

/// Our clock, off by the scenario's skew.
pub(super) struct SkewedClock(pub(super) Arc<Mutex<Tenant>>);

impl Clock for SkewedClock {
    fn now(&self) -> Time {
        let tenant = self.0.lock().unwrap();
        moment(tenant.now) + TimeDelta::milliseconds(tenant.scenario.skew)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut tenant = self.0.lock().unwrap();
        tenant.now += i64::try_from(time.as_millis()).unwrap_or(SECOND);
        Box::pin(std::future::ready(()))
    }
}
