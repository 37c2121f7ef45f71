//! The loop of a cursor walk. One task reads pages, several lanes load batches, and the position moves only with the
//! tail of a page that ended whole. Reading and loading overlap; two queued batches stop the reading from the socket. A
//! page that fails is requested again in a smaller size.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::failpoint::Side;
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::{Block, PageEnd};
use crate::model::ports::{Page, Source, Store};
use crate::model::position::CursorPosition;

use super::dispatcher::{Dispatcher, reach};
use super::lane::{Lane, QueuedBatch};
use super::pages::Tail;
use super::raw_batch::RawBatch;
use super::transfer::Transfer;
use super::transfer_end::{EndReason, TransferEnd, TransferFault};
use super::walk::cursor::{self, EmptyPages, EmptyPagesVerdict, Step};
use super::walk::limit;
use super::walk::size::PageSize;
use super::window;

/// Batches that wait between reading and loading.
const WAITING_BATCHES: usize = 2;

/// Reads a listing from `start` to its end into the table.
pub(super) async fn run<S: Source, T: Store>(
    transfer: Arc<Transfer<S, T>>,
    start: CursorPosition,
) -> Result<TransferEnd, TransferFault> {
    let mut lanes = JoinSet::new();
    let (queue, waiting) = mpsc::channel(WAITING_BATCHES);
    let (done, reports) = mpsc::unbounded_channel();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..transfer.bounds.lanes {
        let lane = Lane::new(Arc::clone(&transfer), done.clone());
        lanes.spawn(lane.run(Arc::clone(&waiting)).in_current_span());
    }
    // Once all lanes have ended, queued batches are dropped and senders stop waiting.
    drop((done, waiting));
    let mut reader = CursorReader {
        dispatcher: Dispatcher::new(Arc::clone(&transfer), queue, reports),
        transfer,
        empty: EmptyPages::default(),
        size: PageSize::of(start.course.shrink),
        smallest_logged: start.course.shrink,
    };
    let walked = reader.walk(start).await;
    // In any case, batches that were handed over are reported before the connections are closed.
    let drained = reader.dispatcher.drain().await;
    drop(reader);
    while let Some(lane) = lanes.join_next().await {
        if let Err(error) = lane {
            return Err(Fault::new(Kind::Final, "a loading task broke off")
                .because(error)
                .into());
        }
    }
    let walked = walked?;
    drained?;
    Ok(walked)
}

/// Reads pages and hands their elements to the dispatcher.
struct CursorReader<S, T> {
    transfer: Arc<Transfer<S, T>>,
    dispatcher: Dispatcher<S, T>,
    empty: EmptyPages,
    size: PageSize,
    /// The number of halvings of the page size that was reported last.
    smallest_logged: u32,
}

/// A page and the time before its request.
type Asked<P> = (P, Option<Time>);

/// The request for the page after the one that is being read.
struct Ahead<P> {
    cursor: String,
    /// The number of halvings of the page size in the request.
    shrink: u32,
    opening: AbortOnDropHandle<Outcome<Asked<P>>>,
}

/// The result of reading a page.
enum Read {
    /// It ended whole; its last elements.
    Whole(PageEnd, RawBatch),
    /// The page brought more elements than is plausible.
    TooManyElements,
}

