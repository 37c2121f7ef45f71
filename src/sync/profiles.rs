//! Profiles: full walks that end in a sweep, and increments between them.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::model::clocks::OwnClocks;
use crate::model::cursor::{Cursor, Standing};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Clock, Source, Store, Walkable};
use crate::model::position::{CursorPosition, Position, Scope};
use crate::model::status::RunStatus;

use closing::{FullWalk, after_full_walk, finish};
use known_reader::{KnownReader, nothing_to_read};
use opening::open;
use stored::{give_up, id_hasher, walk_of};

use super::batch::TableState;
use super::restart::{self, RESTARTS, Tries};
use super::run::{Context, Ended};
use super::run_spec::ProfilesReading;
use super::transfer::Transfer;
use super::transfer_end::{TransferEnd, TransferFault};
use super::under_way::UnderWay;
use super::walk::cursor;
use super::walk::seen_filter::SeenFilter;
use super::watermarks::{self, Watermarks};
use super::{clocks, pipeline, window};

mod closing;
mod columns;
mod daily_facts;
mod known_reader;
mod opening;
mod personal_data;
mod recorded;
pub(super) mod stored;

/// How long a finished walk waits for a person to approve its removals.
const APPROVAL_WINDOW: TimeDelta = TimeDelta::hours(24);

/// The scope of a run; none for an increment that has no watermark to start from yet.
pub(super) async fn scope<T: Store>(
    store: &T,
    clock: &dyn Clock,
    profiles: &dyn Walkable,
    reading: ProfilesReading,
    approved: bool,
) -> Outcome<Option<Scope>> {
    let (standing, own) = clocks::standing(clock, store, profiles.name()).await?;
    let watermarks = Watermarks::of(&standing, own);
    let complete_once = watermarks.latest().is_some();
    // The open increment may be the walk that waits for the approval.
    let increment_is_open = standing.increment.position.is_some();
    Ok(match reading.scope {
        Some(Scope::Full) => Some(Scope::Full),
        Some(Scope::Increment) if complete_once => Some(Scope::Increment),
        // If the watermark is ignored, the table was complete at an unknown time: only a full walk repairs that.
        Some(Scope::Increment) => watermarks.doubted.map(|_| Scope::Full),
        None => {
            let open = matches!(&standing.full.position, Some(Position::Cursor(walk)) if !walk.awaits_approval() || approved);
            let wanted = if approved {
                increment_is_open
            } else {
                complete_once || reading.since.is_some()
            };
            let increment = !open && wanted;
            Some(if increment { Scope::Increment } else { Scope::Full })
        }
    })
}

/// Reads profiles in the scope of the lease, up to a page that needs approval.
pub(super) async fn run<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    reading: ProfilesReading,
) -> Outcome<Ended> {
    let outcome = read(context, reading).await;
    let refused = context.removals.refused();
    match outcome {
        Err(fault) if fault.kind == Kind::Person && refused > 0 => {
            Ok(merges_need_approval(context.removals.removed(), refused))
        }
        outcome => outcome,
    }
}

/// The end of a run that stopped at a page whose merges would remove too many rows. `removed`: rows that earlier merges of
/// the run removed.
fn merges_need_approval(removed: u64, refused: u64) -> Ended {
    let all = removed + refused;
    let before = match removed {
        0 => String::new(),
        removed => format!(", beside {removed} that this run removed before"),
    };
    Ended {
        status: RunStatus::NeedsApproval,
        error: Some(format!(
            "merges that the tenant reports would remove at least {refused} rows of `profiles`{before}: too many to remove without approval"
        )),
        hint: Some(format!(
            "check at the tenant whether these profiles were really merged; if so, run `blueconic-sync backfill profiles \
             --approve-removals {all}`: it continues from the page at which this run stopped, and names a larger number if \
             later pages remove more"
        )),
    }
}

