//! How late something appears. The same question is asked again and again. What an answer has for the first time was late by no more
//! than the time since its date. At the answer before it was missing, which bounds its lateness from below.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;

/// Something with a date.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dated {
    /// A number that stands for it.
    pub(super) print: u64,
    /// Its date.
    pub(super) date: Time,
}

/// The answers to one question.
#[derive(Debug, Default)]
pub(super) struct Watch {
    shown: HashSet<u64>,
    /// When the last answer came that can be compared with the next one.
    before: Option<Time>,
    /// When the last answer came.
    pub(super) last: Option<Time>,
    /// How many answers came.
    pub(super) polls: u32,
    lateness: Lateness,
    /// Why the question is not asked any more.
    pub(super) ended: Option<String>,
}

/// How late things appeared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lateness {
    /// How many appeared while they were watched for, or were looked for.
    pub(super) measured: u32,
    /// One was late by at least this.
    pub(super) at_least: Option<Duration>,
    /// None was later than this.
    pub(super) at_most: Option<Duration>,
    /// The age of the youngest one in the first answer: it was no later than this.
    pub(super) youngest: Option<Duration>,
}

impl Lateness {
    /// One was late by at least `low` and at most `high`.
    fn note(&mut self, low: TimeDelta, high: TimeDelta) {
        self.measured += 1;
        self.at_least = self.at_least.max(Some(positive(low)));
        self.at_most = self.at_most.max(Some(positive(high)));
    }

    /// What was shown to bound the delay from above: none if nothing was.
    pub(super) fn bound(&self) -> Option<Duration> {
        self.at_most.or(self.youngest)
    }
}

fn positive(time: TimeDelta) -> Duration {
    time.to_std().unwrap_or_default()
}

impl Watch {
    /// Takes an answer that came at `now`. `is_cut`: the answer may lack something, so nothing in the next one is known to be late.
    pub(super) fn take(&mut self, now: Time, is_cut: bool, items: impl IntoIterator<Item = Dated>) {
        let is_first = self.polls == 0;
        for item in items {
            if !self.shown.insert(item.print) {
                continue;
            }
            let age = now - item.date;
            if is_first {
                let age = positive(age);
                self.lateness.youngest = Some(self.lateness.youngest.map_or(age, |known| known.min(age)));
            } else if let Some(before) = self.before {
                self.lateness.note(before - item.date, age);
            }
        }
        self.before = (!is_cut).then_some(now);
        self.last = Some(now);
        self.polls += 1;
    }

    /// Whether it is time to ask again.
    pub(super) fn is_due(&self, now: Time, every: TimeDelta, most: u32) -> bool {
        self.ended.is_none() && self.polls < most && self.last.is_none_or(|last| now - last >= every)
    }

    /// How late things appeared so far.
    pub(super) fn lateness(&self) -> Lateness {
        self.lateness
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn dated(print: u64, seconds: i64) -> Dated {
        Dated {
            print,
            date: at(seconds),
        }
    }

    #[test]
    fn lateness_lies_between_two_answers() {
        let mut watch = Watch::default();
        watch.take(at(0), false, [dated(1, -100)]);
        assert_eq!(watch.lateness().bound(), Some(Duration::from_secs(100)));
        watch.take(at(10), false, [dated(1, -100), dated(2, 4)]);
        let lateness = watch.lateness();
        assert_eq!(lateness.at_least, Some(Duration::ZERO));
        assert_eq!(lateness.bound(), Some(Duration::from_secs(6)));
        watch.take(at(20), true, [dated(3, -50)]);
        let lateness = watch.lateness();
        assert_eq!(
            (lateness.measured, lateness.at_least, lateness.bound()),
            (2, Some(Duration::from_mins(1)), Some(Duration::from_secs(70)))
        );
        // After an answer that was cut nothing is known to be late.
        watch.take(at(30), false, [dated(4, -500)]);
        assert_eq!(watch.lateness(), lateness);
        assert!(!watch.is_due(at(31), TimeDelta::seconds(3), 10));
        assert!(watch.is_due(at(33), TimeDelta::seconds(3), 10));
        assert!(!watch.is_due(at(33), TimeDelta::seconds(3), 4));
    }
}
