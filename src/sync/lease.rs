//! Holds a lease during a run: acquires it, renews it in the background, and stops the run when it is lost.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::lease::{Acquired, Holder, Lease};
use crate::model::ledger::Counts;
use crate::model::ports::Store;
use crate::model::position::Slot;

use super::progress::Progress;
use super::run_spec::WhenHeld;

/// How often the counts of an open run are written to `sync.runs`.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How often a lease that another process holds is checked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long current work may continue once the run has to stop; a batch takes about a second. Work that takes longer is
/// dropped, and a merge whose commit was not confirmed is made again by the next run. Orchestrators kill after ten
/// seconds.
pub(super) const GRACE: Duration = Duration::from_secs(4);
/// How long a run may make no progress. Each wait on the tenant or the database ends sooner, and a batch with all its
/// retries takes at most seven minutes. A run that exceeds this is stuck and releases its lease.
const STANDSTILL: Duration = Duration::from_mins(15);

/// The reasons for which a run stops before its end.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    /// A shutdown was requested.
    pub(super) shutdown: CancellationToken,
    /// The lease went to another holder.
    pub(super) lost: CancellationToken,
    /// The run made no progress for too long.
    pub(super) stuck: CancellationToken,
}

impl Stop {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            lost: CancellationToken::new(),
            stuck: CancellationToken::new(),
        }
    }

    /// Waits until the run has to stop; returns the reason.
    pub(super) async fn requested(&self) -> Fault {
        tokio::select! {
            biased;
            () = self.lost.cancelled() => lost(),
            () = self.stuck.cancelled() => stuck(),
            () = self.shutdown.cancelled() => interrupted(),
        }
    }

    /// Returns an error if the run has to stop.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.lost.is_cancelled() {
            return Err(lost());
        }
        if self.stuck.is_cancelled() {
            return Err(stuck());
        }
        if self.shutdown.is_cancelled() {
            return Err(interrupted());
        }
        Ok(())
    }

    /// Runs `work`. Once the run has to stop, `work` may continue for [`GRACE`] and is then dropped.
    pub(super) async fn or_drop<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        tokio::pin!(work);
        let fault = tokio::select! {
            biased;
            done = &mut work => return done,
            fault = self.requested() => fault,
        };
        tokio::time::timeout(GRACE, work).await.unwrap_or(Err(fault))
    }

    /// Waits, unless the run has to stop.
    pub(super) async fn pause(&self, time: Duration) -> Outcome<()> {
        tokio::select! {
            biased;
            fault = self.requested() => Err(fault),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Runs `work` until it ends or the run has to stop.
    pub(super) async fn or<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        tokio::select! {
            biased;
            fault = self.requested() => Err(fault),
            done = work => done,
        }
    }
}

fn interrupted() -> Fault {
    Fault::new(Kind::Interrupted, "the run was interrupted")
        .hint("its position is stored: the next run continues from there")
}

fn stuck() -> Fault {
    let minutes = STANDSTILL.as_secs() / 60;
    Fault::new(
        Kind::Transient,
        format!("the run made no progress for {minutes} minutes; its lease is released"),
    )
    .hint("its position is stored: the next run continues from there; please report it, each wait should have ended by itself")
}

fn lost() -> Fault {
    Fault::new(Kind::Fenced, "another process took over this run's lease")
        .hint("nothing is lost: that process continues from the stored position")
}

/// Runs `work` outside of a run. After a shutdown request, `work` has `grace` to end.
pub(super) async fn within_grace<T>(
    shutdown: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    tokio::pin!(work);
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        done = &mut work => done,
        () = late => Err(Fault::new(Kind::Interrupted, "interrupted while waiting for the database")),
    }
}

/// Acquires the lease, waiting as `when_held` says. Returns none if it is left to the other holder.
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
                tracing::info!(slot = %slot.lease_name(), holder = %holder.name, "the lease is held by `{}`; waiting to see whether it is renewed", holder.name);
                first = Some(holder);
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Err(Fault::new(Kind::Interrupted, "interrupted while waiting for a lease")),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A living holder renews before the lease expires; a new holder is alive, too.
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

/// Observes whether a run makes progress: its counts change, or it waits for something that ends by itself.
#[derive(Debug)]
struct ActivityWatch {
    counts: Counts,
    at: Instant,
}

impl ActivityWatch {
    /// The time since the run last made progress. `counts`: its current counts.
    fn age(&mut self, counts: Counts, waits: bool) -> Duration {
        if waits || counts != self.counts {
            self.counts = counts;
            self.at = Instant::now();
        }
        self.at.elapsed()
    }
}

/// Renews the lease and writes the counts until dropped. A lost fence stops the run, and so does a run without
/// progress, which must not keep other processes out. While the database is unreachable, no data transaction can commit
/// either.
pub(super) fn keep<T: Store>(
    store: T,
    lease: Lease,
    ttl: Duration,
    progress: Progress,
    stop: &Stop,
) -> AbortOnDropHandle<()> {
    let (lost, stuck) = (stop.lost.clone(), stop.stuck.clone());
    let pause = PROGRESS_EVERY.min(ttl / 3);
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut renewed_at = Instant::now();
        let mut advance = ActivityWatch {
            counts: progress.read(),
            at: Instant::now(),
        };
        loop {
            tokio::time::sleep(pause).await;
            if advance.age(progress.read(), progress.waits()) > STANDSTILL {
                stuck.cancel();
                return;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_run_advances_while_its_counts_move_or_it_waits_for_what_ends_by_itself() {
        let mut advance = ActivityWatch {
            counts: Counts::default(),
            at: Instant::now(),
        };
        let minute = Duration::from_mins(1);
        tokio::time::sleep(minute).await;
        assert_eq!(advance.age(Counts::default(), false), minute);
        let mut moved = Counts::default();
        moved.bytes_read += 1;
        assert_eq!(advance.age(moved.clone(), false), Duration::ZERO);
        tokio::time::sleep(minute).await;
        assert_eq!(advance.age(moved.clone(), true), Duration::ZERO);
        tokio::time::sleep(minute).await;
        assert_eq!(advance.age(moved, false), minute);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_dropped_soon_after_the_run_has_to_stop() {
        let stop = Stop::new(CancellationToken::new());
        stop.shutdown.cancel();
        let began = Instant::now();
        let fault = stop.or_drop(std::future::pending::<Outcome<()>>()).await;
        assert_eq!(fault.map_err(|fault| fault.kind), Err(Kind::Interrupted));
        assert_eq!(began.elapsed(), GRACE);
        let done = stop.or_drop(async {
            tokio::time::sleep(GRACE / 2).await;
            Ok(7)
        });
        assert_eq!(done.await, Ok(7));
    }
}
