//! A lane takes batches of elements, compares them with the table and loads them. It defers the few changed rows of a
//! batch that hardly changed, and loads them with those of other batches: a transaction of ten statements would be too much
//! for a handful of rows. Batches stay small all the same, so that reading holds little memory.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;

use crate::model::batch::{Advance, Batch};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Loader, Source, Store};
use crate::model::position::{CursorPosition, Position};
use crate::model::seen::SeenIds;

use super::batch::{self, Prepared, RawBatch};
use super::on_demand_loader::IDLE_TIME;
use super::pages::PageCounts;
use super::transfer::Transfer;
use super::walk::seen_filter::Taken;

/// A changed part of at most one eighth of `batch_bytes` is deferred.
const FEW: usize = 8;
/// The deferred elements are loaded once they reach one quarter of `batch_bytes`.
const ENOUGH: usize = 4;
/// The longest time for which elements are deferred while other batches arrive.
const LINGER: Duration = Duration::from_millis(250);
/// How long a lane retries while the database is unreachable; then the run fails.
const DATABASE_PATIENCE: Duration = Duration::from_mins(2);
/// The pause between two attempts of a lane.
const LANE_PAUSE: Duration = Duration::from_millis(500);

/// A batch that is queued for a lane.
pub(super) struct QueuedBatch {
    pub(super) page: u64,
    raw: RawBatch,
    position: Option<CursorPosition>,
    parts: StdMutex<Parts>,
    /// Ids of earlier batches of the page, to be recorded with this one.
    pub(super) read_before: SeenIds,
    /// The batch's share of the bytes that may be under way; released when the batch is dropped.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// The progress of a batch that is loaded in parts. A batch that removes very many ids is split.
#[derive(Default)]
struct Parts {
    /// The first element of the current part.
    first: usize,
    /// What was new in the current part, counted at its first attempt.
    in_hand: Option<Taken>,
    /// The counts of the parts before the current one.
    before: PageCounts,
    /// The counts including the current part.
    whole: PageCounts,
    /// Whether the batch was split.
    cut: bool,
    /// The ids that were read; those of a part that was tried again stand there twice.
    seen: SeenIds,
}

impl Parts {
    fn begin(&mut self, first: usize) {
        self.first = first;
        self.in_hand = None;
        self.before = self.whole;
    }
}

impl QueuedBatch {
    /// A batch of a page; with a position when it is the page's tail.
    pub(super) fn new(page: u64, raw: RawBatch, position: Option<CursorPosition>) -> Self {
        Self {
            page,
            raw,
            position,
            parts: StdMutex::default(),
            read_before: SeenIds::default(),
            room: None,
        }
    }

    /// The bytes of its elements.
    pub(super) fn bytes(&self) -> usize {
        self.raw.bytes()
    }

    /// What is reported of it once all its parts are loaded. A tail has recorded its ids itself.
    fn loaded(&self, counts: PageCounts) -> LoadedBatch {
        let seen = match &self.position {
            Some(_) => SeenIds::default(),
            None => std::mem::take(&mut self.parts().seen),
        };
        LoadedBatch {
            page: self.page,
            counts,
            seen,
        }
    }

    /// What is reported of it where it could not be loaded.
    fn failed(&self) -> LoadedBatch {
        LoadedBatch {
            page: self.page,
            counts: PageCounts::default(),
            seen: SeenIds::default(),
        }
    }

    /// What is to be recorded with its last part: ids of earlier batches, and its own if it is a tail.
    fn recorded(&self) -> SeenIds {
        let mut recorded = self.read_before.clone();
        if self.position.is_some() {
            recorded.append(self.parts().seen.clone());
        }
        recorded
    }

    fn parts(&self) -> StdMutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that went through a lane.
pub(super) struct LoadedBatch {
    pub(super) page: u64,
    pub(super) counts: PageCounts,
    /// Its ids, where a later batch of the page has to record them.
    pub(super) seen: SeenIds,
}

/// The report about one or several batches.
pub(super) struct Report {
    pub(super) batches: Vec<LoadedBatch>,
    /// Whether they are loaded.
    pub(super) outcome: Outcome<()>,
}

/// Changed elements of batches whose unchanged elements are loaded already.
#[derive(Default)]
struct Deferred {
    batch: Batch,
    of: Vec<LoadedBatch>,
    since: Option<Instant>,
}

impl Deferred {
    fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The time at which the deferred elements are due; none if there are none.
    fn due(&self, enough: usize) -> Option<Instant> {
        let since = self.since?;
        Some(if self.batch.size() < enough {
            since + LINGER
        } else {
            since
        })
    }

