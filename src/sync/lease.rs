//! Holding a lease while a run goes on: asking for it, renewing it in the background, and knowing when to stop.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Acquired, Holder, Lease, Store};
use crate::model::position::Slot;

use super::progress::Progress;
use super::task::WhenHeld;

/// How often the counts of an open run are written for those who look on.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How often a lease that another holds is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The two reasons for which a run stops before its end.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// A shutdown was asked for.
    pub(super) shutdown: CancellationToken,
    /// The lease went to another holder.
    pub(super) lost: CancellationToken,
}

impl Stop {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            lost: CancellationToken::new(),
        }
    }

    /// Comes back when the run has to stop, with the reason.
    pub(super) async fn requested(&self) -> Fault {
        tokio::select! {
            biased;
            () = self.lost.cancelled() => lost(),
            () = self.shutdown.cancelled() => Fault::new(Kind::Interrupted, "the run was interrupted")
                .hint("its position is stored: the next run goes on from there"),
        }
    }

    /// The same as an error, between two steps.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.lost.is_cancelled() {
            return Err(lost());
        }
        if self.shutdown.is_cancelled() {
            return Err(Fault::new(Kind::Interrupted, "the run was interrupted")
                .hint("its position is stored: the next run goes on from there"));
        }
        Ok(())
    }

    /// Waits, unless the run has to stop.
    pub(super) async fn pause(&self, time: Duration) -> Outcome<()> {
        tokio::select! {
            biased;
            fault = self.requested() => Err(fault),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Does the work unless the run has to stop first.
    pub(super) async fn or<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        tokio::select! {
            biased;
            fault = self.requested() => Err(fault),
            done = work => done,
        }
    }
}

fn lost() -> Fault {
    Fault::new(Kind::Fenced, "another process took over this run's lease")
        .hint("nothing is lost: that process goes on from the stored position")
}

/// Asks for the lease, as patiently as `when_held` says. None: it is left to the other.
pub(super) async fn acquire<T: Store>(
    store: &T,
    slot: Slot,
    when_held: WhenHeld,
    shutdown: &CancellationToken,
) -> Outcome<Option<Lease>> {
    let mut first: Option<Holder> = None;
    loop {
        let holder = match store.acquire(slot).await? {
            Acquired::Lease(lease) => return Ok(Some(lease)),
            Acquired::Held(holder) => holder,
        };
        if when_held == WhenHeld::Leave {
            return Ok(None);
        }
        match &first {
            Some(seen) if when_held == WhenHeld::LookOn && renewed(seen, &holder) => {
                return Err(held(slot, &holder));
            }
            Some(_) => {}
            None => {
                tracing::info!(slot = %slot.lease_name(), holder = %holder.name, "the lease is held by `{}`; looking on", holder.name);
                first = Some(holder);
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Err(Fault::new(Kind::Interrupted, "interrupted while waiting for a lease")),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A holder that lives renews before its time runs out; a new holder lives, too.
fn renewed(seen: &Holder, now: &Holder) -> bool {
    seen.name != now.name || now.expires_at > seen.expires_at
}

fn held(slot: Slot, holder: &Holder) -> Fault {
    let run = holder
        .run_id
        .map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    Fault::new(
        Kind::Held,
        format!("`{}` is being synced by another process", slot.lease_name()),
    )
    .because(format!(
        "`{}` holds its lease (run {run}) and keeps renewing it",
        holder.name
    ))
    .hint("wait for it with `--wait`, or stop the other process")
}

/// Renews the lease and writes the counts until dropped. Only a lost fence stops the run: while the database is away,
/// no data transaction can commit either.
pub(super) fn keep<T: Store>(
    store: T,
    lease: Lease,
    ttl: Duration,
    progress: Progress,
    stop: &Stop,
) -> AbortOnDropHandle<()> {
    let lost = stop.lost.clone();
    let pause = PROGRESS_EVERY.min(ttl / 3);
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut renewed_at = Instant::now();
        loop {
            tokio::time::sleep(pause).await;
            if renewed_at.elapsed() + pause > ttl / 3 {
                match store.renew(&lease).await {
                    Ok(()) => renewed_at = Instant::now(),
                    Err(fault) if fault.kind == Kind::Fenced => {
                        lost.cancel();
                        return;
                    }
                    Err(fault) => tracing::debug!(%fault, "the lease could not be renewed; trying again"),
                }
            }
            if let Err(fault) = store.progress(&lease, &progress.read()).await {
                tracing::debug!(%fault, "the run's counts could not be written; trying again");
            }
        }
    }))
}
