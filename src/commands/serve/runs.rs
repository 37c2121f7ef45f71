//! Runs due jobs with the engine, and decides when each runs again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::{self, Overrides, SyncEngine};
use crate::clock::SystemClock;
use crate::commands::{drift, housekeeping};
use crate::config::settings::Settings;
use crate::memory;
use crate::model::Time;
use crate::model::description::Description;
use crate::model::fault::{Kind, Outcome};
use crate::model::format;
use crate::model::job::{Again, DRIFT, HOUSEKEEPING, ScheduledJob};
use crate::model::ledger::RunReport;
use crate::model::metrics::EndedRuns;
use crate::model::ports::{Clock as _, Runner};
use crate::model::position::{Scope, Slot};
use crate::model::status::RunStatus;
use crate::model::usage::PutOff;
use crate::model::window::DailyWindow;
use crate::postgres::store::PostgresStore;
use crate::resources::registry::Entry;
use crate::schedule::budget::Plan;
use crate::sync::run_spec::WhenHeld;

/// When a run is retried that failed because of the database: a retry costs the tenant nothing.
const TRY_DATABASE_AGAIN: Duration = Duration::from_secs(15);
/// When a list is tried again whose parents were not read yet; twice as late each time, up to an hour.
const PARENTS_MAY_BE_READ: Duration = Duration::from_secs(5);
const LATEST: Duration = Duration::from_hours(1);

/// Runs due jobs with the engine.
pub(super) struct Runs {
    pub(super) engine: SyncEngine,
    pub(super) entries: Vec<Entry>,
    pub(super) settings: Settings,
    pub(super) store: PostgresStore,
    /// How long each list waited last for its parents.
    pub(super) waited: Mutex<HashMap<Slot, Duration>>,
    /// The lists whose last run was skipped.
    pub(super) skipped: Mutex<HashSet<Slot>>,
    /// Counts the runs that have ended.
    pub(super) ended: Arc<EndedRuns>,
    /// The jobs as a whole, for what a month may cost.
    pub(super) plan: Plan,
    /// The jobs that are put off, by name, so that the log tells it once.
    pub(super) put_off: Mutex<HashSet<String>>,
}

impl Runs {
    /// How long a list waits for its parents; none if it does not wait.
    fn wait_for_parents(&self, slot: Slot, waits: bool) -> Option<Duration> {
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        if !waits {
            waited.remove(&slot);
            return None;
        }
        let wait = waited
            .get(&slot)
            .map_or(PARENTS_MAY_BE_READ, |last| (*last * 2).min(LATEST));
        waited.insert(slot, wait);
        Some(wait)
    }

    /// Whether the run before this one was not skipped, and this one was: one wrong answer of the tenant looks the same as a list that
    /// it does not have.
    fn is_first_skip(&self, slot: Slot, is_skipped: bool) -> bool {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        if is_skipped {
            skipped.insert(slot)
        } else {
            skipped.remove(&slot);
            false
        }
    }
}

impl Runs {
    /// A person may have asked for a job that is put off. When it is put off again, the log tells it again.
    fn forget_put_off(&self, job: &str) {
        let mut known = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(job);
    }

    /// Logs that a job is put off, or no longer, when that begins.
    fn tell_put_off(&self, job: &str, put_off: Option<&PutOff>) {
        let mut known = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        match put_off {
            Some(PutOff { until, why, .. }) if known.insert(job.to_owned()) => {
                let until = format::moment(*until);
                tracing::info!(job, until, "job `{job}` is put off to {until} UTC: {why}");
            }
            None if known.remove(job) => tracing::info!(job, "job `{job}` is no longer put off"),
            _ => {}
        }
    }
}

impl Runner for Runs {
    async fn put_off(&self, job: &ScheduledJob, now: Time) -> Outcome<Option<PutOff>> {
        let budget = self.settings.limits.budget();
        if budget.is_unlimited() {
            return Ok(None);
        }
        let usage = self.store.usage().await?;
        let put_off = self.plan.put_off(&job.job, &usage, budget, now);
        self.tell_put_off(&job.job.name, put_off.as_ref());
        Ok(put_off)
    }

