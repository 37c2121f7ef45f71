//! The loop of the schedule: at each heartbeat, due jobs are claimed and run. The claim in the database decides who
//! runs a job, so that a job never overlaps itself, whatever the number of replicas.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ScheduleError;
use super::heartbeat::Heartbeat;
use super::job_run::JobRun;
use super::outage::Outage;
use super::plan::{Entry, Timetable, at_start};
use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::job::{ScheduledJob, StoredJob};
use crate::model::liveness::Liveness;
use crate::model::ports::{JobStore, Runner};
use crate::model::position::Slot;

/// The options of this process's scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerOptions {
    /// Its name in `claimed_by`, unique for each process.
    pub holder: String,
    /// How long a claim holds without an extension (`schedule.lease_ttl`).
    pub hold: Duration,
    /// How often it looks for due jobs (`schedule.heartbeat`), for whoever asks when a job will start.
    pub heartbeat: Duration,
    /// Recorded at each round, for the health check.
    pub liveness: Liveness,
}

/// How long a shutdown waits for the database to take this process off the list of services.
const LEAVING: Duration = Duration::from_secs(1);

/// Runs the schedule until `cancel`, then waits until the running jobs have stopped at a safe point and their claims
/// are released. That takes as long as the runner needs; the caller sets the bound.
///
/// Waits for an unreachable database. The only errors are those of the schedule itself, at the start.
pub async fn run<S: JobStore, R: Runner>(
    store: Arc<S>,
    jobs: Vec<ScheduledJob>,
    runner: Arc<R>,
    mut heartbeat: Heartbeat,
    options: SchedulerOptions,
    cancel: CancellationToken,
) -> Result<(), ScheduleError> {
    let scheduler = Scheduler {
        entries: entries(jobs)?,
        store,
        runner,
        options,
        tracker: TaskTracker::new(),
        running: Running::default(),
        outage: Arc::default(),
        cancel,
    };
    scheduler.keep(&mut heartbeat).await;
    heartbeat.stop().await;
    scheduler.tracker.close();
    tokio::join!(scheduler.leave(), scheduler.tracker.wait());
    Ok(())
}

fn entries(jobs: Vec<ScheduledJob>) -> Result<Vec<Arc<Entry>>, ScheduleError> {
    jobs.into_iter()
        .map(|scheduled| {
            let timetable = Timetable::of(&scheduled.job)?.spread(scheduled.jitter);
            // An impossible expression (30 February) is an error at the start, not when the job would be due.
            timetable.next_after(chrono::Utc::now())?;
            Ok(Arc::new(Entry { scheduled, timetable }))
        })
        .collect()
}

struct Scheduler<S, R> {
    entries: Vec<Arc<Entry>>,
    store: Arc<S>,
    runner: Arc<R>,
    options: SchedulerOptions,
    tracker: TaskTracker,
    running: Running,
    outage: Arc<Outage>,
    cancel: CancellationToken,
}

impl<S: JobStore, R: Runner> Scheduler<S, R> {
    async fn keep(&self, heartbeat: &mut Heartbeat) {
        let mut reconciled = false;
        loop {
            self.options.liveness.record();
            // A claim that is cut off here by a shutdown lapses by itself.
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                outcome = self.round(&mut reconciled) => self.outage.note(&outcome),
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                () = self.running.ended.notified() => {}
                () = heartbeat.next() => {}
            }
        }
    }

    /// Starts nothing more: whoever asks for a run must not be told that this process will start it.
    async fn leave(&self) {
        let left = tokio::time::timeout(LEAVING, self.store.leave(&self.options.holder)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!("this process stays on the list of services until its last heartbeat is too old");
        }
    }

    async fn round(&self, reconciled: &mut bool) -> Outcome<()> {
        let SchedulerOptions {
            holder, heartbeat, ..
        } = &self.options;
        let beat = async || {
            let (now, jobs) = self.store.beat(holder, *heartbeat).await?;
            let stored = jobs.into_iter().map(|row| (row.job.name.clone(), row));
            Outcome::Ok((now, stored.collect::<HashMap<String, StoredJob>>()))
        };
        let (mut now, mut stored) = beat().await?;
        if !*reconciled {
            self.reconcile(&stored, now).await?;
            *reconciled = true;
            (now, stored) = beat().await?;
        }
        for entry in &self.entries {
            match stored.get(&entry.scheduled.job.name) {
                Some(job) if job.is_due(now) => self.begin(entry, job, now).await?,
                Some(_) => {}
                // The table was emptied, or an older replica deleted the job as an unknown one.
                None => self.put(entry, None, now).await?,
            }
        }
        Ok(())
    }

    /// Brings the stored jobs in line with the settings, once for each start.
    async fn reconcile(&self, stored: &HashMap<String, StoredJob>, now: Time) -> Outcome<()> {
        let names: Vec<String> = self
            .entries
            .iter()
            .map(|entry| entry.scheduled.job.name.clone())
            .collect();
        self.store.keep_only(&names).await?;
        for entry in &self.entries {
            self.put(entry, stored.get(&entry.scheduled.job.name), now)
                .await?;
        }
        Ok(())
    }

    async fn put(&self, entry: &Entry, stored: Option<&StoredJob>, now: Time) -> Outcome<()> {
        let Entry { scheduled, timetable } = entry;
        match at_start(scheduled, timetable, stored, now) {
            Ok(Some(next)) => self.store.put(&scheduled.job, next).await,
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::error!(
                    job = scheduled.job.name,
                    "job `{}` is not scheduled: {error}",
                    scheduled.job.name
                );
                Ok(())
            }
        }
    }

    /// Claims a due job and starts its run. Another job of the same slot has to end first: it stays due. So does a job that is put off,
    /// unless a person asked for it.
    async fn begin(&self, entry: &Arc<Entry>, stored: &StoredJob, now: Time) -> Outcome<()> {
        let SchedulerOptions { holder, hold, .. } = &self.options;
        let job = &entry.scheduled.job;
        let Some(place) = self.running.take(job.slot) else {
            return Ok(());
        };
        if !stored.is_requested && self.runner.put_off(&entry.scheduled, now).await?.is_some() {
            return Ok(());
        }
        let Some(claim) = self.store.claim(&job.name, holder, *hold).await? else {
            return Ok(());
        };
        let job_run = JobRun {
            is_requested: claim.is_requested,
            entry: Arc::clone(entry),
            store: Arc::clone(&self.store),
            runner: Arc::clone(&self.runner),
            holder: holder.clone(),
            hold: *hold,
            outage: Arc::clone(&self.outage),
            cancel: self.cancel.child_token(),
        };
        self.tracker.spawn(async move {
            job_run.execute().await;
            place.leave();
        });
        Ok(())
    }
}

/// The slots in which this process runs jobs.
#[derive(Debug, Clone, Default)]
struct Running {
    slots: Arc<Mutex<HashSet<Slot>>>,
    /// Notified when a slot gets free, so that a waiting job need not wait for the next heartbeat as well.
    ended: Arc<Notify>,
}

impl Running {
    fn take(&self, slot: Slot) -> Option<SlotGuard> {
        let free = self
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(slot);
        free.then(|| SlotGuard {
            running: self.clone(),
            slot,
        })
    }
}

/// A slot that is taken until this is dropped.
struct SlotGuard {
    running: Running,
    slot: Slot,
}

impl SlotGuard {
    /// Frees the slot after a job run and notifies waiting jobs.
    fn leave(self) {
        let ended = Arc::clone(&self.running.ended);
        drop(self);
        ended.notify_one();
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.running
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.slot);
    }
}
