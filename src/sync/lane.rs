//! A lane takes batches of elements, compares them with the table and loads them. Of a batch that hardly differs it loads the
//! unchanged elements and leaves the few others over: a later batch of the page brings them again. So batches stay small, and
//! reading holds little memory.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use crate::model::batch::{Advance, Batch, Fingerprint, Known};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Loader, Source, Store, Walkable};
use crate::model::position::{CursorPosition, Position};
use crate::model::seen::SeenIds;

use super::batch::Elements;
use super::on_demand_loader::IDLE_TIME;
use super::pages::{LeftOver, PageCounts};
use super::raw_batch::RawBatch;
use super::transfer::Transfer;
use super::under_way::OneBatch;

/// Elements that differ are left over if they take at most one eighth of `batch_bytes`.
const FEW: usize = 8;
/// How long a lane retries while the database is unreachable; then the run fails.
const DATABASE_PATIENCE: Duration = Duration::from_mins(2);
/// The pause between two attempts of a lane.
const LANE_PAUSE: Duration = Duration::from_millis(500);

/// A batch that is queued for a lane.
pub(super) struct QueuedBatch {
    pub(super) page: u64,
    raw: RawBatch,
    position: Option<CursorPosition>,
    /// What earlier batches of the page left over, to be loaded and recorded with this one. It is counted already.
    pub(super) left_over: LeftOver,
    /// The batch's share of the bytes that may be under way; released when the batch is dropped.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl QueuedBatch {
    /// A batch of a page; with a position when it is the page's tail.
    pub(super) fn new(page: u64, raw: RawBatch, position: Option<CursorPosition>) -> Self {
        Self {
            page,
            raw,
            position,
            left_over: LeftOver::default(),
            room: None,
        }
    }

    /// The bytes of its elements.
    pub(super) fn bytes(&self) -> usize {
        self.raw.bytes() + self.left_over.bytes()
    }

    /// Its own elements, after those that were left over for it.
    fn with_left_over<'raw>(&'raw self, own: Elements<'raw>, resource: &dyn Walkable) -> Elements<'raw> {
        let mut elements = Elements::default();
        for raw in &self.left_over.changed {
            elements.append(Elements::of(resource, raw));
        }
        elements.append(own);
        elements
    }

    /// Whether a later batch of the page may load elements of this one.
    fn may_leave_over(&self) -> bool {
        self.position.is_none() && self.left_over.changed.is_empty() && self.left_over.seen.is_empty()
    }

    /// What is to be recorded with its last part: ids of earlier batches, and its own if it is a tail.
    fn recorded(&self, own: &SeenIds) -> SeenIds {
        let mut recorded = self.left_over.seen.clone();
        if self.position.is_some() {
            recorded.append(own.clone());
        }
        recorded
    }

    /// The move of the position with its last part, if it is a tail.
    fn advance(&self, counts: PageCounts) -> Option<Advance> {
        let mut position = self.position.clone()?;
        position.unidentified += counts.unidentified;
        Some(Advance {
            position: Some(Position::Cursor(position)),
            ..Advance::default()
        })
    }

    /// What is reported of it once it is loaded, except for elements that it leaves over. A tail has recorded its ids itself.
    fn loaded(&self, counted: &mut Counted, changed: Option<RawBatch>) -> LoadedBatch {
        let seen = match &self.position {
            Some(_) => SeenIds::default(),
            None => std::mem::take(&mut counted.seen),
        };
        LoadedBatch {
            counts: counted.counts,
            left_over: LeftOver {
                seen,
                changed: changed.into_iter().collect(),
            },
        }
    }
}

/// A batch that went through a lane.
pub(super) struct LoadedBatch {
    pub(super) counts: PageCounts,
    /// What a later batch of the page has to load and record.
    pub(super) left_over: LeftOver,
}

/// The report about a batch.
pub(super) struct Report {
    pub(super) page: u64,
    pub(super) outcome: Outcome<LoadedBatch>,
}

