//! Reads lists. A list is read whole each time, read again when the elements do not add up to the total, and swept only
//! when they do. A list may have a listing for each parent: a row of another list, or a URL of the settings. It is whole when all of them
//! are. A listing that the tenant refuses does not keep the others from being read.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Listing, Loader, Source, Store};
use crate::model::position::{OffsetPosition, Position, Scope, Slot};
use crate::model::seen::{IdHasher, SeenIds};
use crate::model::table::Table;
use crate::model::walk::Walk;

use super::batch::{self, TableState};
use super::on_demand_loader::OnDemandLoader;
use super::raw_batch::RawBatch;
use super::run::{Context, Ended, Losses};
use super::small_pages::{PageReader, Piece};
use super::sweep::{self, Sweep};
use super::walk::list_reading::ListReading;
use super::walk::offset::{OffsetWalk, Step};

/// So many refused listings end a reading.
const MOST_REFUSED: usize = 20;

/// Reads a list.
pub(super) async fn run<S: Source, T: Store>(context: &Context<'_, S, T, dyn Listing>) -> Outcome<Ended> {
    context.listener.began(context.lease.slot, false, 0);
    let mut losses = Losses::default();
    loop {
        let outcome = read(context).await;
        if !losses
            .start_again(context, &outcome, "the list is read again")
            .await?
        {
            return outcome;
        }
    }
}

async fn read<S: Source, T: Store>(context: &Context<'_, S, T, dyn Listing>) -> Outcome<Ended> {
    forget_abandoned_reading(context).await?;
    let listings = listings(context).await?;
    let mut readings = 0;
    // A missing row is removed only if two complete readings in a row bring exactly the same ids.
    let mut before: Option<ListReading> = None;
    let stored = context.store.rows_estimated(context.resource.table()).await?;
    loop {
        let walk = Walk {
            id: Uuid::now_v7(),
            opened_at: context.store.now().await?,
            passed: None,
        };
        let read = reading(context, &listings, walk, before.is_some(), stored).await?;
        let counts = |counts: &mut crate::model::ledger::Counts| {
            counts.distinct = read.distinct();
            counts.source_total = read.total();
            counts.unexplained = read.difference();
        };
        context.progress.change(counts);
        let stable = before.take().is_some_and(|before| before.is_same_as(&read));
        if read.is_complete() && context.resource.keeps() {
            context.store.forget(context.lease, walk.id).await?;
            close(context, Some(walk.opened_at)).await?;
            return Ok(Ended::well(&context.progress.read()));
        }
        if read.is_complete() {
            let candidates = sweep::candidates(context, walk, &IdHasher::new(walk.id, Vec::new())).await?;
            if stable || candidates.unseen == 0 {
                // List elements cannot be looked up by id, so a row whose element has no readable id would be removed
                // wrongly.
                let ended = if read.unidentified() == 0 {
                    sweep::run(context, Sweep::of_list(walk), candidates).await?
                } else {
                    Ended::well(&context.progress.read())
                };
                close(context, Some(walk.opened_at)).await?;
                return Ok(ended);
            }
        }
        context.store.forget(context.lease, walk.id).await?;
        readings += 1;
        if readings > read.read_again() {
            close(context, None).await?;
            return Ok(incomplete(&read));
        }
        if read.is_complete() {
            tracing::debug!("rows are missing in the list; reading it again before any is removed");
            before = Some(read);
        } else {
            context
                .progress
                .notice("the list did not add up to its total; reading it again");
        }
    }
}

/// Forgets the seen ids of a run that was killed: a list is always read from its start.
async fn forget_abandoned_reading<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
) -> Outcome<()> {
    let store = context.store;
    match store.cursor(context.lease.slot).await?.position {
        Some(Position::Offset(left)) => store.forget(context.lease, left.walk_id).await,
        _ => Ok(()),
    }
}

/// The listings of the list, once its parents were read.
pub(super) async fn listings<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
) -> Outcome<Vec<Arc<dyn Listing>>> {
    check_parents(context).await?;
    let complete = context.store.cursor(context.lease.slot).await?.watermark;
    let now = context.store.now().await?;
    listings_of(context.resource.as_ref(), context.store, complete, now).await
}

/// The listings of the list: itself, or those that follow from its parents.
pub(super) async fn listings_of<T: Store>(
    list: &dyn Listing,
    store: &T,
    complete: Option<Time>,
    now: Time,
) -> Outcome<Vec<Arc<dyn Listing>>> {
    let Some(parents) = list.parents() else {
        let listings = Some(list.listings(&[], complete, now));
        let some = listings.filter(|listings| !listings.is_empty());
        return some.ok_or_else(|| without_urls(list.name()));
    };
    Ok(list.listings(&store.ids(parents).await?, complete, now))
}

