//! A job of the schedule, the options of its run, and the time of its next one.

use std::time::Duration;

use super::Time;
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
    /// How long after the time of its cron expression the job starts.
    pub jitter: Jitter,
}

/// A delay that spreads jobs with the same cron expression. It is the same at each run, so that runs keep their distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jitter {
    /// The longest delay. A job is never delayed beyond the next time of its expression.
    pub most: Duration,
    /// The part of the longest delay that this job waits, of 2^32.
    pub share: u32,
}

/// A job as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJob {
    /// The job.
    pub job: Job,
    /// When it runs next.
    pub next_run_at: Time,
    /// Whether a person asked for a run that has not ended yet.
    pub is_requested: bool,
    /// Whether a person holds the jobs of its resource.
    pub is_paused: bool,
}

impl StoredJob {
    /// Whether a run may start `now`, by the database's clock.
    pub fn is_due(&self, now: Time) -> bool {
        !self.is_paused && (self.is_requested || self.next_run_at <= now)
    }
}

/// A job that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobClaim {
    /// Whether a person asked for the run.
    pub is_requested: bool,
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
    /// Another process reads the same now: by the cron expression. A run that a person asked for is tried again in a minute.
    ReadByAnother,
}

impl Again {
    /// After a failed run: in five minutes, or by the cron expression if that is sooner. Most faults pass, and a retry
    /// in five minutes locks no account and costs one request.
    pub const FAILED: Self = Self::After(Duration::from_mins(5));
    /// After a run that the tenant does not offer or allow: a day later, when an upgrade or a person may have changed that. The hour
    /// less than a day lets a daily expression run each day.
    pub const SKIPPED: Self = Self::NotBefore(Duration::from_hours(23));
    /// After a run that a person asked for found another process at work.
    pub const REQUESTED: Self = Self::After(Duration::from_mins(1));
}
