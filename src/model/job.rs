//! A job of the schedule, the options of its run, and the time of its next one.

use std::time::Duration;

use super::position::{Scope, Slot};

/// The slot of the job that compares the tenant's document with what is used. It is no resource's.
pub const DRIFT: Slot = Slot {
    resource: "drift",
    scope: Scope::Full,
};

/// The slot of the job that removes what is no longer kept. It is no resource's.
pub const HOUSEKEEPING: Slot = Slot {
    resource: "housekeeping",
    scope: Scope::Full,
};

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

/// A job with the options of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledJob {
    /// The job.
    pub job: Job,
    /// How far the run reads back before its watermark; none: the resource's setting.
    pub overlap: Option<Duration>,
    /// Whether the job runs at once in a database that does not know it. A job that only adds to another job of the
    /// same resource waits for its time.
    pub at_once: bool,
}

/// When a job runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// When its cron expression says so.
    OnTime,
    /// After this time, or by the cron expression if that is sooner. Zero: an interrupted run, which the next start
    /// continues.
    After(Duration),
    /// By the cron expression, but not before this time has passed.
    NotBefore(Duration),
}

impl Again {
    /// After a failed run: in five minutes, or by the cron expression if that is sooner. Most faults pass, and a retry
    /// in five minutes locks no account and costs one request.
    pub const FAILED: Self = Self::After(Duration::from_mins(5));
    /// After a run that the tenant does not offer or allow: a day later, when an upgrade or a person may have changed that. The hour
    /// less than a day lets a daily expression run each day.
    pub const SKIPPED: Self = Self::NotBefore(Duration::from_hours(23));
}
