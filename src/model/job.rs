//! A job of the schedule, what its run is asked for, and when it runs again.

use std::time::Duration;

use super::position::Slot;

/// A job as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name in `sync.schedule`.
    pub name: String,
    /// What it runs.
    pub slot: Slot,
    /// Cron expression, 5 or 6 fields.
    pub cron: String,
    /// IANA zone.
    pub time_zone: String,
}

/// A job with what it asks of its run beyond the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledJob {
    /// The job.
    pub job: Job,
    /// How far the run reaches back behind its watermark; none: as the resource is set.
    pub overlap: Option<Duration>,
    /// Whether a database that does not know the job yet runs it at once. Jobs that only add to what another job of
    /// the same resource brings wait for their time.
    pub at_once: bool,
}

/// When a job wants to run after a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// When its cron expression says so.
    OnTime,
    /// After so long, or when its cron expression says so if that is sooner. Zero is for a run that a shutdown
    /// interrupted: the next start goes on with it.
    After(Duration),
}

impl Again {
    /// After a run that failed, for whatever reason: minutes later, or on time if that is sooner. Most faults pass, and what a
    /// person has mended should not wait for tomorrow; one try in five minutes locks no account and costs a request.
    pub const FAILED: Self = Self::After(Duration::from_mins(5));
}
