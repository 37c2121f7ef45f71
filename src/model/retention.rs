//! How long what the service writes down is kept, and what a housekeeping removed.

use std::time::Duration;

/// How long it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Runs.
    pub runs: Duration,
    /// Months of audit events; none: for ever.
    pub audit_events: Option<Duration>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Runs, whose totals stay.
    pub runs: u64,
    /// Partitions of audit events, by name.
    pub partitions: Vec<String>,
    /// Why a partition was not removed yet.
    pub postponed: Option<String>,
}