/// What was counted of a batch's own elements, once however often it is tried.
struct Counted {
    counts: PageCounts,
    seen: SeenIds,
    /// About how many ids were new, until a loaded part has reported them.
    new_ids: u64,
    /// The hashes of ids that may have been read before.
    doubtful: Vec<u64>,
    /// Its ids while they are loaded.
    under_way: OneBatch,
    /// Whether everything so far went directly into the table.
    went_directly: bool,
}

impl Counted {
    fn of<S, T>(own: &Elements<'_>, transfer: &Transfer<S, T>) -> Self {
        let seen = SeenIds::of(&transfer.id_hasher, own.ids());
        // Before they are taken in: whoever finds one of them doubtful finds it here, or stored.
        let first_load = transfer.table_state.is_empty();
        let under_way = transfer.under_way.add(seen.hashes().filter(|_| first_load));
        let taken = transfer.seen_filter.take(seen.hashes());
        Self {
            counts: PageCounts {
                ids: own.ids().count() as u64,
                judged: taken.judged,
                new_ids: taken.new,
                unidentified: own.unidentified(),
            },
            seen,
            new_ids: taken.estimated,
            doubtful: taken.doubtful,
            under_way,
            went_directly: true,
        }
    }

    /// Decides whether a part goes directly into the table: if no id in it was read before, as far as can be told. An id that only
    /// looks like one that was read (the filter takes ever more for known) is looked for in the batches under way and in the table. A part
    /// that was tried before may be there already.
    async fn judge<S, T>(
        &mut self,
        part: &mut Batch,
        was_tried: bool,
        (transfer, loader): (&Transfer<S, T>, &mut impl Loader),
    ) -> Outcome<()> {
        part.read_counts.new_ids = self.new_ids;
        if !part.fresh {
            return Ok(());
        }
        let hash = |id: &str| transfer.id_hasher.hash(id);
        let losers = || part.aliases.iter().map(|(loser, _)| loser.as_str());
        self.under_way.extend(losers().map(hash));
        let mut doubtful: HashSet<u64> = self.doubtful.iter().copied().collect();
        doubtful.extend(transfer.seen_filter.reserve(losers().map(hash)));
        let fresh = self.went_directly
            && !was_tried
            && !self.under_way.others_have(|hash| doubtful.contains(hash))
            && (doubtful.is_empty() || {
                let ids = part.rows.ids().chain(losers());
                let doubtful: Vec<&str> = ids.filter(|id| doubtful.contains(&hash(id))).collect();
                are_not_stored(loader, &doubtful).await?
            });
        self.went_directly = fresh;
        part.fresh = fresh;
        Ok(())
    }
}

/// The most doubtful ids of a batch that are looked up: with more of them, the listing repeats itself.
const MOST_DOUBTFUL: usize = 256;

/// Whether none of these ids has a row.
async fn are_not_stored(loader: &mut impl Loader, ids: &[&str]) -> Outcome<bool> {
    if ids.len() > MOST_DOUBTFUL {
        return Ok(false);
    }
    let print = |id: &&str| Fingerprint {
        id: (*id).to_owned(),
        source: [0; 16],
    };
    let known = loader.known(&ids.iter().map(print).collect::<Vec<_>>()).await?;
    Ok(known.iter().all(|known| *known == Known::Absent))
}

/// How far a batch is loaded. A batch that removes very many ids is loaded in parts.
#[derive(Default)]
struct Parts {
    counted: Option<Counted>,
    /// The first element of the current part.
    first: usize,
    /// Whether the current part was tried before.
    was_tried: bool,
}

impl Parts {
    /// The current part is loaded up to its element at `rest`, where the next part begins.
    fn next(&mut self, rest: usize) {
        self.first += rest;
        self.was_tried = false;
        if let Some(counted) = &mut self.counted {
            counted.new_ids = 0;
        }
    }
}

/// A loading connection and what goes through it.
pub(super) struct Lane<S, T: Store> {
    transfer: Arc<Transfer<S, T>>,
    done: mpsc::UnboundedSender<Report>,
    loader: Option<T::Loader>,
}

impl<S: Source, T: Store> Lane<S, T> {
    /// A lane without a connection yet.
    pub(super) fn new(transfer: Arc<Transfer<S, T>>, done: mpsc::UnboundedSender<Report>) -> Self {
        Self {
            transfer,
            done,
            loader: None,
        }
    }