    async fn run(&self, job: &ScheduledJob, cancel: CancellationToken) -> Again {
        let slot = job.job.slot;
        self.forget_put_off(&job.job.name);
        if slot == DRIFT {
            return drift::run_job(&self.settings, &self.store).await;
        }
        if slot == HOUSEKEEPING {
            return housekeeping::run_job(&self.settings, &self.store, &cancel).await;
        }
        let Some(entry) = self.entries.iter().find(|entry| entry.name() == slot.resource) else {
            return Again::OnTime;
        };
        let overrides = Overrides {
            scope: Some(slot.scope),
            since: None,
            overlap: job.overlap,
            is_named: false,
        };
        let spec = app::run_spec(&self.settings, entry, overrides, WhenHeld::LookOn);
        let report = Box::pin(self.engine.run(&spec, &cancel)).await;
        memory::release();
        match report {
            Some(report) => {
                self.ended.add(&report);
                let window = app::full_window(&self.settings);
                let is_skipped = report.ledger.status == RunStatus::Skipped;
                let wait = self.wait_for_parents(slot, is_skipped && has_parents(entry.description));
                let is_first_skip = self.is_first_skip(slot, is_skipped);
                match (after_window(window, SystemClock.now(), &report), wait) {
                    (Some(later), _) => later,
                    (None, Some(wait)) => Again::After(wait),
                    (None, None) if is_first_skip => Again::FAILED,
                    (None, None) => again(&report),
                }
            }
            None => Again::OnTime,
        }
    }
}

/// Whether the list follows from the rows of another list, which may not be read yet.
fn has_parents(description: &Description) -> bool {
    description.as_list().is_some_and(|list| list.parents().is_some())
}

/// A full walk that stopped at the end of its hours runs again when they begin.
fn after_window(window: Option<DailyWindow>, now: Time, report: &RunReport) -> Option<Again> {
    let is_walk = report.slot.resource == "profiles" && report.slot.scope == Scope::Full;
    let stopped = is_walk && report.ledger.status == RunStatus::Interrupted;
    let window = window.filter(|window| stopped && !window.is_open(now))?;
    Some(Again::After((window.opens_after(now) - now).to_std().ok()?))
}

/// When a job runs again: an interrupted one at the next start, a failed one soon. Nothing has failed where another process reads the same.
fn again(report: &RunReport) -> Again {
    match (&report.fault, report.ledger.status) {
        (_, RunStatus::Interrupted) => Again::After(Duration::ZERO),
        (Some(fault), RunStatus::Failed) if fault.kind == Kind::Held => Again::ReadByAnother,
        (Some(fault), RunStatus::Failed) if fault.is_transient() && fault.of_database => {
            Again::After(TRY_DATABASE_AGAIN)
        }
        (_, RunStatus::Failed) => Again::FAILED,
        (_, RunStatus::Skipped) => Again::SKIPPED,
        (_, RunStatus::Succeeded | RunStatus::Partial | RunStatus::NeedsApproval | RunStatus::Running) => {
            Again::OnTime
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Fault;
    use crate::model::ledger::{Counts, Ledger};

    fn ended(status: RunStatus, kind: Kind) -> RunReport {
        let now = chrono::Utc::now();
        RunReport {
            run_id: None,
            slot: Slot {
                resource: "profiles",
                scope: Scope::Full,
            },
            ledger: Ledger {
                status,
                counts: Counts::default(),
                error: None,
                hint: None,
            },
            fault: Some(Fault::new(kind, "it failed")),
            started_at: now,
            finished_at: now,
        }
    }

    fn after(status: RunStatus, kind: Kind) -> Again {
        again(&ended(status, kind))
    }

    #[test]
    fn a_walk_that_its_window_stopped_runs_again_when_it_opens() {
        let hours = "22:00-06:00".parse().ok();
        let window = hours.map(|hours| DailyWindow::new(hours, chrono_tz::UTC));
        let at = |time: &str| time.parse::<Time>().unwrap_or_default();
        let stopped = ended(RunStatus::Interrupted, Kind::Interrupted);
        assert_eq!(
            after_window(window, at("2026-01-10T06:00:00Z"), &stopped),
            Some(Again::After(Duration::from_hours(16)))
        );
        // Within the hours a shutdown stopped it; without a window, too.
        assert_eq!(after_window(window, at("2026-01-10T05:00:00Z"), &stopped), None);
        assert_eq!(after_window(None, at("2026-01-10T06:00:00Z"), &stopped), None);
        let failed = ended(RunStatus::Failed, Kind::Transient);
        assert_eq!(after_window(window, at("2026-01-10T06:00:00Z"), &failed), None);
    }

    #[test]
    fn whatever_failed_is_tried_again_within_minutes() {
        let scope = "read:profiles".to_owned();
        for kind in [
            Kind::Transient,
            Kind::Settings,
            Kind::Person,
            Kind::Denied { scope },
            Kind::CursorRefused,
            Kind::CommitsLost,
            Kind::ColumnsChanged,
            Kind::Absent,
            Kind::Final,
        ] {
            let again = after(RunStatus::Failed, kind);
            assert_eq!(again, Again::After(Duration::from_mins(5)));
        }
        assert_eq!(
            after(RunStatus::Interrupted, Kind::Interrupted),
            Again::After(Duration::ZERO)
        );
        for status in [RunStatus::Succeeded, RunStatus::Partial, RunStatus::NeedsApproval] {
            assert_eq!(after(status, Kind::Person), Again::OnTime);
        }
        assert_eq!(after(RunStatus::Failed, Kind::Held), Again::ReadByAnother);
    }
}
