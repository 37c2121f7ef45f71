//! Lists: read whole each time, again when what was read does not add up, and swept only when it does.

use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::Outcome;
use crate::model::page::{Meter, PageEnd, Request};
use crate::model::ports::{Loader, Page, Prelude, Source, Store, Walk};
use crate::model::position::{OffsetPosition, Position};

use super::engine::{Context, Ended};
use super::lane::{self, Raw, Standing};
use super::lease::Stop;
use super::sweep::{self, Sweep};
use super::walk::offset::{OffsetWalk, Step};

/// A listing whose total never comes true must not be read for ever.
const LONGEST_PRELUDE: u64 = 100_000;

/// Reads a list.
pub(super) async fn run<S: Source, T: Store>(context: &Context<'_, S, T>) -> Outcome<Ended> {
    context.engine.watcher.began(context.lease.slot, false);
    forget_left_open(context).await?;
    let mut readings = 0;
    // What a complete reading did not bring goes only if the next one brings exactly the same.
    let mut before: Option<OffsetWalk> = None;
    loop {
        let walk = Walk {
            id: Uuid::now_v7(),
            opened_at: context.engine.store.now().await?,
        };
        let read = reading(context, walk).await?;
        let counts = |counts: &mut crate::model::ledger::Counts| {
            counts.distinct = read.distinct();
            counts.source_total = read.total();
            counts.unexplained = read.difference();
        };
        context.progress.change(counts);
        let stable = before.take().is_some_and(|before| before.is_same_as(&read));
        if read.is_complete() {
            let candidates = sweep::candidates(context, walk).await?;
            if stable || candidates.unseen == 0 {
                // Nothing can be asked for by id here: a row whose element cannot be recognized would go for good.
                let ended = if read.unidentified() == 0 {
                    sweep::run(context, Sweep::of_list(walk, read.distinct()), candidates).await?
                } else {
                    Ended::well(&context.progress.read())
                };
                close(context, Some(walk.opened_at)).await?;
                return Ok(ended);
            }
        }
        context.engine.store.forget(context.lease, walk.id).await?;
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

/// A run that was killed left its reading open: its ids are of no use, since a list is always read from its start.
async fn forget_left_open<S: Source, T: Store>(context: &Context<'_, S, T>) -> Outcome<()> {
    let store = &context.engine.store;
    match store.cursor(context.lease.slot).await?.position {
        Some(Position::Offset(left)) => store.forget(context.lease, left.walk_id).await,
        _ => Ok(()),
    }
}

fn incomplete(read: &OffsetWalk) -> Ended {
    let error = if read.is_complete() {
        "the list was another each time it was read".to_owned()
    } else {
        format!(
            "the tenant tells of {} elements, {} different ones came, also when read again",
            read.total().unwrap_or_default(),
            read.distinct()
        )
    };
    Ended::partial(
        error,
        "what came is loaded and nothing was removed; the next run reads the list again",
    )
}

/// Ends the reading: no position, and the moment through which the list is complete.
async fn close<S: Source, T: Store>(context: &Context<'_, S, T>, complete: Option<Time>) -> Outcome<()> {
    let advance = Advance {
        position: None,
        watermark: complete,
        ..Advance::default()
    };
    context.engine.store.advance(context.lease, &advance).await
}

/// Reads the list once from its start.
async fn reading<S: Source, T: Store>(context: &Context<'_, S, T>, walk: Walk) -> Outcome<OffsetWalk> {
    let resource = context.task.resource.as_ref();
    let mut loader = context
        .engine
        .store
        .loader(resource.table(), context.lease, Some(walk))
        .await?;
    let mut listing = OffsetWalk::default();
    let mut start_index = 0;
    loop {
        let position = Position::Offset(OffsetPosition {
            walk_id: walk.id,
            start_index,
        });
        let (end, step) = page(context, &mut loader, &mut listing, &position).await?;
        context.progress.change(|counts| {
            counts.pages += 1;
            counts.source_total = end.head().total_results.or(counts.source_total);
        });
        match step {
            Step::Read(next) => start_index = next,
            Step::End => return Ok(listing),
        }
    }
}

/// Reads a page and loads it with the position behind it.
async fn page<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    loader: &mut T::Loader,
    listing: &mut OffsetWalk,
    position: &Position,
) -> Outcome<(PageEnd, Step)> {
    let resource = context.task.resource.as_ref();
    let (end, raw) = read_whole(context, &resource.request(position, 0)).await?;
    let standing = Standing::of(0);
    let mut decoder = resource.decoder();
    let prepared = lane::prepare(resource, decoder.as_mut(), loader, &raw, &standing).await?;
    let readable = prepared
        .batch
        .rejects
        .iter()
        .filter_map(|reject| reject.element_id.clone());
    let ids: Vec<String> = prepared.batch.seen.iter().cloned().chain(readable).collect();
    let step = listing.page(
        end.elements(),
        ids.into_iter(),
        prepared.unidentified,
        end.head().total_results,
    );
    let tally = prepared.batch.tally;
    let advance = Advance {
        position: Some(position.clone()),
        ..Advance::default()
    };
    let written = loader.load(prepared.batch, Some(advance)).await?;
    context.progress.loaded(tally, &written);
    Ok((end, step))
}

/// Reads one page to its whole end, again when its body breaks off. For listings of small pages.
pub(super) async fn read_whole<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    request: &Request,
) -> Outcome<(PageEnd, Raw)> {
    let source = context.engine.source.as_ref();
    read_whole_from(source, context.stop, context.progress.meter(), request).await
}

/// The same outside of a run.
pub(super) async fn read_whole_from<S: Source>(
    source: &S,
    stop: &Stop,
    meter: &Meter,
    request: &Request,
) -> Outcome<(PageEnd, Raw)> {
    let mut attempt = 0;
    loop {
        let page = stop.or(source.open(request, attempt, meter)).await?;
        match stop.or(body(page)).await {
            Err(fault) if fault.is_transient() => attempt += 1,
            done => return done,
        }
    }
}

/// Reads the listing of a prelude, shows it each element, and gives the tenant's time.
pub(super) async fn read_prelude<S: Source>(
    source: &S,
    stop: &Stop,
    meter: &Meter,
    prelude: &mut dyn Prelude,
    mut each: impl FnMut(&[u8]) + Send,
) -> Outcome<Option<Time>> {
    let mut server_time = None;
    let mut start = 0;
    loop {
        let (end, raw) = read_whole_from(source, stop, meter, &prelude.request(start)).await?;
        for element in raw.elements() {
            prelude.take(element);
            each(element);
        }
        server_time = server_time.or(end.head().server_time);
        start += end.elements();
        let more = end.head().total_results.is_some_and(|total| start < total);
        if !more || end.elements() == 0 || start >= LONGEST_PRELUDE {
            return Ok(server_time);
        }
    }
}

async fn body<P: Page>(mut page: P) -> Outcome<(PageEnd, Raw)> {
    let mut raw = Raw::default();
    while let Some(block) = page.next().await? {
        raw.push(block);
    }
    Ok((page.finish().await?, raw))
}
