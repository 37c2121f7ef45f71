//! The loop of a cursor walk: one task reads pages, several lanes load batches, and a position moves only with the
//! tail of a page that ended whole. Reading and loading overlap; two waiting batches hold back the socket. A page that
//! does not come is asked for again in smaller parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::failpoint::{self, Side};
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::lease::Lease;
use crate::model::page::{Block, PageEnd};
use crate::model::ports::{Page, Resource, Source, Store};
use crate::model::position::{CursorPosition, Position};
use crate::model::walk::Walk;

use super::ending::{Ending, Stopped, Walked};
use super::lane::{Raw, Standing};
use super::lease::Stop;
use super::loading::{Job, Lane, Report};
use super::pages::{Pages, Tail};
use super::progress::Progress;
use super::task::Bounds;
use super::walk::cursor::{self, Barren, Emptiness, Empty, Step};
use super::walk::limit;
use super::walk::novelty::Novelty;
use super::walk::size::PageSize;

/// Batches that wait between reading and loading.
const WAITING_BATCHES: usize = 2;
/// Pages whose tails may be outstanding; more would only be more to repeat after a crash.
const OPEN_PAGES: usize = 2;

/// What all parts of a transfer share.
pub(super) struct Shared<S, T> {
    pub(super) source: Arc<S>,
    pub(super) store: T,
    pub(super) resource: Arc<dyn Resource>,
    pub(super) lease: Lease,
    pub(super) walk: Walk,
    pub(super) bounds: Bounds,
    pub(super) progress: Progress,
    pub(super) stop: Stop,
    pub(super) standing: Standing,
    /// Rows of seen ids that are known to be committed for this walk, those of earlier executions included.
    pub(super) recorded: AtomicU64,
    /// What this process has read of the walk.
    pub(super) novelty: Novelty,
    /// Rows of the table when the walk went on, roughly.
    pub(super) stored: u64,
}

impl<S, T> Shared<S, T> {
    /// Rows of seen ids that the table holds at least.
    pub(super) fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }
}

impl<S, T: Store> Shared<S, T> {
    /// The database's time before a page of a full walk is asked for: what is stored by then is older than the page. An
    /// increment asks the tenant's search index, which may be minutes behind: no time says how old its answer is.
    async fn asked_at(&self, position: &CursorPosition) -> Option<Time> {
        if position.range.is_some() {
            return None;
        }
        let now = self.store.now().await;
        // Too early only means that dates decide more often.
        Some(now.unwrap_or(self.walk.opened_at))
    }
}