/// A fault if the listings follow from rows that were not read completely yet.
pub(super) async fn check_parents<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
) -> Outcome<()> {
    let Some(parents) = context.resource.parents() else {
        return Ok(());
    };
    let slot = Slot {
        resource: parents.name,
        scope: Scope::Full,
    };
    if context.store.cursor(slot).await?.watermark.is_none() {
        return Err(without_parents(parents));
    }
    Ok(())
}

/// The list is skipped until its parents were read.
fn without_parents(parents: &Table) -> Fault {
    Fault::new(
        Kind::Absent,
        format!(
            "there is a listing for each row of `{}`, which was not read completely yet",
            parents.name
        ),
    )
    .hint("`backfill` reads the parents first; see whether the tenant has them and the token may read them")
}

/// A command names a list whose settings have no URL. Nothing was read, so no row may be removed.
fn without_urls(name: &str) -> Fault {
    Fault::new(Kind::Settings, format!("`resources.{name}.urls` names no URL"))
        .hint("there is a listing for each URL: set the URLs that are to be read")
}

fn incomplete(read: &ListReading) -> Ended {
    let distinct = read.distinct();
    let error = match read.total() {
        _ if read.is_complete() => "the list was different each time it was read".to_owned(),
        total if read.has_no_end() => {
            let of_total = total.map_or("without a total".to_owned(), |total| format!("of {total}"));
            format!(
                "the list does not end: {distinct} different elements came {of_total}, more than is plausible"
            )
        }
        Some(total) => format!(
            "the tenant reports {total} elements, but {distinct} different ones came, also when read again"
        ),
        None => format!(
            "the list repeats itself: the tenant reports no total, and after {distinct} different elements came none that was new"
        ),
    };
    Ended::partial(
        error,
        "what was read is loaded and nothing was removed; the next run reads the list again",
    )
}

/// Closes the reading: clears the position and moves the watermark.
async fn close<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    complete: Option<Time>,
) -> Outcome<()> {
    let advance = Advance {
        position: None,
        watermark: complete,
        ..Advance::default()
    };
    context.store.advance(context.lease, &advance).await
}

/// Reads all listings once from their starts. A parent that the tenant no longer knows has no elements; if it knows none of them, it
/// does not have the list. A refused listing is a fault once the others are read.
async fn reading<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    listings: &[Arc<dyn Listing>],
    walk: Walk,
    thorough: bool,
    stored: u64,
) -> Outcome<ListReading> {
    let mut read = ListReading::default();
    let (mut absent, mut refused) = (Faults::default(), Faults::default());
    for listing in listings {
        let empty = if thorough {
            OffsetWalk::thorough()
        } else {
            OffsetWalk::default()
        };
        let empty = empty.paged(listing.is_paged());
        match one_listing(context, listing, walk, empty, stored).await {
            Ok(one) => read.add(one),
            Err(fault) if fault.kind == Kind::Absent => absent.add(fault),
            Err(fault) if fault.kind == Kind::Final && !fault.of_database => {
                refused.add(named(fault, listing.as_ref()));
                refused.end_at(MOST_REFUSED)?;
            }
            Err(fault) => return Err(fault),
        }
    }
    absent.end_at(listings.len())?;
    refused.end_at(1)?;
    Ok(read)
}

/// The fault of one listing of several, with what the listing is about.
fn named(fault: Fault, listing: &dyn Listing) -> Fault {
    let about = listing.about();
    if about.is_empty() {
        return fault;
    }
    let what = format!("the listing of `{about}`: {}", fault.what);
    let hint = "no row was removed; the next run reads every listing again";
    let hint = fault.hint.unwrap_or_else(|| hint.to_owned());
    Fault {
        what,
        hint: Some(hint),
        ..fault
    }
}

/// The faults of listings: their number, and the first of them.
#[derive(Default)]
pub(super) struct Faults {
    count: usize,
    first: Option<Fault>,
}

impl Faults {
    /// Counts a fault.
    pub(super) fn add(&mut self, fault: Fault) {
        self.count += 1;
        self.first.get_or_insert(fault);
    }

