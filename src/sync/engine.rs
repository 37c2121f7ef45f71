//! The engine: takes a lease, opens a run, reads what the spec asks for, and closes the run with its ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::model::description::Reading;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::lease::Lease;
use crate::model::ledger::{Counts, Ledger, RunReport};
use crate::model::ports::{Clock, Source, Store};
use crate::model::position::{Scope, Slot};
use crate::model::removals::Removals;
use crate::model::spans;
use crate::model::status::RunStatus;

use super::lease::{self, Stop};
use super::progress::{Progress, RunListener};
use super::run::{Context, Ended};
use super::run_spec::{Bounds, RunSpec};
use super::{cursor_lists, events, histories, lists, profiles};

/// How long the start of a run may take once a shutdown is requested.
const OPENING: Duration = Duration::from_secs(1);
/// How long closing a run may take. A run that is not closed is marked as ended when its lease is taken over.
const CLOSING: Duration = Duration::from_secs(2);

/// Reads tenants into tables.
pub struct Engine<S, T> {
    pub(super) source: Arc<S>,
    pub(super) store: T,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bounds: Bounds,
    pub(super) listener: Arc<dyn RunListener>,
}

impl<S: Source, T: Store> Engine<S, T> {
    /// An engine over its ports.
    pub fn new(
        source: Arc<S>,
        store: T,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
        listener: Arc<dyn RunListener>,
    ) -> Self {
        Self {
            source,
            store,
            clock,
            bounds,
            listener,
        }
    }

    /// Executes one run. Returns none if there was nothing to do, or if another process has the lease.
    pub async fn run(&self, spec: &RunSpec, shutdown: &CancellationToken) -> Option<RunReport> {
        let started_at = self.clock.now();
        let slot = match lease::within_grace(shutdown, OPENING, self.slot(spec)).await {
            Ok(Some(slot)) => slot,
            Ok(None) => return None,
            Err(fault) => {
                return Some(unopened(
                    spec.slot(Scope::Full),
                    fault,
                    started_at,
                    self.clock.now(),
                ));
            }
        };
        let acquired = lease::acquire(&self.store, slot, spec.when_held, shutdown);
        let lease = match lease::within_grace(shutdown, OPENING, acquired).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return None,
            Err(fault) => return Some(unopened(slot, fault, started_at, self.clock.now())),
        };
        let span = spans::run(&lease);
        let run = self.run_leased(spec, lease, shutdown, started_at);
        let report = run.instrument(span.clone()).await;
        spans::run_ended(&span, &report);
        drop(span);
        self.listener.ended(&report);
        Some(report)
    }

    /// The slot in which the run takes place.
    async fn slot(&self, spec: &RunSpec) -> Outcome<Option<Slot>> {
        match &spec.wanted {
            Reading::List(_) => Ok(Some(spec.slot(Scope::Full))),
            Reading::Feed(_) => Ok(Some(spec.slot(Scope::Increment))),
            Reading::Walk((walk, reading)) => {
                let approved = self.bounds.approved_removals.is_some();
                let clock = self.clock.as_ref();
                let scope = profiles::scope(&self.store, clock, walk.as_ref(), *reading, approved).await?;
                Ok(scope.map(|scope| spec.slot(scope)))
            }
        }
    }

    /// The context that the parts of a run over a resource share.
    fn context<'a, R: ?Sized>(&'a self, open: OpenRun<'a>, resource: &'a Arc<R>) -> Context<'a, S, T, R> {
        Context {
            source: &self.source,
            store: &self.store,
            clock: self.clock.as_ref(),
            bounds: &self.bounds,
            listener: self.listener.as_ref(),
            resource,
            lease: open.lease,
            progress: open.progress,
            stop: open.stop,
            removals: open.removals,
        }
    }

    async fn run_leased(
        &self,
        spec: &RunSpec,
        lease: Lease,
        shutdown: &CancellationToken,
        started_at: crate::model::Time,
    ) -> RunReport {
        let progress = Progress::new(lease.slot, Arc::clone(&self.listener));
        let stop = Stop::new(shutdown.clone());
        let keeper = lease::keep(
            self.store.clone(),
            lease.clone(),
            self.bounds.lease_ttl,
            progress.clone(),
            &stop,
        );
        let removals = Removals::new(self.bounds.removals, self.bounds.approved_removals);
        let open = OpenRun {
            lease: &lease,
            progress: &progress,
            stop: &stop,
            removals: &removals,
        };
        // A stop request ends each wait of the run.
        let outcome = match &spec.wanted {
            Reading::List(list) if list.is_by_cursor() => {
                let context = self.context(open, list);
                stop.or_drop(Box::pin(cursor_lists::run(&context))).await
            }
            Reading::List(list) => {
                let context = self.context(open, list);
                match list.history() {
                    Some(history) => stop.or_drop(Box::pin(histories::run(&context, history))).await,
                    None => stop.or_drop(Box::pin(lists::run(&context))).await,
                }
            }
            Reading::Walk((walk, reading)) => {
                let context = self.context(open, walk);
                stop.or_drop(Box::pin(profiles::run(&context, *reading))).await
            }
            Reading::Feed((feed, reading)) => {
                let context = self.context(open, feed);
                stop.or_drop(Box::pin(events::run(&context, reading))).await
            }
        };
        drop(keeper);
        let counts = progress.read();
        if counts.unaccounted(!matches!(spec.wanted, Reading::Feed(_))) != 0 {
            tracing::error!(
                ?counts,
                "the counts of {} do not add up: please report it",
                lease.slot.lease_name()
            );
        }
        let outcome = match outcome {
            Err(fault) if spec.is_skipped_by(&fault) => Ok(Ended::skipped(&fault)),
            outcome => outcome,
        };
        let outcome = outcome.map(|ended| Ended {
            hint: ended.hint.or_else(|| progress.advice()),
            ..ended
        });
        let unread = unreadable_dates(&counts);
        if let Some(sentence) = &unread {
            progress.notice(sentence);
        }
        let (mut ledger, mut fault) = closing_entry(outcome, counts);
        ledger.hint = ledger.hint.or(unread);
        if let Err(unclosed) = lease::within_grace(shutdown, CLOSING, self.store.close(&lease, &ledger)).await
        {
            tracing::warn!(fault = %unclosed, "the run could not be closed in `sync.runs`");
            fault = fault.or(Some(unclosed));
        }
        RunReport {
            run_id: Some(lease.run_id),
            slot: lease.slot,
            ledger,
            fault,
            started_at,
            finished_at: self.clock.now(),
        }
    }
}

