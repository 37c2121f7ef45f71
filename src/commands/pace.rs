//! How far a walk is, how fast it reads, and when its reading ends: from the tenant's total and the speed of the last minutes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The speed is that of so many minutes at most.
const LOOK_BACK: Duration = Duration::from_mins(5);
/// The time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Before this time a speed says nothing.
const AT_LEAST: Duration = Duration::from_secs(10);

/// The progress of one run.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Elements that earlier runs of the walk had read.
    before: u64,
    /// Elements that this run had read when the listing began.
    skipped: u64,
    /// Elements of this run.
    read: u64,
    samples: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// A listing begins behind so many elements.
    pub(super) fn begin(&mut self, read_before: u64) {
        self.before = read_before;
        self.skipped = self.read;
    }

    /// The run has read so many elements.
    pub(super) fn note(&mut self, now: Instant, read: u64) {
        self.read = read;
        let is_due = |(at, _): &(Instant, u64)| now.duration_since(*at) >= SAMPLE_EVERY;
        if self.samples.back().is_none_or(is_due) {
            self.samples.push_back((now, read));
        }
        while self.samples.len() > 2
            && self
                .samples
                .get(1)
                .is_some_and(|(at, _)| now.duration_since(*at) >= LOOK_BACK)
        {
            self.samples.pop_front();
        }
    }

    /// Elements of the walk, those of earlier runs among them.
    pub(super) fn far(&self) -> u64 {
        self.before + self.read.saturating_sub(self.skipped)
    }

    /// Elements a second.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        let (at, read) = *self.samples.front()?;
        let time = now.duration_since(at);
        #[expect(clippy::cast_precision_loss, reason = "a speed for a person to read")]
        (time >= AT_LEAST).then(|| self.read.saturating_sub(read) as f64 / time.as_secs_f64())
    }

    /// The time until a total is read at this speed.
    pub(super) fn left(&self, now: Instant, total: u64) -> Option<Duration> {
        let speed = self.per_second(now).filter(|speed| *speed > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "a time for a person to read")]
        Duration::try_from_secs_f64(total.saturating_sub(self.far()) as f64 / speed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_walk_is_as_far_as_all_its_runs_and_as_fast_as_in_the_last_minutes() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        pace.begin(1_000_000);
        pace.note(began, 0);
        assert_eq!((pace.far(), pace.left(began, 2_000_000)), (1_000_000, None));
        // A slow hour, then ten minutes at 1,000 a second.
        for minute in 1..=60 {
            pace.note(at(minute * 60), minute);
        }
        for second in 1..=600 {
            pace.note(at(3_600 + second), 60 + second * 1_000);
        }
        let now = at(4_200);
        let speed = pace.per_second(now).unwrap_or_default();
        assert!((speed - 1_000.0).abs() < 1.0, "{speed}");
        assert_eq!(pace.far(), 1_600_060);
        let left = pace.left(now, 2_000_000).unwrap_or_default();
        assert!((395..=405).contains(&left.as_secs()), "{left:?}");
        assert!(
            pace.samples.len() < 100,
            "it keeps {} samples",
            pace.samples.len()
        );
    }

    #[test]
    fn a_listing_that_begins_anew_is_at_its_start() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.begin(0);
        pace.note(now, 700);
        pace.begin(0);
        assert_eq!(pace.far(), 0);
        pace.note(now, 900);
        assert_eq!(pace.far(), 200);
    }
}
