//! The ports of the schedule and of observers: the rows of `sync.schedule`, the runner of jobs, and the status.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::job::{Again, Job, JobClaim, ScheduledJob, StoredJob};
use crate::model::status::Status;
use crate::model::usage::PutOff;

/// The rows of `sync.schedule`.
pub trait JobStore: Send + Sync + 'static {
    /// The database's clock.
    fn now(&self) -> impl Future<Output = Outcome<Time>> + Send;
    /// Records that `holder` looks for due jobs, and does so every `heartbeat`. Returns the database's clock and the stored jobs.
    fn beat(
        &self,
        holder: &str,
        heartbeat: Duration,
    ) -> impl Future<Output = Outcome<(Time, Vec<StoredJob>)>> + Send;
    /// Records that `holder` no longer does.
    fn leave(&self, holder: &str) -> impl Future<Output = Outcome<()>> + Send;
    /// Writes a job with its next run (new, or its cron or zone changed).
    fn put(&self, job: &Job, next_run_at: Time) -> impl Future<Output = Outcome<()>> + Send;
    /// Removes jobs that are not among these names.
    fn keep_only(&self, names: &[String]) -> impl Future<Output = Outcome<()>> + Send;
    /// Claims the job for `hold` if it is due or requested, not paused and unclaimed; none if the claim was not obtained.
    fn claim(
        &self,
        name: &str,
        holder: &str,
        hold: Duration,
    ) -> impl Future<Output = Outcome<Option<JobClaim>>> + Send;
    /// Extends a claim.
    fn extend(&self, name: &str, holder: &str, hold: Duration) -> impl Future<Output = Outcome<()>> + Send;
    /// Releases the claim and stores the time of the next run. A request from before the claim is done with; a later one stays.
    fn done(&self, name: &str, holder: &str, next_run_at: Time) -> impl Future<Output = Outcome<()>> + Send;
}

/// Runs due jobs. A run reports its own failures; none reaches the schedule.
pub trait Runner: Send + Sync + 'static {
    /// Whether a job that is due `now`, and that nobody asked for by hand, waits all the same. It stays due, and this is asked again at each
    /// heartbeat.
    fn put_off(
        &self,
        _job: &ScheduledJob,
        _now: Time,
    ) -> impl Future<Output = Outcome<Option<PutOff>>> + Send {
        async { Ok(None) }
    }
    /// Runs a job until it ends, or until `cancel` asks it to stop at the next safe point.
    fn run(&self, job: &ScheduledJob, cancel: CancellationToken) -> impl Future<Output = Again> + Send;
}

/// Provides the state that `/healthz`, `/readyz`, the metrics and the status page show.
pub trait Observer: Send + Sync + 'static {
    /// Returns a fault unless the database answers and has this binary's schema.
    fn ready(&self) -> impl Future<Output = Outcome<()>> + Send;
    /// The state of the service.
    fn status(&self) -> impl Future<Output = Outcome<Status>> + Send;
}
