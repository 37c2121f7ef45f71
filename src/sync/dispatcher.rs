//! Hands batches to the lanes, collects their reports, and releases the tail of a page once all earlier batches are
//! loaded. The few changed elements that a batch leaves over are loaded with the tail: a transaction of ten statements would be
//! too much for a handful of rows. `pipeline` reads the pages.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::failpoint::{self, Side};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Store;

use super::lane::{LoadedBatch, QueuedBatch, Report};
use super::pages::Pages;
use super::raw_batch::RawBatch;
use super::transfer::Transfer;
use super::walk::cursor::PagesWithoutNewIds;

/// The most pages whose tails are not loaded yet. More pages would only mean more to read again after a crash.
const OPEN_PAGES: usize = 2;
/// The bytes of elements that the lanes hold at once, or two batches if these are larger; a batch beyond that is loaded alone. Usual
/// batches stay far below. The bound keeps several of the largest elements in a row within the memory of the process.
const UNDER_WAY: usize = 8 * 1024 * 1024;
/// Changed elements of a page are loaded before its tail once they reach one quarter of `batch_bytes`.
const MUCH: usize = 4;

/// The bookkeeping between one reader and its lanes.
pub(super) struct Dispatcher<S, T> {
    transfer: Arc<Transfer<S, T>>,
    queue: mpsc::Sender<QueuedBatch>,
    /// A permit for each byte that the lanes may hold.
    room: Arc<Semaphore>,
    room_bytes: u32,
    reports: mpsc::UnboundedReceiver<Report>,
    pub(super) pages: Pages,
    without_new_ids: PagesWithoutNewIds,
    /// Whether the listing repeats itself.
    pub(super) repeats_itself: bool,
    /// The decision about a batch that only a person can make. The open pages are read to their ends, so that the
    /// message names all of it.
    held: Option<Fault>,
    /// Rejected elements without a readable id in the pages whose tails are loaded.
    pub(super) unidentified: u64,
}

impl<S, T: Store> Dispatcher<S, T> {
    /// A dispatcher over the queue of the lanes and their reports; nothing is given out yet.
    pub(super) fn new(
        transfer: Arc<Transfer<S, T>>,
        queue: mpsc::Sender<QueuedBatch>,
        reports: mpsc::UnboundedReceiver<Report>,
    ) -> Self {
        let room = transfer.bounds.batch_bytes.saturating_mul(2).max(UNDER_WAY);
        let room_bytes = u32::try_from(room).unwrap_or(u32::MAX);
        Self {
            transfer,
            queue,
            room: Arc::new(Semaphore::new(room_bytes as usize)),
            room_bytes,
            reports,
            pages: Pages::default(),
            without_new_ids: PagesWithoutNewIds::default(),
            repeats_itself: false,
            held: None,
            unidentified: 0,
        }
    }

    /// Hands over a batch of a page; waits while the lanes are busy.
    pub(super) async fn send(&mut self, mut queued: QueuedBatch) -> Outcome<()> {
        self.pages.sent(queued.page);
        let much = self.transfer.bounds.batch_bytes / MUCH;
        queued.left_over = self.pages.take_much(queued.page, much);
        self.hand_over(queued).await
    }

    async fn hand_over(&self, mut queued: QueuedBatch) -> Outcome<()> {
        let bytes = u32::try_from(queued.bytes()).map_or(self.room_bytes, |bytes| bytes.min(self.room_bytes));
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        queued.room = Some(room.map_err(|_| broke_off())?);
        self.queue.send(queued).await.map_err(|_| broke_off())
    }

    /// Hands over each tail whose earlier batches are loaded.
    pub(super) async fn send_tails(&mut self) -> Outcome<()> {
        while let Some((page, tail, counts, left_over)) = self.pages.next_tail() {
            let mut position = tail.position;
            position.unidentified += self.unidentified + counts.unidentified;
            reach("page/tail", Side::Before)?;
            let mut queued = QueuedBatch::new(page, tail.raw, Some(position));
            queued.left_over = left_over;
            self.hand_over(queued).await?;
            reach("page/tail", Side::After)?;
        }
        Ok(())
    }

    /// Waits until few enough pages are open.
    pub(super) async fn make_room(&mut self) -> Outcome<()> {
        self.take_reports()?;
        self.send_tails().await?;
        while self.pages.count() >= OPEN_PAGES && self.held.is_none() {
            self.wait_for_report().await?;
        }
        Ok(())
    }

    /// Ends the walk if a person has to decide. The rest of the open pages is handed over, and no position moves.
    pub(super) async fn stop_if_held(&mut self) -> Outcome<()> {
        if self.held.is_none() {
            return Ok(());
        }
        for (page, tail) in self.pages.take_tails() {
            self.send(QueuedBatch::new(page, tail.raw, None)).await?;
        }
        self.drain().await?;
        self.held.take().map_or(Ok(()), Err)
    }

    /// Collects reports until all batches are reported, and everything that was read is loaded.
    pub(super) async fn drain(&mut self) -> Outcome<()> {
        let sent = self.send_tails().await;
        sent.and(self.wait_for_all().await)?;
        if self.pages.is_broken() && self.held.is_none() {
            return Ok(());
        }
        // These pages have no tail, or it may not be loaded.
        for (page, changed) in self.pages.take_changed() {
            let mut queued = QueuedBatch::new(page, RawBatch::default(), None);
            queued.left_over.changed = changed;
            self.pages.sent(page);
            self.hand_over(queued).await?;
        }
        self.wait_for_all().await
    }

    /// Waits until all batches are reported; returns the first fault.
    async fn wait_for_all(&mut self) -> Outcome<()> {
        let mut first = Ok(());
        while self.pages.under_way() > 0 {
            let outcome = self.wait_for_report().await;
            first = first.and(outcome);
        }
        first
    }

    async fn wait_for_report(&mut self) -> Outcome<()> {
        let report = self.reports.recv().await.ok_or_else(broke_off)?;
        self.take(report)?;
        self.send_tails().await
    }

    /// Collects the reports that are there already.
    pub(super) fn take_reports(&mut self) -> Outcome<()> {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report)?;
        }
        Ok(())
    }

    fn take(&mut self, Report { page, outcome }: Report) -> Outcome<()> {
        let LoadedBatch { counts, left_over } = match outcome {
            Ok(loaded) => loaded,
            Err(fault) => {
                self.pages.failed(page);
                if fault.kind == Kind::Person {
                    self.held.get_or_insert(fault);
                    return Ok(());
                }
                return Err(fault);
            }
        };
        self.pages.leave(page, left_over);
        let Some(whole) = self.pages.loaded(page, counts) else {
            return Ok(());
        };
        self.unidentified += whole.unidentified;
        if whole.ids + whole.unidentified > 0 {
            let seen_filter = &self.transfer.seen_filter;
            let new = whole.new_ids + whole.unidentified;
            self.repeats_itself |= self
                .without_new_ids
                .page(new, whole.judged, |judged| seen_filter.is_stale(judged));
        }
        Ok(())
    }
}

fn broke_off() -> Fault {
    Fault::new(Kind::Final, "all loading tasks broke off")
}

/// A place at which a test may make the program die.
pub(super) fn reach(place: &str, side: Side) -> Outcome<()> {
    failpoint::at(place, side).map_err(|error| Fault::new(Kind::Final, "the walk broke off").because(error))
}
