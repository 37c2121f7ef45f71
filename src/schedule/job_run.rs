//! One run of a job. The claim is extended while the job runs and released with the time of the next run. No failure
//! here ends the schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::outage::Outage;
use super::plan::{Entry, after_run};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::job::Again;
use crate::model::ports::{JobStore, Runner};

/// The wait between attempts to release a claim while the database is unreachable.
const RETRY: Duration = Duration::from_secs(1);
/// How long a shutdown waits for an unreachable database; the claim then lapses by itself.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// A job that is claimed.
pub(super) struct JobRun<S, R> {
    pub(super) entry: Arc<Entry>,
    /// Whether a person asked for the run.
    pub(super) is_requested: bool,
    pub(super) store: Arc<S>,
    pub(super) runner: Arc<R>,
    pub(super) holder: String,
    pub(super) hold: Duration,
    pub(super) outage: Arc<Outage>,
    pub(super) cancel: CancellationToken,
}

impl<S: JobStore, R: Runner> JobRun<S, R> {
    /// Runs the job and releases the claim.
    pub(super) async fn execute(self) {
        let name = self.name();
        let began = Instant::now();
        tracing::debug!(job = name, "job `{name}` started");
        let again = tokio::select! {
            again = self.run() => again,
            never = self.extend_claim() => match never {},
        };
        let seconds = began.elapsed().as_secs();
        tracing::debug!(job = name, seconds, "job `{name}` ended after {seconds} s");
        self.release_claim(again).await;
    }

    fn name(&self) -> &str {
        &self.entry.scheduled.job.name
    }

    /// Runs the job in a separate task, so that a panic ends only this run.
    async fn run(&self) -> Again {
        let (entry, runner, cancel) = (
            Arc::clone(&self.entry),
            Arc::clone(&self.runner),
            self.cancel.clone(),
        );
        let task = tokio::spawn(async move { runner.run(&entry.scheduled, cancel).await });
        let again = AbortOnDropHandle::new(task).await.unwrap_or_else(|error| {
            // The panic message may contain anything; the panic hook has logged it.
            let name = self.name();
            let how = if error.is_panic() {
                "panicked"
            } else {
                "was aborted"
            };
            tracing::error!(job = name, "job `{name}` {how}; it runs again within minutes");
            Again::FAILED
        });
        match again {
            Again::ReadByAnother if self.is_requested => Again::REQUESTED,
            again => again,
        }
    }

    /// Extends the claim until dropped.
    async fn extend_claim(&self) -> std::convert::Infallible {
        loop {
            sleep(self.hold / 3).await;
            let outcome = self.store.extend(self.name(), &self.holder, self.hold).await;
            match &outcome {
                // The lease of the run protects the data; two runs of a job at once only waste time.
                Err(fault) if fault.kind == Kind::Fenced => {
                    tracing::warn!(
                        job = self.name(),
                        "the claim of job `{}` went to another replica",
                        self.name()
                    );
                }
                _ => self.outage.note(&outcome),
            }
        }
    }

    /// Retries until the claim is released, or cannot be. A job whose claim lapses is still due and runs again.
    async fn release_claim(&self, again: Again) {
        let mut leaving: Option<Instant> = None;
        loop {
            let outcome = self.store_next_run(again).await;
            match &outcome {
                Ok(()) => return self.outage.note(&outcome),
                Err(fault) if fault.kind == Kind::Fenced => return,
                Err(fault) if !fault.is_transient() => return self.report(fault),
                Err(_) => self.outage.note(&outcome),
            }
            if self.cancel.is_cancelled() {
                let since = *leaving.get_or_insert_with(Instant::now);
                if since.elapsed() >= CLOSING_TIME {
                    return;
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn store_next_run(&self, again: Again) -> Outcome<()> {
        let now = self.store.now().await?;
        let next = after_run(&self.entry.timetable, again, now)
            .map_err(|error| Fault::new(Kind::Final, error.to_string()))?;
        self.store.done(self.name(), &self.holder, next).await
    }

    fn report(&self, fault: &Fault) {
        let hint = fault
            .hint
            .as_deref()
            .unwrap_or("it runs again when its claim has lapsed");
        let name = self.name();
        tracing::error!(
            job = name,
            hint,
            "job `{name}` ran, but its next time could not be stored: {fault}"
        );
    }
}
