//! The tenant's clock, estimated from its answers. A single `Date` header may come from one node or from a cache, so each
//! answer is one reading, and the median of the last few counts. Uses the monotonic clock; knows nothing of watermarks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use reqwest::header::{AGE, DATE, HeaderMap};

use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::model::Time;

/// The number of readings. Small enough to follow a corrected clock within a run or two; odd, and large enough to
/// outvote four wrong readings.
const READINGS: usize = 9;
/// An `Age` above this (30 days, in seconds) is a mistake: RFC 9111 lets a cache that cannot count send 2^31.
const LONGEST_AGE: i64 = 30 * 24 * 3600;

/// The clock of one tenant. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct TenantClock {
    monotonic: MonotonicClock,
    /// The offsets of the tenant's clock from our monotonic clock, by the latest answers, newest last.
    readings: Arc<Mutex<VecDeque<TimeDelta>>>,
}

impl TenantClock {
    pub(super) fn new(monotonic: MonotonicClock) -> Self {
        Self {
            monotonic,
            readings: Arc::default(),
        }
    }

    /// Takes a reading from an answer. `Date` is the time at which the answer was made, `Age` its age in a cache. An
    /// invalid `Age` makes the reading unusable.
    pub(super) fn hear(&self, headers: &HeaderMap) {
        let (Some(date), Some(age)) = (date(headers), age(headers)) else {
            return;
        };
        let reading = date + age - self.elapsed();
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() == READINGS {
            readings.pop_front();
        }
        readings.push_back(reading.signed_duration_since(Time::UNIX_EPOCH));
    }

    /// The tenant's time now, by the median. Of an even number of readings the earlier middle one counts: a time that is too early
    /// costs repeated reading, while a time that is too late would lose changes.
    pub(super) fn now(&self) -> Option<Time> {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<TimeDelta> = readings.iter().copied().collect();
        drop(readings);
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Time::UNIX_EPOCH.checked_add_signed(*middle + self.elapsed())
    }

    /// Takes a reading and returns the time of the answer's content: an answer that was in a cache for two hours shows nothing of
    /// these two hours.
    pub(super) fn answered(&self, headers: &HeaderMap) -> Option<Time> {
        self.hear(headers);
        self.now()?.checked_sub_signed(age(headers).unwrap_or_default())
    }

    fn elapsed(&self) -> TimeDelta {
        TimeDelta::from_std(self.monotonic.now()).unwrap_or_default()
    }
}

fn date(headers: &HeaderMap) -> Option<Time> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok().map(Time::from)
}

/// The `Age` header: zero if absent, none if invalid.
fn age(headers: &HeaderMap) -> Option<TimeDelta> {
    let Some(value) = headers.get(AGE) else {
        return Some(TimeDelta::zero());
    };
    let seconds = value.to_str().ok()?.trim().parse::<i64>().ok()?;
    (0..=LONGEST_AGE)
        .contains(&seconds)
        .then(|| TimeDelta::seconds(seconds))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use std::time::{Duration, SystemTime};

    use reqwest::header::HeaderValue;

    use super::*;
    use crate::blueconic::monotonic_clock::manual::ManualClock;

    /// The headers of an answer: a `Date` that is `off` seconds after one hour of 1970, and perhaps an `Age`.
    fn headers(off: i64, age: Option<&str>) -> HeaderMap {
        let seconds = u64::try_from(3_600 + off).unwrap();
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_str(&date).unwrap());
        if let Some(age) = age {
            headers.insert(AGE, HeaderValue::from_str(age).unwrap());
        }
        headers
    }

    fn clock() -> TenantClock {
        let (standing, monotonic) = ManualClock::new();
        standing.advance(Duration::from_hours(1));
        TenantClock::new(monotonic)
    }

    /// The clock's offset in seconds after answers with these offsets.
    fn heard(offs: &[i64]) -> Option<i64> {
        let clock = clock();
        for off in offs {
            clock.hear(&headers(*off, None));
        }
        clock.now().map(|now| now.timestamp() - 3_600)
    }

    #[test]
    fn several_answers_outvote_one() {
        assert_eq!(heard(&[]), None);
        assert_eq!(heard(&[-60]), Some(-60), "one is all that is known");
        assert_eq!(heard(&[1_200, 0]), Some(0));
        assert_eq!(heard(&[1_200, 0, 0]), Some(0));
        assert_eq!(heard(&[0, -1_200, 1]), Some(0));
        assert_eq!(heard(&[0, 0, 1_200, 1_200]), Some(0));
        let mut many = vec![900; 4];
        many.extend([0; 5]);
        assert_eq!(heard(&many), Some(0), "four of nine are outvoted");
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let mut offs = vec![0; 9];
        offs.extend([-1_200; 5]);
        assert_eq!(heard(&offs), Some(-1_200));
    }

    #[test]
    fn age_counts_and_an_odd_one_spoils_the_reading() {
        let clock = clock();
        let cached = headers(-1_800, Some("1800"));
        let spoken = clock.answered(&cached).unwrap().timestamp();
        assert_eq!(spoken, 1_800, "it says nothing of the last half hour");
        assert_eq!(clock.now().unwrap().timestamp(), 3_600);
        for odd in ["-5", "soon", "2147483648", "1.5", ""] {
            clock.hear(&headers(-3_000, Some(odd)));
        }
        assert_eq!(clock.now().unwrap().timestamp(), 3_600);
    }
}
