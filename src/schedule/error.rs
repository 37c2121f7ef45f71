//! The errors of a schedule. Faults of the database are not among them, since the schedule waits for the database.

use tokio_cron_scheduler::JobSchedulerError;

/// A schedule that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The cron expression of a job cannot be understood.
    #[error("the schedule of `{job}` cannot be `{expression}`: {why}")]
    Expression {
        /// The job.
        job: String,
        /// Its expression.
        expression: String,
        /// What is wrong with it.
        why: String,
    },
    /// The time zone of a job does not exist.
    #[error("the schedule of `{job}` cannot be kept in `{zone}`: there is no such time zone")]
    Zone {
        /// The job.
        job: String,
        /// Its zone.
        zone: String,
    },
    /// The expression never matches.
    #[error("the cron expression `{expression}` never comes true after {after}")]
    Never {
        /// The expression.
        expression: String,
        /// The start of the search.
        after: crate::model::Time,
    },
    /// The heartbeat cannot be started.
    #[error("the heartbeat of the schedule cannot be started")]
    Heartbeat(#[from] JobSchedulerError),
}