    /// The first fault, once there are so many.
    pub(super) fn end_at(&mut self, most: usize) -> Outcome<()> {
        match self.first.take_if(|_| self.count >= most) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

/// Reads a listing once from its start.
async fn one_listing<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    of: &Arc<dyn Listing>,
    walk: Walk,
    mut listing: OffsetWalk,
    stored: u64,
) -> Outcome<OffsetWalk> {
    let loader = OnDemandLoader::new(context.store, of.table(), context.lease, Some(walk));
    let source = context.source.as_ref();
    let mut reader = PageReader::new(source, context.stop, context.progress.meter());
    let mut loading = ListLoader {
        context,
        listing: of.as_ref(),
        loader,
        position: OffsetPosition {
            walk_id: walk.id,
            start_index: 0,
        },
    };
    loop {
        let step = match page(&mut reader, &mut loading, &mut listing, stored).await {
            // Beyond the total, a tenant may answer that the page does not exist.
            Err(fault) if listing.is_at_the_total() && matches!(fault.kind, Kind::Absent | Kind::Final) => {
                return Ok(listing);
            }
            step => step?,
        };
        match step {
            Step::Read(start_index) => loading.position.start_index = start_index,
            Step::End => return Ok(listing),
        }
    }
}

/// Loads a list in batches while a page is still being read, so that memory does not grow with the page.
struct ListLoader<'a, S: Source, T: Store> {
    context: &'a Context<'a, S, T, dyn Listing>,
    listing: &'a dyn Listing,
    loader: OnDemandLoader<'a, T>,
    /// The start of the current page.
    position: OffsetPosition,
}

impl<S: Source, T: Store> ListLoader<'_, S, T> {
    /// Loads a batch and records its ids. The cursor names the walk, so that ids of a crashed run can be removed.
    async fn load(&mut self, raw: &RawBatch, listing: &mut OffsetWalk) -> Outcome<()> {
        let resource = self.listing;
        let table_state = TableState::of(0);
        let mut decoder = resource.decoder();
        let mut prepared = batch::prepare(
            resource,
            decoder.as_mut(),
            self.loader.loader().await?,
            raw,
            &table_state,
        )
        .await?;
        let batch = &mut prepared.batch;
        if !resource.keeps() {
            let id_hasher = IdHasher::new(self.position.walk_id, Vec::new());
            batch.recorded = SeenIds::of(&id_hasher, batch.seen.iter().map(String::as_str));
        }
        let readable = batch
            .rejects
            .iter()
            .filter_map(|reject| reject.element_id.as_ref());
        let ids = batch.seen.iter().chain(readable).map(String::as_bytes);
        listing.take(ids, prepared.unidentified);
        let read_counts = batch.read_counts;
        self.context.progress.unknown(&std::mem::take(&mut batch.unknown));
        let advance = Advance {
            position: Some(Position::Offset(self.position.clone())),
            ..Advance::default()
        };
        let written = self
            .loader
            .loader()
            .await?
            .load(prepared.batch, Some(advance))
            .await?;
        self.context.progress.loaded(read_counts, &written);
        Ok(())
    }
}

/// Reads a page and loads it.
async fn page<S: Source, T: Store>(
    reader: &mut PageReader<'_, S>,
    loading: &mut ListLoader<'_, S, T>,
    listing: &mut OffsetWalk,
    stored: u64,
) -> Outcome<Step> {
    let context = loading.context;
    let start_index = loading.position.start_index;
    let of = loading.listing;
    let request = |shrink| of.page(start_index, shrink);
    let bounds = context.bounds;
    let (mut raw, mut elements) = (RawBatch::default(), 0);
    loop {
        let piece = {
            let _waiting = context.progress.waiting();
            loading.loader.reading(reader.next(&request)).await?
        };
        match piece {
            Piece::Block(block) => {
                elements += (block.elements.len() + block.broken.len()) as u64;
                raw.push(block);
                if listing.is_too_much(elements, reader.reported_total(), stored) {
                    loading.load(&raw, listing).await?;
                    return Ok(Step::End);
                }
                if raw.is_full(bounds.batch_bytes, bounds.batch_elements) {
                    loading.load(&std::mem::take(&mut raw), listing).await?;
                }
            }
            Piece::Again => {
                listing.again();
                (raw, elements) = (RawBatch::default(), 0);
            }
            Piece::End(end) => {
                loading.load(&raw, listing).await?;
                context.progress.change(|counts| {
                    counts.pages += 1;
                    // The total of one parent's listing is not that of the list.
                    let total = end.head().total_results.filter(|_| of.about().is_empty());
                    counts.source_total = total.or(counts.source_total);
                });
                return Ok(listing.page(end.elements(), end.head().total_results));
            }
        }
    }
}
