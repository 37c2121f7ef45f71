//! The context that all parts of a run share, and the ways in which a run ends.

use std::sync::Arc;

use crate::model::clocks::OwnClocks;
use crate::model::cursor::Standing;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::lease::Lease;
use crate::model::ledger::Counts;
use crate::model::ports::{Clock, Resource, Source, Store};
use crate::model::position::{Scope, Slot};
use crate::model::removals::Removals;
use crate::model::status::RunStatus;

use super::clocks;
use super::lease::Stop;
use super::progress::{Progress, RunListener};
use super::run_spec::Bounds;

/// How often a run starts again within itself because the database may have lost what was loaded.
const MOST_LOSSES: u32 = 3;

/// The end of a run without a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) status: RunStatus,
    pub(super) error: Option<String>,
    pub(super) hint: Option<String>,
}

impl Ended {
    /// Everything is loaded, except for rejects.
    pub(super) fn well(counts: &Counts) -> Self {
        if counts.rejected == 0 {
            return Self {
                status: RunStatus::Succeeded,
                error: None,
                hint: None,
            };
        }
        if counts.unrecorded > 0 {
            return Self::partial(
                format!(
                    "{} elements could not be loaded, {} of them beyond what `sync.rejects` takes",
                    counts.rejected, counts.unrecorded
                ),
                "sync.rejects holds the others, each with its reason; all are tried again by the next walk",
            );
        }
        Self::partial(
            format!("{} elements could not be loaded", counts.rejected),
            "sync.rejects holds each with its reason; they are tried again by the next walk",
        )
    }

    /// The tenant has no such list, or the token may not read it.
    pub(super) fn skipped(fault: &Fault) -> Self {
        Self {
            status: RunStatus::Skipped,
            error: Some(fault.sentence()),
            hint: fault.hint.clone(),
        }
    }

    /// The reading ended, but something is missing.
    pub(super) fn partial(error: String, hint: &str) -> Self {
        Self {
            status: RunStatus::Partial,
            error: Some(error),
            hint: Some(hint.to_owned()),
        }
    }
}

/// The context of a run: the ports, the bounds, and the state of the run. `R` is the resource, by the way it is read.
pub(super) struct Context<'a, S, T, R: ?Sized> {
    pub(super) source: &'a Arc<S>,
    pub(super) store: &'a T,
    pub(super) clock: &'a dyn Clock,
    pub(super) bounds: &'a Bounds,
    pub(super) listener: &'a dyn RunListener,
    pub(super) resource: &'a Arc<R>,
    pub(super) lease: &'a Lease,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a Stop,
    /// The rows that the run may still remove.
    pub(super) removals: &'a Removals,
}

impl<'a, S, T, R: ?Sized> Context<'a, S, T, R> {
    /// The same over another form of the resource.
    pub(super) fn over<'b>(&self, resource: &'b Arc<R>) -> Context<'b, S, T, R>
    where
        'a: 'b,
    {
        Context {
            source: self.source,
            store: self.store,
            clock: self.clock,
            bounds: self.bounds,
            listener: self.listener,
            resource,
            lease: self.lease,
            progress: self.progress,
            stop: self.stop,
            removals: self.removals,
        }
    }
}

impl<S: Source, T: Store, R: Resource + ?Sized> Context<'_, S, T, R> {
    /// The slot of a scope of the resource.
    pub(super) fn slot(&self, scope: Scope) -> Slot {
        Slot {
            resource: self.resource.name(),
            scope,
        }
    }

    /// This process's clock and the database's.
    pub(super) async fn own_clocks(&self) -> Outcome<OwnClocks> {
        clocks::own_clocks(self.clock, self.store).await
    }

    /// How far the resource has come in both scopes, and both own clocks at that moment.
    pub(super) async fn standing(&self) -> Outcome<(Standing, OwnClocks)> {
        clocks::standing(self.clock, self.store, self.resource.name()).await
    }
}

/// How often the database may have lost commits in this run.
#[derive(Debug, Default)]
pub(super) struct Losses(u32);

impl Losses {
    /// Whether the run starts again: it ended because the database may have lost commits, and the lease is taken back. `again` says
    /// what that means.
    pub(super) async fn start_again<S: Source, T: Store, R: Resource + ?Sized>(
        &mut self,
        context: &Context<'_, S, T, R>,
        outcome: &Outcome<Ended>,
        again: &str,
    ) -> Outcome<bool> {
        let lost = outcome
            .as_ref()
            .err()
            .filter(|fault| fault.kind == Kind::CommitsLost);
        let Some(lost) = lost.filter(|_| self.0 < MOST_LOSSES) else {
            return Ok(false);
        };
        self.0 += 1;
        context.progress.notice(&format!("{lost}; {again}"));
        context.store.regain(context.lease).await?;
        Ok(true)
    }
}