impl<S: Source, T: Store> CursorReader<S, T> {
    async fn walk(&mut self, start: CursorPosition) -> Result<TransferEnd, TransferFault> {
        let mut position = start;
        let mut ahead = None;
        loop {
            self.dispatcher.make_room().await?;
            self.dispatcher.stop_if_held().await?;
            if self.dispatcher.repeats_itself {
                return Ok(self.walked(position, EndReason::RepeatedPages));
            }
            self.stop_outside_window().await?;
            let number = self.dispatcher.pages.open();
            let Read::Whole(end, raw) = self.page(number, &position, &mut ahead).await? else {
                self.dispatcher.drain().await?;
                self.dispatcher.stop_if_held().await?;
                return Ok(self.walked(position, EndReason::TooManyElements));
            };
            let (mut next, last) = match cursor::after(&position, &end, 0) {
                Step::Read(next) => (next, false),
                Step::End(next) => (next, true),
            };
            next.course.shrink = self.size.shrink();
            self.transfer.progress.change(|counts| {
                counts.pages += 1;
                counts.source_total = end.head().total_results.or(counts.source_total);
            });
            self.dispatcher.pages.ended(
                number,
                Tail {
                    raw,
                    position: next.clone(),
                },
            );
            reach("page/ended", Side::After)?;
            self.dispatcher.send_tails().await?;
            position = next;
            let emptiness = self.empty.page(end.elements());
            if let Some(reason) = self.end_reason(&position, last, emptiness).await? {
                self.dispatcher.drain().await?;
                self.dispatcher.stop_if_held().await?;
                return Ok(self.walked(position, reason));
            }
        }
    }

    /// Ends the run where the hours of full walks are over, once all that was read is loaded and the position is stored.
    async fn stop_outside_window(&mut self) -> Outcome<()> {
        let transfer = &self.transfer;
        let checked = window::check(&transfer.bounds, transfer.lease.slot.scope, &transfer.store).await;
        if checked.is_err() {
            self.dispatcher.drain().await?;
            self.dispatcher.stop_if_held().await?;
        }
        checked
    }

    /// Why the walk ends after this page; none if the walk continues.
    async fn end_reason(
        &mut self,
        position: &CursorPosition,
        last: bool,
        emptiness: EmptyPagesVerdict,
    ) -> Outcome<Option<EndReason>> {
        if last {
            return Ok(Some(EndReason::EndReached));
        }
        match emptiness {
            EmptyPagesVerdict::GoOn => Ok(None),
            EmptyPagesVerdict::End => Ok(Some(EndReason::EmptyPages)),
            EmptyPagesVerdict::EndIfAllCame => {
                self.dispatcher.drain().await?;
                let distinct = self.transfer.store.distinct(&self.transfer.id_hasher).await?;
                let unidentified = position.unidentified + self.dispatcher.unidentified;
                let all_came = cursor::all_came(distinct, unidentified, position.total);
                Ok(all_came.then_some(EndReason::EndReached))
            }
        }
    }

    /// The end of the transfer, once the last tail is loaded.
    fn walked(&self, position: CursorPosition, reason: EndReason) -> TransferEnd {
        let unidentified = position.unidentified + self.dispatcher.unidentified;
        TransferEnd {
            position: CursorPosition {
                unidentified,
                ..position
            },
            reason,
            distinct: self.transfer.seen_filter.distinct(),
            all_met: false,
        }
    }

    /// Reads one page. Repeats it in smaller sizes until it ends whole or the retry budget is spent.
    async fn page(
        &mut self,
        number: u64,
        position: &CursorPosition,
        ahead: &mut Option<Ahead<S::Page>>,
    ) -> Result<Read, TransferFault> {
        let mut attempt = 0;
        loop {
            let ready = ahead
                .take()
                .filter(|ready| attempt == 0 && ready.cursor == position.cursor);
            let asked = ready.as_ref().map_or(self.size.shrink(), |ready| ready.shrink);
            let fault = match self.open(position, ready, attempt).await {
                Ok(page) => match self.body(number, page, position, ahead).await {
                    Ok(read) => {
                        self.size.whole(asked);
                        return Ok(read);
                    }
                    Err(stopped) if stopped.is_broken_body() => stopped.fault,
                    Err(stopped) => return Err(stopped),
                },
                Err(fault) if fault.kind == Kind::Strained => fault,
                Err(fault) => return Err(TransferFault::at(fault, position)),
            };
            self.shrink(position, &fault);
            attempt += 1;
        }
    }

