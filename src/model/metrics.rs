//! Counters and histograms of this process, which only grow: what `/metrics` shows beside the state. A count is an addition without a lock;
//! only the end of a run takes one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::ledger::{Counts, RunReport};
use super::position::Slot;
use super::status::RunStatus;
use super::usage::Used;

/// The bounds of the time that a request takes to its headers, in seconds.
pub const REQUEST_SECONDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];
/// The bounds of the time that a run takes, in seconds: from a list that did not change to the first load of a large tenant.
pub const RUN_SECONDS: [f64; 10] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 28_800.0, 86_400.0,
];
/// The bounds of the elements of a page: up to the largest of lists, of audit events and of profiles.
pub const PAGE_ELEMENTS: [f64; 8] = [0.0, 10.0, 100.0, 500.0, 1000.0, 5000.0, 10_000.0, 100_000.0];

/// The classes of answers; the last one is a request that nothing answered.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// A result that rows are counted by, and how it is read from the counts of a run.
type RowResult = (&'static str, fn(&Counts) -> u64);

/// The results that rows of runs are counted by.
pub const RESULTS: [RowResult; 9] = [
    ("inserted", |counts| counts.inserted),
    ("updated", |counts| counts.updated),
    ("unchanged", |counts| counts.unchanged),
    ("removed", |counts| counts.removed),
    ("rejected", |counts| counts.rejected),
    ("suppressed", |counts| counts.suppressed),
    ("repeated", |counts| counts.repeated),
    ("elsewhere", |counts| counts.elsewhere),
    ("missed", |counts| counts.missed),
];

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts so many.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts so much time.
    pub fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// The count so far.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The time so far, in seconds.
    pub fn seconds(&self) -> f64 {
        Duration::from_micros(self.read()).as_secs_f64()
    }
}

/// How many values lie within each of some bounds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [f64; N],
    /// The values up to each bound and above the one before it; the last one counts those above all bounds.
    counts: [AtomicU64; N],
    above: AtomicU64,
    /// The sum of all values, in millionths.
    sum: AtomicU64,
}

