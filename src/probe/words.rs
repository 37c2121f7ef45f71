//! How a report writes durations, times and settings.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::format;

/// A duration with a digit behind the point, as in a summary.
pub(super) fn time(time: Duration) -> String {
    format::precise(time.as_secs_f64())
}

/// The same for a difference between two times, which counts as zero where it is negative.
pub(super) fn difference(time: TimeDelta) -> String {
    self::time(time.to_std().unwrap_or_default())
}

/// A duration as a settings file writes it, rounded up to whole minutes.
pub(super) fn minutes(time: Duration) -> String {
    format!("{}m", time.as_secs().div_ceil(60).max(1))
}

/// A list of words.
pub(super) fn list<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(", ")
}
