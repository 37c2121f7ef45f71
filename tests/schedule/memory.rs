//! `sync.schedule` in memory, with a clock that the tests move and faults to order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::model::job::{Job, JobClaim, StoredJob};
use blueconic_sync::model::ports::JobStore;
use tokio::time::Instant;

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) job: Job,
    pub(crate) next: Time,
    pub(crate) claim: Option<(String, Time)>,
    pub(crate) claimed_at: Option<Time>,
    pub(crate) requested: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<String, Row>,
    /// Resources that are paused.
    pub(crate) paused: BTreeSet<&'static str>,
    /// Processes that keep the schedule.
    pub(crate) services: BTreeSet<String>,
    pub(crate) away: bool,
    pub(crate) calls: u64,
    pub(crate) extended: u64,
    epoch: Time,
    started: Instant,
}

/// The database's clock goes with tokio's, which tests pause; `forward` moves it alone.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Mutex<State>>);

impl Memory {
    pub(crate) fn at(now: Time) -> Arc<Self> {
        Arc::new(Self(Arc::new(Mutex::new(State {
            rows: BTreeMap::new(),
            paused: BTreeSet::new(),
            services: BTreeSet::new(),
            away: false,
            calls: 0,
            extended: 0,
            epoch: now,
            started: Instant::now(),
        }))))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn forward(&self, time: chrono::Duration) {
        self.state().epoch += time;
    }

    /// Asks for a run by hand.
    pub(crate) fn request(&self, name: &str) {
        let mut state = self.state();
        let now = state.now();
        state.rows.get_mut(name).unwrap().requested = Some(now);
    }

    pub(crate) fn next(&self, name: &str) -> Time {
        self.state().rows[name].next
    }

    fn open(&self) -> Outcome<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls += 1;
        if state.away {
            return Err(Fault::new(Kind::Transient, "the database is away"));
        }
        Ok(state)
    }
}

impl State {
    pub(crate) fn now(&self) -> Time {
        self.epoch + chrono::Duration::from_std(self.started.elapsed()).unwrap()
    }

    fn mine(&mut self, name: &str, holder: &str) -> Outcome<&mut Row> {
        let row = self
            .rows
            .get_mut(name)
            .filter(|row| row.claim.as_ref().is_some_and(|(claimant, _)| claimant == holder));
        row.ok_or_else(|| Fault::new(Kind::Fenced, "the claim is another's"))
    }
}

impl JobStore for Memory {
    async fn now(&self) -> Outcome<Time> {
        Ok(self.open()?.now())
    }

    async fn beat(&self, holder: &str, _: Duration) -> Outcome<(Time, Vec<StoredJob>)> {
        let mut state = self.open()?;
        state.services.insert(holder.to_owned());
        let jobs = state.rows.values().map(|row| StoredJob {
            job: row.job.clone(),
            next_run_at: row.next,
            is_requested: row.requested.is_some(),
            is_paused: state.paused.contains(row.job.slot.resource),
        });
        Ok((state.now(), jobs.collect()))
    }

    async fn leave(&self, holder: &str) -> Outcome<()> {
        self.open()?.services.remove(holder);
        Ok(())
    }

    async fn put(&self, job: &Job, next_run_at: Time) -> Outcome<()> {
        let mut state = self.open()?;
        let former = state.rows.get(&job.name);
        let row = Row {
            job: job.clone(),
            next: next_run_at,
            claim: former.and_then(|row| row.claim.clone()),
            claimed_at: former.and_then(|row| row.claimed_at),
            requested: former.and_then(|row| row.requested),
        };
        state.rows.insert(job.name.clone(), row);
        Ok(())
    }

    async fn keep_only(&self, names: &[String]) -> Outcome<()> {
        self.open()?.rows.retain(|name, _| names.contains(name));
        Ok(())
    }

    async fn claim(&self, name: &str, holder: &str, hold: Duration) -> Outcome<Option<JobClaim>> {
        let mut state = self.open()?;
        let now = state.now();
        let State { rows, paused, .. } = &mut *state;
        let Some(row) = rows.get_mut(name) else {
            return Ok(None);
        };
        let free = row.claim.as_ref().is_none_or(|(_, until)| *until <= now);
        let due = row.next <= now || row.requested.is_some();
        if !due || !free || paused.contains(row.job.slot.resource) {
            return Ok(None);
        }
        row.claim = Some((holder.to_owned(), now + hold));
        row.claimed_at = Some(now);
        Ok(Some(JobClaim {
            is_requested: row.requested.is_some(),
        }))
    }

    async fn extend(&self, name: &str, holder: &str, hold: Duration) -> Outcome<()> {
        let mut state = self.open()?;
        state.extended += 1;
        let until = state.now() + hold;
        state.mine(name, holder)?.claim = Some((holder.to_owned(), until));
        Ok(())
    }

    async fn done(&self, name: &str, holder: &str, next_run_at: Time) -> Outcome<()> {
        let mut state = self.open()?;
        let row = state.mine(name, holder)?;
        row.next = next_run_at;
        row.claim = None;
        row.requested = row.requested.filter(|at| Some(*at) > row.claimed_at);
        Ok(())
    }
}