    fn add(&mut self, rest: Batch, of: LoadedBatch) {
        self.batch.append(rest);
        self.of.push(of);
        self.since.get_or_insert_with(Instant::now);
    }
}

/// The result of loading a batch or the deferred elements.
enum Loaded {
    /// All of a batch is loaded.
    Whole(LoadedBatch),
    /// The unchanged elements are loaded; the changed ones are returned, to be deferred.
    But(Box<Batch>, LoadedBatch),
    /// The deferred elements are loaded, and perhaps a batch with them.
    WithDeferred(Option<LoadedBatch>),
}

/// The next batch; none when it is time to load the deferred elements, or when no batch is left.
async fn next(
    due: Option<Instant>,
    queue: &Mutex<mpsc::Receiver<QueuedBatch>>,
    flush: &mut watch::Receiver<bool>,
) -> Option<QueuedBatch> {
    let queued = async { queue.lock().await.recv().await };
    let Some(due) = due else {
        return queued.await;
    };
    tokio::select! {
        biased;
        () = tokio::time::sleep_until(due) => None,
        queued = queued => queued,
        _ = flush.wait_for(|flush| *flush) => None,
    }
}

/// A loading connection and what goes through it.
pub(super) struct Lane<S, T: Store> {
    transfer: Arc<Transfer<S, T>>,
    done: mpsc::UnboundedSender<Report>,
    loader: Option<T::Loader>,
    deferred: Deferred,
}

impl<S: Source, T: Store> Lane<S, T> {
    /// A lane without a connection yet.
    pub(super) fn new(transfer: Arc<Transfer<S, T>>, done: mpsc::UnboundedSender<Report>) -> Self {
        Self {
            transfer,
            done,
            loader: None,
            deferred: Deferred::default(),
        }
    }

    /// Takes batches until there are no more. `flush`: the reader waits for the reports, so nothing is deferred.
    pub(super) async fn run(
        mut self,
        queue: Arc<Mutex<mpsc::Receiver<QueuedBatch>>>,
        mut flush: watch::Receiver<bool>,
    ) {
        // Not before: reading the hashes takes one of the loading connections.
        self.transfer.hashes_are_read().await;
        // The connection is opened while the first page is on its way. A failure is reported with the first batch, if
        // there is one.
        if let Err(fault) = self.loader().await {
            tracing::debug!(%fault, "no loading connection yet");
        }
        loop {
            let due = self.deferred.due(self.transfer.bounds.batch_bytes / ENOUGH);
            let queued = match due {
                Some(_) => next(due, &queue, &mut flush).await,
                None => self.first(&queue, &mut flush).await,
            };
            if queued.is_none() && self.deferred.is_empty() {
                return;
            }
            // A panic must be reported, too: the dispatcher would wait for the batch for ever.
            let loading = AssertUnwindSafe(self.load_patiently(queued.as_ref())).catch_unwind();
            match loading.await.unwrap_or_else(|_| Err(broke_off())) {
                Ok(Loaded::Whole(batch)) => self.tell(vec![batch], Ok(())),
                Ok(Loaded::But(rest, batch)) => self.deferred.add(*rest, batch),
                Ok(Loaded::WithDeferred(batch)) => self.tell_with_deferred(batch, Ok(())),
                Err(fault) => {
                    // A connection in an unknown state is not used again.
                    self.loader = None;
                    self.tell_with_deferred(queued.as_ref().map(QueuedBatch::failed), Err(fault));
                }
            }
        }
    }

    /// The next batch while nothing is deferred. If it takes long, the connection is given back to other resources.
    async fn first(
        &mut self,
        queue: &Mutex<mpsc::Receiver<QueuedBatch>>,
        flush: &mut watch::Receiver<bool>,
    ) -> Option<QueuedBatch> {
        if let Ok(queued) = tokio::time::timeout(IDLE_TIME, next(None, queue, flush)).await {
            return queued;
        }
        self.loader = None;
        next(None, queue, flush).await
    }

