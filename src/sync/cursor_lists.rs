//! Walks lists that are paged by cursor: groups. The listings of all parents are one walk, which continues at its page after a stop.
//! As for profiles, it is complete if its distinct ids add up to the tenant's totals but for a few, and what it missed is looked up
//! by id before it is removed.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::PageEnd;
use crate::model::ports::{Listing, Loader, Source, Store};
use crate::model::position::{ListingsPosition, Position};
use crate::model::seen::{IdHasher, SeenIds};
use crate::model::walk::Walk;

use super::batch::{self, TableState};
use super::lists;
use super::lookups::LookedUp;
use super::on_demand_loader::OnDemandLoader;
use super::raw_batch::RawBatch;
use super::run::{Context, Ended, Losses};
use super::small_pages::{PageReader, Piece};
use super::sweep::{self, LookupBudget, Sweep};
use super::walk::cursor::{self, EmptyPages, EmptyPagesVerdict};
use super::walk::limit;
use super::walk::listings::{self, FIRST};

/// How often a run reads a listing from its start because the tenant refused a cursor.
const MOST_REFUSALS: u32 = 3;

/// Walks a list.
pub(super) async fn run<S: Source, T: Store>(context: &Context<'_, S, T, dyn Listing>) -> Outcome<Ended> {
    let mut losses = Losses::default();
    loop {
        let outcome = walk(context).await;
        let again = "the walk goes on from its last stored page";
        if !losses.start_again(context, &outcome, again).await? {
            return outcome;
        }
    }
}

async fn walk<S: Source, T: Store>(context: &Context<'_, S, T, dyn Listing>) -> Outcome<Ended> {
    let listings = lists::listings(context).await?;
    let resumed = resumable(context, &listings).await?;
    let read_before = resumed.as_ref().map_or(0, |position| position.read);
    context
        .listener
        .began(context.lease.slot, resumed.is_some(), read_before);
    let before = match &resumed {
        Some(position) => distinct(context, position).await?,
        None => 0,
    };
    let position = match resumed {
        Some(position) => position,
        None => open(context, &listings).await?,
    };
    let mut walker = Walker {
        context,
        loader: OnDemandLoader::new(
            context.store,
            context.resource.table(),
            context.lease,
            Some(walk_of(&position)),
        ),
        stored: context.store.rows_estimated(context.resource.table()).await?,
        position,
        refusals: 0,
        empty: EmptyPages::default(),
    };
    let has_no_end = walker.read_all(&listings).await?;
    let position = walker.position;
    finish(context, &position, before, has_no_end).await
}

/// The open walk, if it is one over these listings.
async fn resumable<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    listings: &[Arc<dyn Listing>],
) -> Outcome<Option<ListingsPosition>> {
    let cursor = context.store.cursor(context.lease.slot).await?;
    let Some(Position::Listings(position)) = cursor.position else {
        return Ok(None);
    };
    let about = listings.iter().map(|listing| listing.about());
    Ok(about.eq(position.listings.iter().cloned()).then_some(position))
}

/// Opens a walk. What a former one saw is forgotten with its position.
async fn open<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    listings: &[Arc<dyn Listing>],
) -> Outcome<ListingsPosition> {
    let about = listings.iter().map(|listing| listing.about()).collect();
    let position = listings::start(Uuid::now_v7(), context.store.now().await?, about);
    advance(context, Some(&position), None).await?;
    Ok(position)
}

async fn advance<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    position: Option<&ListingsPosition>,
    watermark: Option<Time>,
) -> Outcome<()> {
    let advance = Advance {
        position: position.cloned().map(Position::Listings),
        watermark,
        ..Advance::default()
    };
    context.store.advance(context.lease, &advance).await
}

fn walk_of(position: &ListingsPosition) -> Walk {
    Walk {
        id: position.walk_id,
        opened_at: position.opened_at,
        passed: None,
    }
}