async fn read<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    reading: ProfilesReading,
) -> Outcome<Ended> {
    let (standing, own) = context.standing().await?;
    advise_on_ignored_watermark(context, &standing, own);
    let cursor = standing.of(context.lease.slot.scope).clone();
    let mut resumable = resumable(context, cursor).await?;
    let mut with_columns = personal_data::bring(context).await?;
    recorded::bring(context).await?;
    if context.lease.slot.scope == Scope::Full && reading.since.is_some() {
        context
            .progress
            .notice("a full walk is open or wanted first: it reads everything, whatever `--since` says");
    }
    let mut tries = Tries::default();
    let mut before = None;
    let outer = context;
    loop {
        let context = &outer.over(&with_columns.resource);
        before = if tries.goes_on {
            // A walk that was opened in this run had read nothing before.
            before.or(Some(0))
        } else {
            distinct_before(context, resumable.as_ref()).await?
        };
        let next = match go_on(context, reading, resumable.take(), before).await {
            Ok(ended) => {
                columns::fill(context, &with_columns).await?;
                daily_facts::after(context, &ended).await?;
                return Ok(ended);
            }
            Err(stopped) if matches!(stopped.fault.kind, Kind::CommitsLost | Kind::ColumnsChanged) => {
                Err(stopped.fault)
            }
            Err(stopped) => restart::decide(context, stopped, &mut tries).await,
        };
        resumable = match next {
            Err(lost) if lost.kind == Kind::CommitsLost && tries.restarts < RESTARTS => {
                tries.restarts += 1;
                tries.goes_on = false;
                what_is_stored(context, &lost).await?
            }
            Err(changed) if changed.kind == Kind::ColumnsChanged && tries.restarts < RESTARTS => {
                tries.restarts += 1;
                tries.goes_on = false;
                with_columns = personal_data::bring(outer).await?;
                what_is_stored(outer, &changed).await?
            }
            next => next?,
        };
    }
}

/// The different ids that a walk has read whose listing is to be read on; none without such a walk.
async fn distinct_before<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    resumable: Option<&CursorPosition>,
) -> Outcome<Option<u64>> {
    let Some(walk) = resumable.filter(|walk| walk.finished.is_none()) else {
        return Ok(None);
    };
    let _waiting = context.progress.waiting();
    context.store.distinct(&id_hasher(walk)).await.map(Some)
}

/// Reads from a position, or from the start of a new walk, to the end and sweeps. `before`: the different ids that the walk had
/// read before.
async fn go_on<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    reading: ProfilesReading,
    resumable: Option<CursorPosition>,
    before: Option<u64>,
) -> Result<Ended, TransferFault> {
    let resumed = resumable.is_some();
    let read_before = resumable.as_ref().map_or(0, |walk| walk.read);
    context.listener.began(context.lease.slot, resumed, read_before);
    if resumable.as_ref().is_none_or(|walk| walk.finished.is_none()) {
        window::check(context.bounds, context.lease.slot.scope, context.store).await?;
    }
    let start = match resumable {
        Some(walk) if walk.finished.is_some() => {
            return Ok(after_full_walk(context, walk, reading, FullWalk::EndedBefore).await?);
        }
        Some(position) => position,
        None => open(context, reading).await?,
    };
    let walked = transfer(context, start).await?;
    Ok(finish(context, walked, before, reading).await?)
}

/// The position from which a walk goes on whose last commits may be lost, or which has to load its last page anew: the one that is stored. It and the rows and seen ids
/// that it covers were committed in one order, so that none of them is there without those before it.
async fn what_is_stored<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    lost: &Fault,
) -> Outcome<Option<CursorPosition>> {
    context
        .progress
        .notice(&format!("{lost}; the walk goes on from its last stored page"));
    // The run counts what it reads from here on once more.
    context.progress.change(|counts| counts.distinct = 0);
    if lost.kind == Kind::CommitsLost {
        context.store.regain(context.lease).await?;
    }
    resumable(context, context.store.cursor(context.lease.slot).await?).await
}