    /// Loads a batch or the deferred elements, and retries while the database is unreachable. Merges are idempotent: a
    /// batch whose commit was not confirmed is loaded again.
    async fn load_patiently(&mut self, queued: Option<&QueuedBatch>) -> Outcome<Loaded> {
        let began = Instant::now();
        loop {
            let outcome = match queued {
                Some(queued) => self.load(queued).await,
                None => self.load_deferred().await,
            };
            match outcome {
                Err(fault) if fault.is_transient() && began.elapsed() < DATABASE_PATIENCE => {
                    tracing::warn!(%fault, "a batch could not be loaded; trying again");
                    self.loader = None;
                    self.transfer.stop.pause(LANE_PAUSE).await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn load(&mut self, queued: &QueuedBatch) -> Outcome<Loaded> {
        loop {
            let (mut prepared, rest) = self.prepare(queued).await?;
            let counts = self.count(queued, &mut prepared, rest.is_some());
            if let Some(next) = rest {
                self.commit(prepared.batch, None).await?;
                queued.parts().begin(next);
                continue;
            }
            prepared.batch.recorded = queued.recorded();
            return match &queued.position {
                Some(position) => {
                    self.load_tail(prepared.batch, counts.unidentified, position.clone())
                        .await?;
                    Ok(Loaded::WithDeferred(Some(queued.loaded(counts))))
                }
                None if prepared.has_few(self.transfer.bounds.batch_bytes / FEW) => {
                    let (unchanged, differing) = prepared.apart();
                    self.commit(unchanged, None).await?;
                    Ok(Loaded::But(Box::new(differing), queued.loaded(counts)))
                }
                None => {
                    self.commit(prepared.batch, None).await?;
                    Ok(Loaded::Whole(queued.loaded(counts)))
                }
            };
        }
    }

    /// Counts the elements of the current part, once however often it is tried, and returns the counts of the batch so
    /// far.
    fn count(&self, queued: &QueuedBatch, prepared: &mut Prepared, is_cut: bool) -> PageCounts {
        let Transfer {
            seen_filter,
            id_hasher,
            ..
        } = self.transfer.as_ref();
        let ids = prepared.batch.seen.len() as u64;
        let seen = SeenIds::of(id_hasher, prepared.batch.seen.iter().map(String::as_str));
        let mut parts = queued.parts();
        parts.cut |= is_cut;
        let is_first_try = parts.in_hand.is_none();
        if !is_first_try && parts.cut {
            // The batch may have been split at another place at the last attempt.
            seen_filter.doubt();
        }
        let taken = *parts
            .in_hand
            .get_or_insert_with(|| seen_filter.take(seen.hashes()));
        parts.seen.append(seen);
        prepared.batch.read_counts.new_ids = taken.estimated;
        if prepared.batch.fresh {
            let aliases = prepared.batch.aliases.iter();
            let losers = aliases.map(|(loser, _)| id_hasher.hash(loser));
            // A batch whose commit was not confirmed may be in the table already.
            prepared.batch.fresh = is_first_try && taken.new == taken.judged && seen_filter.reserve(losers);
        }
        parts.whole = PageCounts {
            ids: parts.before.ids + ids,
            judged: parts.before.judged + taken.judged,
            new_ids: parts.before.new_ids + taken.new,
            unidentified: parts.before.unidentified + prepared.unidentified,
        };
        parts.whole
    }

    /// Loads a page's tail. The position after the page moves with it, and only after all other batches of the page.
    async fn load_tail(
        &mut self,
        mut batch: Batch,
        unidentified: u64,
        mut position: CursorPosition,
    ) -> Outcome<()> {
        position.unidentified += unidentified;
        let advance = Advance {
            position: Some(Position::Cursor(position)),
            ..Advance::default()
        };
        // Elements that are still deferred belong to later pages; the rest of this page is loaded.
        batch.append(self.deferred.batch.clone());
        self.commit(batch, Some(advance)).await
    }

    async fn load_deferred(&mut self) -> Outcome<Loaded> {
        self.commit(self.deferred.batch.clone(), None).await?;
        Ok(Loaded::WithDeferred(None))
    }

    async fn prepare(&mut self, queued: &QueuedBatch) -> Outcome<(Prepared, Option<usize>)> {
        let first = queued.parts().first;
        let transfer = Arc::clone(&self.transfer);
        let mut decoder = transfer.resource.decoder();
        let resource = transfer.resource.as_ref();
        let loader = self.loader().await?;
        batch::prepare_from(
            first,
            resource,
            decoder.as_mut(),
            loader,
            &queued.raw,
            &transfer.table_state,
        )
        .await
    }

    async fn commit(&mut self, batch: Batch, advance: Option<Advance>) -> Outcome<()> {
        let read_counts = batch.read_counts;
        let written = self.loader().await?.load(batch, advance).await?;
        self.transfer.progress.loaded(read_counts, &written);
        Ok(())
    }

    async fn loader(&mut self) -> Outcome<&mut T::Loader> {
        let connection = if let Some(connection) = self.loader.take() {
            connection
        } else {
            let transfer = &self.transfer;
            let table = transfer.resource.table();
            transfer
                .store
                .loader(table, &transfer.lease, Some(transfer.walk))
                .await?
        };
        Ok(self.loader.insert(connection))
    }

    /// Reports the deferred batches, and the batch that was loaded with them.
    fn tell_with_deferred(&mut self, batch: Option<LoadedBatch>, outcome: Outcome<()>) {
        let mut batches = std::mem::take(&mut self.deferred).of;
        batches.extend(batch);
        self.tell(batches, outcome);
    }

    fn tell(&self, batches: Vec<LoadedBatch>, outcome: Outcome<()>) {
        // The receiver is gone only after the walk has ended.
        let _ = self.done.send(Report { batches, outcome });
    }
}

fn broke_off() -> Fault {
    Fault::new(Kind::Final, "a batch could not be loaded")
        .because("of a defect of blueconic-sync; the log has its place")
        .hint("please report it; nothing of the batch was stored, and the next run continues before it")
}