fn id_hasher(position: &ListingsPosition) -> IdHasher {
    IdHasher::new(position.walk_id, Vec::new())
}

async fn distinct<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    position: &ListingsPosition,
) -> Outcome<u64> {
    let _waiting = context.progress.waiting();
    context.store.distinct(&id_hasher(position)).await
}

/// Reads pages and loads them.
struct Walker<'a, S: Source, T: Store> {
    context: &'a Context<'a, S, T, dyn Listing>,
    loader: OnDemandLoader<'a, T>,
    /// Rows of the table before the run.
    stored: u64,
    position: ListingsPosition,
    refusals: u32,
    empty: EmptyPages,
}

/// What follows from a page.
enum Step {
    /// The position says what to read next.
    GoOn,
    /// The listing does not end.
    Endless,
}

impl<S: Source, T: Store> Walker<'_, S, T> {
    /// Reads all listings from the position on. Returns whether one of them does not end. A parent that the tenant no longer knows has
    /// no elements; if it knows none of them, it does not have the list.
    async fn read_all(&mut self, listings: &[Arc<dyn Listing>]) -> Outcome<bool> {
        let context = self.context;
        let mut reader = PageReader::new(context.source.as_ref(), context.stop, context.progress.meter());
        let mut absent = 0;
        while let Some(listing) = listings.get(self.position.place) {
            match self.page(&mut reader, listing.as_ref()).await {
                Ok(Step::GoOn) => {}
                Ok(Step::Endless) => return Ok(true),
                Err(fault) if self.begins_anew(&fault) => {
                    context
                        .progress
                        .notice("the tenant refused a cursor; its listing is read from the start again");
                    self.position = listings::from_start(&self.position);
                }
                Err(fault) if fault.kind == Kind::Absent && self.position.cursor == FIRST => {
                    absent += 1;
                    if absent == listings.len() {
                        return Err(fault);
                    }
                    self.position = listings::behind(&self.position, Some(0));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(false)
    }

    /// Whether the tenant does not accept a cursor any more.
    fn begins_anew(&mut self, fault: &Fault) -> bool {
        let is_refusal = matches!(fault.kind, Kind::CursorRefused | Kind::Absent | Kind::Final);
        let begins = is_refusal && self.position.cursor != FIRST && self.refusals < MOST_REFUSALS;
        self.refusals += u32::from(begins);
        begins
    }

    /// Reads a page and loads it in batches. The last one moves the position.
    async fn page(&mut self, reader: &mut PageReader<'_, S>, listing: &dyn Listing) -> Outcome<Step> {
        let (context, sent) = (self.context, self.position.cursor.clone());
        let bounds = context.bounds;
        let request = |shrink| listing.page_at(&sent, shrink);
        let (mut raw, mut elements, mut unidentified) = (RawBatch::default(), 0, 0);
        loop {
            let piece = {
                let _waiting = context.progress.waiting();
                self.loader.reading(reader.next(&request)).await?
            };
            match piece {
                Piece::Block(block) => {
                    elements += (block.elements.len() + block.broken.len()) as u64;
                    raw.push(block);
                    let total = self.position.total_here.or(reader.reported_total());
                    if self.position.read_here + elements > limit::of_list(total, self.stored) {
                        return Ok(Step::Endless);
                    }
                    if raw.is_full(bounds.batch_bytes, bounds.batch_elements) {
                        unidentified += self.load(listing, &std::mem::take(&mut raw), None).await?;
                    }
                }
                Piece::Again => (raw, elements, unidentified) = (RawBatch::default(), 0, 0),
                Piece::End(end) => {
                    self.load(listing, &raw, Some((&end, unidentified))).await?;
                    return Ok(self.after(&end));
                }
            }
        }
    }

    /// Loads a batch and records its ids. With the end of its page, and the elements without an id in earlier batches of that page, it
    /// moves the position. Returns the number of its own elements without an id.
    async fn load(
        &mut self,
        listing: &dyn Listing,
        raw: &RawBatch,
        end: Option<(&PageEnd, u64)>,
    ) -> Outcome<u64> {
        let mut decoder = listing.decoder();
        let (loader, table_state) = (self.loader.loader().await?, TableState::of(0));
        let mut prepared = batch::prepare(listing, decoder.as_mut(), loader, raw, &table_state).await?;
        let unidentified = prepared.unidentified;
        if let Some((end, before)) = end {
            self.position = listings::after(&self.position, end, before + unidentified);
        }
        let batch = &mut prepared.batch;
        batch.recorded = SeenIds::of(&id_hasher(&self.position), batch.seen.iter().map(String::as_str));
        let (read_counts, unknown) = (batch.read_counts, std::mem::take(&mut batch.unknown));
        self.context.progress.unknown(&unknown);
        let advance = Advance {
            position: Some(Position::Listings(self.position.clone())),
            ..Advance::default()
        };
        let loader = self.loader.loader().await?;
        let written = loader.load(prepared.batch, Some(advance)).await?;
        self.context.progress.loaded(read_counts, &written);
        Ok(unidentified)
    }

    /// What follows a page that is loaded.
    fn after(&mut self, end: &PageEnd) -> Step {
        self.context.progress.change(|counts| counts.pages += 1);
        let position = &self.position;
        let verdict = self.empty.page(end.elements());
        if position.cursor == FIRST {
            // The listing has ended.
            self.empty = EmptyPages::default();
            return Step::GoOn;
        }
        match verdict {
            EmptyPagesVerdict::End => Step::Endless,
            EmptyPagesVerdict::EndIfAllCame
                if cursor::all_came(position.read_here, 0, position.total_here) =>
            {
                self.empty = EmptyPages::default();
                self.position = listings::behind(position, position.total_here);
                Step::GoOn
            }
            EmptyPagesVerdict::EndIfAllCame | EmptyPagesVerdict::GoOn => Step::GoOn,
        }
    }
}

/// Ends a walk whose listings have ended: decides whether it is complete, and sweeps. `before`: the distinct ids that earlier runs of
/// the walk had read.
async fn finish<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    position: &ListingsPosition,
    before: u64,
    has_no_end: bool,
) -> Outcome<Ended> {
    let store = context.store;
    let distinct = distinct(context, position).await?;
    let completeness = cursor::completeness(distinct, position.unidentified, position.total);
    context.progress.change(|counts| {
        counts.distinct = distinct.saturating_sub(before);
        counts.source_total = position.total;
        counts.unexplained = completeness.difference;
    });
    let is_whole = match position.total {
        _ if has_no_end => false,
        Some(_) => completeness.within_tolerance,
        None => {
            let stored = store.rows(context.resource.table()).await?;
            distinct + position.unidentified + cursor::tolerance(stored) >= stored
        }
    };
    if !is_whole {
        advance(context, None, None).await?;
        return Ok(incomplete(position, distinct, has_no_end));
    }
    let walk = walk_of(position);
    let candidates = sweep::candidates(context, walk, &id_hasher(position)).await?;
    let budget = match candidates.unseen {
        0 => LookupBudget::default(),
        _ => LookupBudget::of(context.bounds, store.now().await?, None),
    };
    let looked_up = LookedUp::Elements(context.resource.as_ref());
    let ended = sweep::run(context, Sweep::by_look_ups(walk, looked_up, budget), candidates).await?;
    advance(context, None, Some(position.opened_at)).await?;
    Ok(ended)
}

fn incomplete(position: &ListingsPosition, distinct: u64, has_no_end: bool) -> Ended {
    let of_total = position
        .total
        .map_or("without a total".to_owned(), |total| format!("of {total}"));
    let error = if has_no_end {
        format!("a listing does not end: {distinct} different elements came, more than is plausible")
    } else {
        format!("{distinct} different elements came {of_total}")
    };
    Ended::partial(
        error,
        "what was read is loaded and nothing was removed; the next run walks again from the start",
    )
}