/// The state of a run that is open.
#[derive(Clone, Copy)]
struct OpenRun<'a> {
    lease: &'a Lease,
    progress: &'a Progress,
    stop: &'a Stop,
    removals: &'a Removals,
}

/// A row with an unreadable date is stored with null. The notice makes it visible, since nobody searches for nulls.
fn unreadable_dates(counts: &Counts) -> Option<String> {
    (counts.unreadable_dates > 0).then(|| {
        format!(
            "{} date(s) of profiles could not be read: `created_at` or `modified_at` is null there; `properties` holds what came",
            counts.unreadable_dates
        )
    })
}

fn closing_entry(outcome: Outcome<Ended>, counts: Counts) -> (Ledger, Option<Fault>) {
    match outcome {
        Ok(ended) => {
            let fault = (ended.status == RunStatus::NeedsApproval).then(|| {
                let fault = Fault::new(Kind::Person, ended.error.clone().unwrap_or_default());
                match &ended.hint {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                }
            });
            (
                Ledger {
                    status: ended.status,
                    counts,
                    error: ended.error,
                    hint: ended.hint,
                },
                fault,
            )
        }
        Err(fault) => {
            let status = match fault.kind {
                Kind::Interrupted | Kind::Fenced => RunStatus::Interrupted,
                _ => RunStatus::Failed,
            };
            let ledger = Ledger {
                status,
                counts,
                error: Some(fault.sentence()),
                hint: fault.hint.clone(),
            };
            (ledger, Some(fault))
        }
    }
}

/// The report of a run that could not be opened.
fn unopened(
    slot: Slot,
    fault: Fault,
    started_at: crate::model::Time,
    finished_at: crate::model::Time,
) -> RunReport {
    let (ledger, fault) = closing_entry(Err(fault), Counts::default());
    RunReport {
        run_id: None,
        slot,
        ledger,
        fault,
        started_at,
        finished_at,
    }
}