    /// Halves the page size if the fault suggests that and the size allows it.
    fn shrink(&mut self, position: &CursorPosition, fault: &Fault) {
        let before = self.size.shrink();
        let count = |shrink| self.transfer.resource.page(position, shrink).count();
        let (now, smaller) = (count(before), count(before + 1));
        let shrinks = self.size.fault(now == smaller);
        tracing::debug!(%fault, shrinks, "a page did not come whole; asking for it again");
        if let (true, Some(now), Some(smaller)) = (shrinks && before >= self.smallest_logged, now, smaller) {
            self.smallest_logged = before + 1;
            self.transfer.progress.notice(&format!(
                "pages of {now} do not come whole ({fault}); asking for {smaller} at once (set `page_size` lower if this stays)"
            ));
        }
    }

    async fn open(
        &self,
        position: &CursorPosition,
        ready: Option<Ahead<S::Page>>,
        attempt: u32,
    ) -> Outcome<Asked<S::Page>> {
        let transfer = &self.transfer;
        let _waiting = transfer.progress.waiting();
        if let Some(ready) = ready {
            let joined = transfer.stop.or(async { Ok(ready.opening.await) }).await?;
            return joined.map_err(|error| Fault::new(Kind::Final, "a request broke off").because(error))?;
        }
        let request = transfer.resource.page(position, self.size.shrink());
        let opening = async {
            let asked_at = transfer.asked_at(position).await;
            let page = transfer.source.open(&request, attempt, transfer.progress.meter());
            Ok((page.await?, asked_at))
        };
        transfer.stop.or(opening).await
    }

    /// Streams a body into batches; the last one is kept back as the page's tail.
    async fn body(
        &mut self,
        number: u64,
        (mut page, asked_at): Asked<S::Page>,
        position: &CursorPosition,
        ahead: &mut Option<Ahead<S::Page>>,
    ) -> Result<Read, TransferFault> {
        let stop = self.transfer.stop.clone();
        let unread = |fault| TransferFault::at(fault, position);
        let mut raw = RawBatch::asked_at(asked_at);
        let mut read = position.read;
        while let Some(block) = self.next_block(&mut page).await.map_err(unread)? {
            if raw.is_full(
                self.transfer.bounds.batch_bytes,
                self.transfer.bounds.batch_elements,
            ) {
                let full = std::mem::replace(&mut raw, RawBatch::asked_at(asked_at));
                self.dispatcher.send(QueuedBatch::new(number, full, None)).await?;
            }
            read += (block.elements.len() + block.broken.len()) as u64;
            raw.push(block);
            let total = position.course.first_total.or(page.so_far().total_results);
            if read > limit::of_profiles(total, self.transfer.stored) {
                return Ok(Read::TooManyElements);
            }
            if ahead.is_none() {
                *ahead = self.ask_ahead(position, page.so_far().next_cursor.as_deref());
            }
            self.dispatcher.take_reports()?;
        }
        let _waiting = self.transfer.progress.waiting();
        let end = stop.or(page.finish()).await.map_err(unread)?;
        Ok(Read::Whole(end, raw))
    }

    /// Waiting for the tenant is bounded by the client.
    async fn next_block(&self, page: &mut S::Page) -> Outcome<Option<Block>> {
        let _waiting = self.transfer.progress.waiting();
        self.transfer.stop.or(page.next()).await
    }

    /// Requests the next page while this one still streams. Its cursor is stored only when this page has ended.
    fn ask_ahead(&self, position: &CursorPosition, next: Option<&str>) -> Option<Ahead<S::Page>> {
        let shrink = self.size.shrink();
        let cursor = next
            .filter(|next| !next.is_empty() && *next != position.cursor)?
            .to_owned();
        let target = CursorPosition {
            cursor: cursor.clone(),
            ..position.clone()
        };
        let transfer = Arc::clone(&self.transfer);
        let request = transfer.resource.page(&target, shrink);
        let opening = async move {
            let asked_at = transfer.asked_at(&target).await;
            let page = transfer.source.open(&request, 0, transfer.progress.meter());
            Ok((page.await?, asked_at))
        };
        let opening = tokio::spawn(opening.in_current_span());
        Some(Ahead {
            cursor,
            shrink,
            opening: AbortOnDropHandle::new(opening),
        })
    }
}