/// What a histogram holds at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    /// Each bound with the number of values up to it, those of smaller bounds included.
    pub up_to: Vec<(f64, u64)>,
    /// The number of all values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl<const N: usize> Histogram<N> {
    /// An empty histogram; the bounds ascend.
    pub fn new(bounds: [f64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a time, in seconds.
    pub fn observe_time(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count(time.as_secs_f64(), micros);
    }

    /// Counts a whole number.
    #[expect(clippy::cast_precision_loss, reason = "a page has fewer than 2^53 elements")]
    pub fn observe(&self, number: u64) {
        self.count(number as f64, number.saturating_mul(1_000_000));
    }

    fn count(&self, value: f64, millionths: u64) {
        let place = self.bounds.iter().position(|bound| value <= *bound);
        let bucket = place
            .and_then(|place| self.counts.get(place))
            .unwrap_or(&self.above);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(millionths, Ordering::Relaxed);
    }

    /// What it holds now.
    pub fn read(&self) -> Buckets {
        let mut count = 0;
        let up_to = self.bounds.iter().zip(&self.counts).map(|(bound, within)| {
            count += within.load(Ordering::Relaxed);
            (*bound, count)
        });
        let up_to = up_to.collect();
        Buckets {
            up_to,
            count: count + self.above.load(Ordering::Relaxed),
            sum: Duration::from_micros(self.sum.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

/// The requests to the tenant. Those for tokens count in bytes alone.
#[derive(Debug)]
pub struct Traffic {
    /// Requests by the class of their answers, as in [`CLASSES`].
    pub requests: [Counter; CLASSES.len()],
    /// Requests that repeated an earlier one.
    pub retries: Counter,
    /// The time that requests waited for the rate, for a free place, and for the tenant's `Retry-After`.
    pub throttled: Counter,
    /// Bytes of bodies as they came.
    pub received: Counter,
    /// Bytes of bodies after unpacking.
    pub unpacked: Counter,
    /// Profiles that runs read.
    pub profiles: Counter,
    /// The time from a request to the headers of its answer.
    pub duration: Histogram<{ REQUEST_SECONDS.len() }>,
    /// The elements of each page that ended whole.
    pub page: Histogram<{ PAGE_ELEMENTS.len() }>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            retries: Counter::default(),
            throttled: Counter::default(),
            received: Counter::default(),
            unpacked: Counter::default(),
            profiles: Counter::default(),
            duration: Histogram::new(REQUEST_SECONDS),
            page: Histogram::new(PAGE_ELEMENTS),
        }
    }
}

impl Traffic {
    /// Counts a request: the status of its answer, or none, and the time until then.
    pub fn answered(&self, status: Option<u16>, took: Duration) {
        let class = match status {
            Some(status @ 100..=599) => usize::from(status / 100 - 1),
            _ => CLASSES.len() - 1,
        };
        if let Some(counter) = self.requests.get(class) {
            counter.add(1);
        }
        self.duration.observe_time(took);
    }

    /// All that was counted so far, as the ledger has it.
    pub fn used(&self) -> Used {
        Used {
            requests: self.requests.iter().map(Counter::read).sum(),
            received: self.received.read(),
            unpacked: self.unpacked.read(),
            profiles: self.profiles.read(),
        }
    }
}

/// The runs of this process that have ended, by slot.
#[derive(Debug, Default)]
pub struct EndedRuns(Mutex<BTreeMap<(&'static str, &'static str), SlotRuns>>);

/// The runs of one slot that have ended.
#[derive(Debug)]
struct SlotRuns {
    statuses: [u64; RunStatus::ALL.len()],
    rows: [u64; RESULTS.len()],
    duration: Histogram<{ RUN_SECONDS.len() }>,
}

/// The same at one time.
#[derive(Debug, Clone)]
pub struct SlotCounts {
    /// The resource.
    pub resource: &'static str,
    /// The scope.
    pub scope: &'static str,
    /// Runs by status, as in [`RunStatus::ALL`].
    pub statuses: [u64; RunStatus::ALL.len()],
    /// Rows by what became of them, as in [`RESULTS`].
    pub rows: [u64; RESULTS.len()],
    /// How long the runs took.
    pub duration: Buckets,
}

impl EndedRuns {
    /// Counts a run that has ended.
    pub fn add(&self, report: &RunReport) {
        let Slot { resource, scope } = report.slot;
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots
            .entry((resource, scope.as_str()))
            .or_insert_with(|| SlotRuns {
                statuses: Default::default(),
                rows: Default::default(),
                duration: Histogram::new(RUN_SECONDS),
            });
        for (status, count) in RunStatus::ALL.into_iter().zip(&mut slot.statuses) {
            *count += u64::from(status == report.ledger.status);
        }
        for ((_, rows), count) in RESULTS.into_iter().zip(&mut slot.rows) {
            *count += rows(&report.ledger.counts);
        }
        let took = (report.finished_at - report.started_at).to_std();
        slot.duration.observe_time(took.unwrap_or_default());
    }

    /// What was counted so far.
    pub fn read(&self) -> Vec<SlotCounts> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = slots.iter().map(|((resource, scope), slot)| SlotCounts {
            resource,
            scope,
            statuses: slot.statuses,
            rows: slot.rows,
            duration: slot.duration.read(),
        });
        counts.collect()
    }
}

/// The messages that this process sent, or could not send.
#[derive(Debug, Default)]
pub struct Messages {
    /// Those that were accepted.
    pub sent: Counter,
    /// Those that were not.
    pub failed: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_every_bucket_from_its_own_on() {
        let histogram = Histogram::new([0.0, 10.0, 100.0]);
        for value in [0, 1, 10, 11, 100, 101] {
            histogram.observe(value);
        }
        let read = histogram.read();
        assert_eq!(read.up_to, [(0.0, 1), (10.0, 3), (100.0, 5)]);
        assert_eq!((read.count, read.sum.to_bits()), (6, 223.0_f64.to_bits()));
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [&REQUEST_SECONDS[..], &RUN_SECONDS, &PAGE_ELEMENTS] {
            assert!(bounds.is_sorted_by(|one, next| one < next), "{bounds:?}");
        }
    }

    #[test]
    fn a_request_counts_in_the_class_of_its_answer() {
        let traffic = Traffic::default();
        for status in [Some(200), Some(204), Some(404), Some(503), None, Some(999)] {
            traffic.answered(status, Duration::from_millis(20));
        }
        let counts: Vec<u64> = traffic.requests.iter().map(Counter::read).collect();
        assert_eq!(counts, [0, 2, 0, 1, 1, 2]);
        traffic.received.add(10);
        let used = Used {
            requests: 6,
            received: 10,
            ..Used::default()
        };
        assert_eq!(traffic.used(), used);
        assert_eq!(traffic.duration.read().count, 6);
    }
}