    /// Takes batches until there are no more.
    pub(super) async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<QueuedBatch>>>) {
        // Not before: reading the hashes takes one of the loading connections.
        self.transfer.hashes_are_read().await;
        // The connection is opened while the first page is on its way. A failure is reported with the first batch, if
        // there is one.
        if let Err(fault) = self.loader().await {
            tracing::debug!(%fault, "no loading connection yet");
        }
        while let Some(queued) = self.next(&queue).await {
            // A panic must be reported, too: the dispatcher would wait for the batch for ever.
            let loading = AssertUnwindSafe(self.load_patiently(&queued)).catch_unwind();
            let outcome = loading.await.unwrap_or_else(|_| Err(broke_off()));
            if outcome.is_err() {
                // A connection in an unknown state is not used again.
                self.loader = None;
            }
            let page = queued.page;
            // The receiver is gone only after the walk has ended.
            let _ = self.done.send(Report { page, outcome });
        }
    }

    /// The next batch. If it takes long, the connection is given back to other resources.
    async fn next(&mut self, queue: &Mutex<mpsc::Receiver<QueuedBatch>>) -> Option<QueuedBatch> {
        let next = async { queue.lock().await.recv().await };
        tokio::pin!(next);
        if let Ok(queued) = tokio::time::timeout(IDLE_TIME, &mut next).await {
            return queued;
        }
        self.loader = None;
        next.await
    }

    /// Loads a batch, and retries while the database is unreachable. Merges are idempotent: a batch whose commit was not
    /// confirmed is loaded again.
    async fn load_patiently(&mut self, queued: &QueuedBatch) -> Outcome<LoadedBatch> {
        let began = Instant::now();
        let mut parts = Parts::default();
        loop {
            match self.load(queued, &mut parts).await {
                Err(fault) if fault.is_transient() && began.elapsed() < DATABASE_PATIENCE => {
                    tracing::warn!(%fault, "a batch could not be loaded; trying again");
                    self.loader = None;
                    self.transfer.stop.pause(LANE_PAUSE).await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn load(&mut self, queued: &QueuedBatch, parts: &mut Parts) -> Outcome<LoadedBatch> {
        let transfer = Arc::clone(&self.transfer);
        let (resource, table_state) = (transfer.resource.as_ref(), &transfer.table_state);
        let few = transfer.bounds.batch_bytes / FEW;
        loop {
            let own = Elements::of(resource, &queued.raw);
            let counted = parts.counted.get_or_insert_with(|| Counted::of(&own, &transfer));
            let mut elements = queued.with_left_over(own, resource).from(parts.first);
            let loader = self.loader().await?;
            elements.compare(loader, table_state).await?;
            let may_leave_over = queued.may_leave_over() && parts.first == 0 && !table_state.is_empty();
            if may_leave_over && elements.differ_in(few) {
                let (mut unchanged, changed) = elements.apart(&queued.raw);
                unchanged.read_counts.new_ids = counted.new_ids;
                self.commit(unchanged, None).await?;
                return Ok(queued.loaded(counted, Some(changed)));
            }
            elements.look_up(loader).await?;
            let mut decoder = resource.decoder();
            let (mut batch, rest) = elements.decode(decoder.as_mut(), table_state).await;
            let was_tried = std::mem::replace(&mut parts.was_tried, true);
            let by = (transfer.as_ref(), &mut *loader);
            counted.judge(&mut batch, was_tried, by).await?;
            let Some(rest) = rest else {
                batch.recorded = queued.recorded(&counted.seen);
                self.commit(batch, queued.advance(counted.counts)).await?;
                return Ok(queued.loaded(counted, None));
            };
            self.commit(batch, None).await?;
            parts.next(rest);
        }
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
}

fn broke_off() -> Fault {
    Fault::new(Kind::Final, "a batch could not be loaded")
        .because("of a defect of blueconic-sync; the log has its place")
        .hint("please report it; nothing of the batch was stored, and the next run continues before it")
}