/// Advises about a watermark that is ignored.
fn advise_on_ignored_watermark<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    standing: &Standing,
    own: OwnClocks,
) {
    let watermarks = Watermarks::of(standing, own);
    let Some(doubted) = watermarks.doubted else {
        return;
    };
    let instead = match watermarks
        .latest()
        .filter(|_| context.lease.slot.scope == Scope::Increment)
    {
        Some(latest) => format!(
            "reading what changed since {}",
            latest.format("%Y-%m-%d %H:%M:%S UTC")
        ),
        None => "reading all profiles".to_owned(),
    };
    watermarks::advise_on_ignored_watermark(context.progress, context.lease.slot, doubted, own, &instead);
}

/// The open walk of this slot, if it can be continued. `cursor`: the slot's, as it is under the lease.
async fn resumable<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    cursor: Cursor,
) -> Outcome<Option<CursorPosition>> {
    let store = context.store;
    let Some(Position::Cursor(walk)) = cursor.position else {
        return Ok(None);
    };
    if walk.divided_at.is_none() {
        context.progress.notice(
            "the open walk was begun by a former release, which kept its place otherwise; it starts over",
        );
        give_up(context).await?;
        return Ok(None);
    }
    let own = context.own_clocks().await?;
    let walk = cursor::bounded_by_own_clocks(walk);
    let sane = walk.as_ref().is_some_and(|walk| own.believe(walk.began_at));
    let Some(walk) = walk.filter(|_| sane) else {
        context.progress.advise(
            "the open walk began by a clock that was far ahead of this machine's and the database's; it starts over",
        );
        give_up(context).await?;
        return Ok(None);
    };
    let usable = match &walk.finished {
        None => true,
        Some(finished) => {
            let fresh = store.now().await? - finished.at < APPROVAL_WINDOW;
            let approved = context.bounds.approved_removals.is_some();
            fresh && (approved || !finished.awaits_approval)
        }
    };
    if usable {
        return Ok(Some(CursorPosition {
            timelines: walk.timelines && context.resource.reads_timelines(),
            ..walk
        }));
    }
    give_up(context).await?;
    Ok(None)
}

async fn transfer<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    start: CursorPosition,
) -> Result<TransferEnd, TransferFault> {
    let store = context.store;
    let walk = walk_of(&start);
    let table = context.resource.table();
    let is_empty = start.pages == 0 && start.from_empty && store.is_empty(table).await?;
    let stored = if is_empty {
        0
    } else {
        store.rows_estimated(table).await?
    };
    let table_state = if is_empty {
        TableState::empty()
    } else {
        TableState::of(stored)
    };
    // An increment rarely fills a batch.
    let factor = match start.range {
        None => store.batch_factor().await?,
        Some(_) => 1,
    };
    let bytes = context.bounds.known_bytes;
    let is_worth_it = start.range.is_none() && !table.reads_children() && stored > 0 && bytes > 0;
    let known = is_worth_it.then(|| KnownReader::read(store, walk, stored, bytes));
    let transfer = Transfer {
        source: Arc::clone(context.source),
        store: store.clone(),
        resource: Arc::clone(context.resource),
        lease: context.lease.clone(),
        walk,
        bounds: context.bounds.with_larger_batches(factor),
        progress: context.progress.clone(),
        stop: context.stop.clone(),
        table_state: table_state.within(context.removals),
        id_hasher: id_hasher(&start),
        seen_filter: SeenFilter::default(),
        under_way: UnderWay::default(),
        stored,
        hashes_read: known.as_ref().map_or_else(nothing_to_read, KnownReader::is_done),
    };
    let mut walked = Box::pin(pipeline::run(Arc::new(transfer), start)).await?;
    if let Some(mut known) = known {
        walked.all_met = known.all_met().await;
    }
    Ok(walked)
}
