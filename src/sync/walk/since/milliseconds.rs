//! The millisecond: the resolution of the tenant's dates.

use chrono::{DateTime, TimeDelta};

use crate::model::Time;

/// The resolution of the tenant's dates.
pub(super) const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

/// Rounds down to the millisecond.
pub(super) fn millis(time: Time) -> Time {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}