/// Reads a listing from `start` to its end into the table.
pub(super) async fn transfer<S: Source, T: Store>(
    shared: Arc<Shared<S, T>>,
    start: CursorPosition,
) -> Result<Walked, Stopped> {
    let mut lanes = JoinSet::new();
    let (jobs, waiting) = mpsc::channel(WAITING_BATCHES);
    let (done, reports) = mpsc::unbounded_channel();
    let (hurry, hurried) = watch::channel(false);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..shared.bounds.lanes {
        let lane = Lane::new(Arc::clone(&shared), done.clone());
        lanes.spawn(lane.run(Arc::clone(&waiting), hurried.clone()));
    }
    drop(done);
    let mut reader = Reader {
        shared,
        jobs,
        reports,
        hurry,
        pages: Pages::default(),
        barren: Barren::default(),
        circling: false,
        empty: Empty::default(),
        size: PageSize::of(start.course.shrink),
        smallest_told: start.course.shrink,
        held: None,
        unidentified: 0,
    };
    let walked = reader.walk(start).await;
    // Whatever happened, batches that were given out come back before the connections go.
    let drained = reader.drain().await;
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

/// Reads pages and keeps the books.
struct Reader<S, T> {
    shared: Arc<Shared<S, T>>,
    jobs: mpsc::Sender<Job>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// Whether lanes are waited for, and keep nothing back.
    hurry: watch::Sender<bool>,
    pages: Pages,
    barren: Barren,
    circling: bool,
    empty: Empty,
    size: PageSize,
    /// Up to which halving of the page size was said that pages are smaller.
    smallest_told: u32,
    /// What only a person may decide about a batch; the pages in hand are read to their ends, so that all of it is told.
    held: Option<Fault>,
    /// Rejected elements without a readable id in the pages whose tails are loaded.
    unidentified: u64,
}

/// A page, and when it was asked for.
type Asked<P> = (P, Option<Time>);

/// The request for the page after the one that is being read.
struct Ahead<P> {
    cursor: String,
    /// At how many halvings of the page size it was asked for.
    shrink: u32,
    opening: AbortOnDropHandle<Outcome<Asked<P>>>,
}

/// What came of a page.
enum Read {
    /// It ended whole; its last elements.
    Whole(PageEnd, Raw),
    /// More came than can be believed of the listing.
    TooMuch,
}

impl<S: Source, T: Store> Reader<S, T> {
    async fn walk(&mut self, start: CursorPosition) -> Result<Walked, Stopped> {
        let mut position = start;
        let mut ahead = None;
        loop {
            self.make_room().await?;
            self.stop_if_held().await?;
            if self.circling {
                return Ok(self.walked(position, Ending::Circling));
            }
            let number = self.pages.open();
            let Read::Whole(end, raw) = self.page(number, &position, &mut ahead).await? else {
                self.drain().await?;
                self.stop_if_held().await?;
                return Ok(self.walked(position, Ending::TooMuch));
            };
            let (mut next, last) = match cursor::after(&position, &end, 0) {
                Step::Read(next) => (next, false),
                Step::End(next) => (next, true),
            };
            next.course.shrink = self.size.shrink();
            self.shared.progress.change(|counts| {
                counts.pages += 1;
                counts.source_total = end.head().total_results.or(counts.source_total);
            });
            self.pages.ended(
                number,
                Tail {
                    raw,
                    position: next.clone(),
                },
            );
            reach("page/ended", Side::After)?;
            self.send_tails().await?;
            position = next;
            let emptiness = self.empty.page(end.elements());
            if let Some(ending) = self.ending(&position, last, emptiness).await? {
                self.drain().await?;
                self.stop_if_held().await?;
                return Ok(self.walked(position, ending));
            }
        }
    }

    /// Whether the walk is at its end after a page, and which.
    async fn ending(
        &mut self,
        position: &CursorPosition,
        last: bool,
        emptiness: Emptiness,
    ) -> Outcome<Option<Ending>> {
        if last {
            return Ok(Some(Ending::Reached));
        }
        match emptiness {
            Emptiness::GoOn => Ok(None),
            Emptiness::End => Ok(Some(Ending::Empty)),
            Emptiness::EndIfAllCame => {
                self.drain().await?;
                let distinct = self.shared.store.distinct(self.shared.walk.id).await?;
                let unidentified = position.unidentified + self.unidentified;
                let all_came = cursor::all_came(distinct, unidentified, position.total);
                Ok(all_came.then_some(Ending::Reached))
            }
        }
    }

    /// What is known once the last tail is loaded.
    fn walked(&self, position: CursorPosition, ending: Ending) -> Walked {
        let unidentified = position.unidentified + self.unidentified;
        let seen_at_least = self.seen_at_least();
        Walked {
            position: CursorPosition {
                seen_at_least,
                unidentified,
                ..position
            },
            ending,
            distinct: self.shared.novelty.distinct(),
        }
    }

    /// Ids that are known to be recorded for this walk.
    fn seen_at_least(&self) -> u64 {
        self.shared.recorded()
    }

    /// Reads one page, again and again and in smaller parts, until it ends whole or the retry budget is spent.
    async fn page(
        &mut self,
        number: u64,
        position: &CursorPosition,
        ahead: &mut Option<Ahead<S::Page>>,
    ) -> Result<Read, Stopped> {
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
                Err(fault) => return Err(Stopped::at(fault, position)),
            };
            self.shrink(position, &fault);
            attempt += 1;
        }
    }

    /// Asks for smaller pages, if they are to be smaller and there are any.
    fn shrink(&mut self, position: &CursorPosition, fault: &Fault) {
        let before = self.size.shrink();
        let position = Position::Cursor(position.clone());
        let count = |shrink| self.shared.resource.request(&position, shrink).count();
        let (now, smaller) = (count(before), count(before + 1));
        let shrinks = self.size.fault(now == smaller);
        tracing::debug!(%fault, shrinks, "a page did not come whole; asking for it again");
        if let (true, Some(now), Some(smaller)) = (shrinks && before >= self.smallest_told, now, smaller) {
            self.smallest_told = before + 1;
            self.shared.progress.notice(&format!(
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
        let shared = &self.shared;
        let _waiting = shared.progress.waiting();
        if let Some(ready) = ready {
            let joined = shared.stop.or(async { Ok(ready.opening.await) }).await?;
            return joined.map_err(|error| Fault::new(Kind::Final, "a request broke off").because(error))?;
        }
        let target = Position::Cursor(position.clone());
        let request = shared.resource.request(&target, self.size.shrink());
        let opening = async {
            let asked_at = shared.asked_at(position).await;
            let page = shared.source.open(&request, attempt, shared.progress.meter());
            Ok((page.await?, asked_at))
        };
        shared.stop.or(opening).await
    }

    /// Streams a body into batches; the last one is kept back as the page's tail.
    async fn body(
        &mut self,
        number: u64,
        (mut page, asked_at): Asked<S::Page>,
        position: &CursorPosition,
        ahead: &mut Option<Ahead<S::Page>>,
    ) -> Result<Read, Stopped> {
        let stop = self.shared.stop.clone();
        let unread = |fault| Stopped::at(fault, position);
        let mut raw = Raw::asked_at(asked_at);
        let mut read = position.read;
        while let Some(block) = self.next_block(&mut page).await.map_err(unread)? {
            if raw.is_full(self.shared.bounds.batch_bytes, self.shared.bounds.batch_elements) {
                let full = std::mem::replace(&mut raw, Raw::asked_at(asked_at));
                self.send(Job::new(number, full, None)).await?;
            }
            read += (block.elements.len() + block.broken.len()) as u64;
            raw.push(block);
            let total = position.course.first_total.or(page.so_far().total_results);
            if read > limit::of_profiles(total, self.shared.stored) {
                return Ok(Read::TooMuch);
            }
            if ahead.is_none() {
                *ahead = self.ask_ahead(position, page.so_far().next_cursor.as_deref());
            }
            self.take_reports()?;
        }
        let _waiting = self.shared.progress.waiting();
        let end = stop.or(page.finish()).await.map_err(unread)?;
        Ok(Read::Whole(end, raw))
    }

    /// The tenant may take its time: how long is for the client to say.
    async fn next_block(&self, page: &mut S::Page) -> Outcome<Option<Block>> {
        let _waiting = self.shared.progress.waiting();
        self.shared.stop.or(page.next()).await
    }

    /// Asks for the next page while this one still streams; its cursor is stored only when this page has ended.
    fn ask_ahead(&self, position: &CursorPosition, next: Option<&str>) -> Option<Ahead<S::Page>> {
        let shrink = self.size.shrink();
        let cursor = next
            .filter(|next| !next.is_empty() && *next != position.cursor)?
            .to_owned();
        let target = CursorPosition {
            cursor: cursor.clone(),
            ..position.clone()
        };
        let shared = Arc::clone(&self.shared);
        let position = Position::Cursor(target.clone());
        let request = shared.resource.request(&position, shrink);
        let opening = tokio::spawn(async move {
            let asked_at = shared.asked_at(&target).await;
            let page = shared.source.open(&request, 0, shared.progress.meter());
            Ok((page.await?, asked_at))
        });
        Some(Ahead {
            cursor,
            shrink,
            opening: AbortOnDropHandle::new(opening),
        })
    }

    async fn send(&mut self, job: Job) -> Outcome<()> {
        self.pages.sent(job.page);
        self.hand_over(job).await
    }

    async fn hand_over(&self, job: Job) -> Outcome<()> {
        self.jobs
            .send(job)
            .await
            .map_err(|_| Fault::new(Kind::Final, "all loading tasks broke off"))
    }

    /// Gives out every tail whose turn has come.
    async fn send_tails(&mut self) -> Outcome<()> {
        while let Some((page, tail, brought)) = self.pages.next_tail() {
            let mut position = tail.position;
            // Batches are counted once they are committed, so the table holds at least so many.
            position.seen_at_least = self.seen_at_least();
            position.unidentified += self.unidentified + brought.unidentified;
            reach("page/tail", Side::Before)?;
            self.hand_over(Job::new(page, tail.raw, Some(position))).await?;
            reach("page/tail", Side::After)?;
        }
        Ok(())
    }

    /// Waits until few enough pages are open.
    async fn make_room(&mut self) -> Outcome<()> {
        self.take_reports()?;
        self.send_tails().await?;
        while self.pages.count() >= OPEN_PAGES && self.held.is_none() {
            self.wait_for_report().await?;
        }
        Ok(())
    }

    /// Ends the walk where a person has to decide. The rest of the pages in hand is given out, and no position moves.
    async fn stop_if_held(&mut self) -> Outcome<()> {
        if self.held.is_none() {
            return Ok(());
        }
        for (page, tail) in self.pages.take_tails() {
            self.send(Job::new(page, tail.raw, None)).await?;
        }
        self.drain().await?;
        self.held.take().map_or(Ok(()), Err)
    }

    /// Takes in everything that comes back until nothing is under way.
    async fn drain(&mut self) -> Outcome<()> {
        let mut first = Ok(());
        if let Err(fault) = self.send_tails().await {
            first = Err(fault);
        }
        while self.pages.under_way() > 0 {
            let outcome = self.wait_for_report().await;
            if first.is_ok() {
                first = outcome;
            }
        }
        first
    }

    async fn wait_for_report(&mut self) -> Outcome<()> {
        self.hurry.send_replace(true);
        let report = self.reports.recv().await;
        self.hurry.send_replace(false);
        let report = report.ok_or_else(|| Fault::new(Kind::Final, "all loading tasks broke off"))?;
        self.take(report)?;
        self.send_tails().await
    }

    /// Takes in what has come back already.
    fn take_reports(&mut self) -> Outcome<()> {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report)?;
        }
        Ok(())
    }

    fn take(&mut self, report: Report) -> Outcome<()> {
        if let Err(fault) = report.outcome {
            for (page, _) in report.batches {
                self.pages.failed(page);
            }
            if fault.kind == Kind::Person {
                self.held.get_or_insert(fault);
                return Ok(());
            }
            return Err(fault);
        }
        for (page, brought) in report.batches {
            if let Some(whole) = self.pages.loaded(page, brought) {
                self.unidentified += whole.unidentified;
                if whole.ids + whole.unidentified == 0 {
                    continue;
                }
                let is_stale = self
                    .shared
                    .novelty
                    .is_stale(whole.new_ids + whole.unidentified, whole.ids);
                self.circling |= self.barren.page(is_stale);
            }
        }
        Ok(())
    }
}

fn reach(place: &str, side: Side) -> Outcome<()> {
    failpoint::at(place, side).map_err(|error| Fault::new(Kind::Final, "the walk broke off").because(error))
}
