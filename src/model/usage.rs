//! What reading the tenant costs: the month so far, what each kind of run costs, the limits of a month, and what is put off because of
//! them. How [`Usage`] serializes is a part of the contract of `status --json`.

use serde::{Deserialize, Serialize};

use super::Time;
use super::position::Scope;

/// The share of a limit, in percent, from which on it is warned of and full walks are spread.
pub const WARN_PERCENT: u64 = 80;

/// What was sent and received, in all or within a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests to the API.
    pub requests: u64,
    /// Bytes of bodies as they came.
    pub received: u64,
    /// Bytes of bodies after unpacking.
    pub unpacked: u64,
    /// Profiles that runs read.
    pub profiles: u64,
}

impl Used {
    /// What came after `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            received: self.received.saturating_sub(earlier.received),
            unpacked: self.unpacked.saturating_sub(earlier.unpacked),
            profiles: self.profiles.saturating_sub(earlier.profiles),
        }
    }

    /// Whether it is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The limits of a month; none: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests to the API.
    pub requests: Option<u64>,
    /// Bytes of bodies as they come.
    pub bytes: Option<u64>,
}

impl Budget {
    /// Whether there is no limit.
    pub const fn is_unlimited(&self) -> bool {
        self.requests.is_none() && self.bytes.is_none()
    }
}

/// The current month of the ledger, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The first moment of the month, in UTC.
    pub starts_at: Time,
    /// The first moment of the next one.
    pub ends_at: Time,
    /// Requests to the API.
    pub requests: Measure,
    /// Bytes of bodies as they came.
    pub bytes_received: Measure,
    /// The same bodies after unpacking, in bytes.
    pub bytes_unpacked: i64,
    /// Profiles that runs read.
    pub profiles_read: i64,
    /// The month before; none: nothing was written then.
    pub last_month: Option<MonthTotals>,
    /// What a run of each slot costs, by its last runs; slots without one are left out.
    pub costs: Vec<SlotCost>,
    /// Jobs that are due and wait because of a limit.
    pub put_off: Vec<PutOff>,
}

/// One amount of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// So far.
    pub used: i64,
    /// At the end of the month if the schedule goes on as it is; none: no process has made a schedule.
    pub forecast: Option<i64>,
    /// The limit of the settings.
    pub limit: Option<i64>,
}

impl Measure {
    /// The used share of the limit in whole percent; none without a limit.
    pub fn percent(&self) -> Option<i64> {
        let limit = i128::from(self.limit?.max(1));
        Some(i64::try_from(i128::from(self.used) * 100 / limit).unwrap_or(i64::MAX))
    }
}

/// The totals of a month that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthTotals {
    /// Requests to the API.
    pub requests: i64,
    /// Bytes of bodies as they came.
    pub bytes_received: i64,
    /// Profiles that runs read.
    pub profiles_read: i64,
}

/// What a run of a slot costs, by its last runs: all that they sent and received, over the number of them that came to their end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotCost {
    /// The resource.
    pub resource: String,
    /// The scope.
    pub scope: Scope,
    /// How many runs came to their end among those that count here.
    pub runs: i64,
    /// Requests of one run.
    pub requests: f64,
    /// Bytes of bodies of one run after unpacking.
    pub bytes_unpacked: f64,
    /// How long one run took, in seconds.
    pub seconds: f64,
    /// When the last run began.
    pub last_started_at: Time,
    /// When the last run ended that came to its end.
    pub last_ended_at: Option<Time>,
    /// Whether a walk stands between its pages.
    pub is_open: bool,
    /// Whether the slot was ever read to its end.
    pub was_complete: bool,
}

/// A job that waits because of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOff {
    /// Its name.
    pub job: String,
    /// Until when, as it looks now.
    pub until: Time,
    /// Why, as a sentence without a full stop.
    pub why: String,
}

impl Usage {
    /// The cost of a slot; none before its first run.
    pub fn cost(&self, resource: &str, scope: Scope) -> Option<&SlotCost> {
        let mut costs = self.costs.iter();
        costs.find(|cost| cost.resource == resource && cost.scope == scope)
    }

    /// Bytes on the wire of one byte after unpacking: of this month, and 1 before anything was unpacked.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
    pub fn packing(&self) -> f64 {
        if self.bytes_unpacked <= 0 {
            return 1.0;
        }
        self.bytes_received.used as f64 / self.bytes_unpacked as f64
    }

    /// The used share of the limit that is used most, in whole percent; none without a limit.
    pub fn percent(&self) -> Option<i64> {
        self.requests.percent().max(self.bytes_received.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_limit_that_is_used_most() {
        let measure = |used, limit| Measure {
            used,
            forecast: None,
            limit,
        };
        assert_eq!(measure(799, Some(1000)).percent(), Some(79));
        assert_eq!(measure(i64::MAX, Some(1)).percent(), Some(i64::MAX));
        assert_eq!(measure(5, None).percent(), None);
        let usage = |requests, bytes_received| Usage {
            requests,
            bytes_received,
            ..empty()
        };
        assert_eq!(
            usage(measure(1, Some(10)), measure(9, Some(10))).percent(),
            Some(90)
        );
        assert_eq!(usage(measure(1, Some(10)), measure(9, None)).percent(), Some(10));
        assert_eq!(usage(measure(1, None), measure(9, None)).percent(), None);
    }

    fn empty() -> Usage {
        Usage {
            starts_at: Time::UNIX_EPOCH,
            ends_at: Time::UNIX_EPOCH,
            requests: Measure::default(),
            bytes_received: Measure::default(),
            bytes_unpacked: 0,
            profiles_read: 0,
            last_month: None,
            costs: Vec::new(),
            put_off: Vec::new(),
        }
    }

    #[test]
    fn bytes_on_the_wire_follow_from_what_was_received() {
        let mut usage = empty();
        assert!((usage.packing() - 1.0).abs() < f64::EPSILON);
        usage.bytes_received.used = 25;
        usage.bytes_unpacked = 100;
        assert!((usage.packing() - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn what_came_since_is_what_is_more() {
        let all = Used {
            requests: 5,
            received: 10,
            unpacked: 20,
            profiles: 3,
        };
        assert!(all.since(&all).is_none());
        assert_eq!(all.since(&Used::default()), all);
    }
}
