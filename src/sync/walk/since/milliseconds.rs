//! The millisecond, in which the tenant counts time.

use chrono::{DateTime, TimeDelta};

use crate::model::Time;

/// The step of the tenant's dates.
pub(super) const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

/// Down to the millisecond, in which the tenant counts.
pub(super) fn millis(time: Time) -> Time {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}
