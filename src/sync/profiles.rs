//! Profiles: full walks that end in a sweep, and increments between them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::{Kind, Outcome};
use crate::model::ledger::Status;
use crate::model::ports::{Source, Store};
use crate::model::position::{Course, CursorPosition, Position, Restarted, Scope};
use crate::model::walk::Walk;

use super::ending::{Ending, Stopped, Walked};
use super::engine::{Context, Ended, Engine};
use super::lane::Standing;
use super::marks::{self, Beginning, Marks};
use super::pipeline::{self, Shared};
use super::restart::{self, Anew, RESTARTS};
use super::segment;
use super::sweep::{self, SEEN_LOST, Sweep, WALKS_AGAIN};
use super::task::{ProfilesReading, Task};
use super::walk::cursor::{self, Completeness};
use super::walk::novelty::Novelty;

/// How long a finished walk waits for a person's approval.
const APPROVAL_WINDOW: TimeDelta = TimeDelta::hours(24);

/// In which scope a task runs; none when there is nothing to increment from yet.
pub(super) async fn scope<S: Source, T: Store>(
    engine: &Engine<S, T>,
    task: &Task,
    reading: ProfilesReading,
    approved: bool,
) -> Outcome<Option<Scope>> {
    let store = &engine.store;
    let full = store.cursor(task.slot(Scope::Full)).await?;
    let own = marks::own_clocks(engine.clock.as_ref(), store).await?;
    let marks = Marks::read(store, task, own).await?;
    let complete_once = marks.latest().is_some();
    // An increment may be the one that waits for the approval.
    let increment_is_open = store
        .cursor(task.slot(Scope::Increment))
        .await?
        .position
        .is_some();
    Ok(match reading.scope {
        Some(Scope::Full) => Some(Scope::Full),
        Some(Scope::Increment) if complete_once => Some(Scope::Increment),
        // It was complete once, and nothing tells since when it is not: only a full walk heals that.
        Some(Scope::Increment) => marks.doubted.map(|_| Scope::Full),
        None => {
            let open =
                matches!(&full.position, Some(Position::Cursor(walk)) if !awaits_approval(walk) || approved);
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

/// Whether nothing but a person's word is missing.
fn awaits_approval(walk: &CursorPosition) -> bool {
    walk.finished
        .as_ref()
        .is_some_and(|finished| finished.awaits_approval)
}

/// Reads profiles in the scope of the lease, as far as they may be loaded without a person's word.
pub(super) async fn run<S: Source, T: Store>(
    context: &Context<'_, S, T>,
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

/// So many rows went by merges before the run came to a page whose merges would remove too many.
fn merges_need_approval(removed: u64, refused: u64) -> Ended {
    let all = removed + refused;
    let before = match removed {
        0 => String::new(),
        removed => format!(", beside {removed} that this run removed before"),
    };
    Ended {
        status: Status::NeedsApproval,
        error: Some(format!(
            "merges that the tenant tells of would remove at least {refused} rows of `profiles`{before}: too many to remove unasked"
        )),
        hint: Some(format!(
            "check at the tenant whether these profiles were really merged; if so, run `blueconic-sync backfill profiles \
             --approve-removals {all}`: it goes on from the page at which this run stopped, and names a larger number if \
             later pages remove more"
        )),
    }
}

async fn read<S: Source, T: Store>(context: &Context<'_, S, T>, reading: ProfilesReading) -> Outcome<Ended> {
    tell_of_doubt(context).await?;
    let mut resumable = resumable(context).await?;
    if let Some(walk) = resumable.take_if(|walk| walk.finished.is_some()) {
        context.engine.watcher.began(context.lease.slot, true);
        return after_full_walk(context, walk, reading, true).await;
    }
    if context.lease.slot.scope == Scope::Full && reading.since.is_some() {
        context
            .progress
            .notice("a full walk is open or wanted first: it reads everything, whatever `--since` says");
    }
    let mut restarts = 0;
    let mut restarted = None;
    loop {
        let resumed = resumable.is_some();
        context.engine.watcher.began(context.lease.slot, resumed);
        let start = match resumable.take() {
            Some(position) => position,
            None => open(context, reading, restarted).await?,
        };
        let walk_id = start.walk_id;
        let before = if resumed {
            let _waiting = context.progress.waiting();
            Some(context.engine.store.distinct(walk_id).await?)
        } else {
            None
        };
        let anew = match transfer(context, start).await {
            Err(stopped) => restart::decide(context, stopped, restarts).await?,
            Ok(walked) => {
                if !has_lost_ids(context, &walked.position).await? {
                    return finish(context, walked, before, reading).await;
                }
                if restarts >= RESTARTS {
                    give_up(context).await?;
                    return Ok(Ended::partial(SEEN_LOST.to_owned(), WALKS_AGAIN));
                }
                Anew {
                    why: SEEN_LOST.to_owned(),
                    restarted,
                }
            }
        };
        restarts += 1;
        restarted = anew.restarted;
        start_over(context, &anew.why).await?;
    }
}

/// Says where a watermark is not believed.
async fn tell_of_doubt<S: Source, T: Store>(context: &Context<'_, S, T>) -> Outcome<()> {
    let own = context.own_clocks().await?;
    let marks = marks::of_run(context, own).await?;
    let Some(doubted) = marks.doubted else {
        return Ok(());
    };
    let instead = match marks
        .latest()
        .filter(|_| context.lease.slot.scope == Scope::Increment)
    {
        Some(latest) => format!(
            "reading what changed since {}",
            latest.format("%Y-%m-%d %H:%M:%S UTC")
        ),
        None => "reading all profiles".to_owned(),
    };
    marks::tell_of_doubt(context.progress, context.lease.slot, doubted, own, &instead);
    Ok(())
}

/// The open walk of this slot, if it can be gone on with.
async fn resumable<S: Source, T: Store>(context: &Context<'_, S, T>) -> Outcome<Option<CursorPosition>> {
    let store = &context.engine.store;
    let Some(Position::Cursor(walk)) = store.cursor(context.lease.slot).await?.position else {
        return Ok(None);
    };
    let kept = !has_lost_ids(context, &walk).await?;
    let own = context.own_clocks().await?;
    let walk = cursor::sobered(walk);
    let sane = walk.as_ref().is_some_and(|walk| own.believe(walk.began_at));
    let Some(walk) = walk.filter(|_| sane) else {
        context.progress.advise(
            "the open walk began by a clock that was far ahead of this machine's and the database's; it starts over",
        );
        give_up(context).await?;
        return Ok(None);
    };
    let usable = match &walk.finished {
        None => kept,
        Some(finished) => {
            let fresh = store.now().await? - finished.at < APPROVAL_WINDOW;
            let approved = context.engine.bounds.approved_removals.is_some();
            kept && fresh && (approved || !finished.awaits_approval)
        }
    };
    if usable {
        return Ok(Some(walk));
    }
    if !kept {
        context
            .progress
            .notice(&format!("{SEEN_LOST}; the walk starts over"));
    }
    give_up(context).await?;
    Ok(None)
}

/// Whether PostgreSQL crashed under the walk and emptied `sync.walk_seen`, which is unlogged. Only ids that the walk
/// read itself are compared: what an increment protects meanwhile must not fill the hole.
async fn has_lost_ids<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    walk: &CursorPosition,
) -> Outcome<bool> {
    let _waiting = context.progress.waiting();
    let (_, read) = context.engine.store.seen(walk.walk_id).await?;
    Ok(read < walk.seen_at_least)
}

/// Closes a walk so that this run begins another one.
async fn start_over<S: Source, T: Store>(context: &Context<'_, S, T>, why: &str) -> Outcome<()> {
    context.progress.notice(&format!("{why}; the walk starts over"));
    // The next walk counts its own ids.
    context.progress.change(|counts| counts.distinct = 0);
    give_up(context).await
}

/// Closes a walk that will not be gone on with.
async fn give_up<S: Source, T: Store>(context: &Context<'_, S, T>) -> Outcome<()> {
    context
        .engine
        .store
        .advance(context.lease, &moved(None, None))
        .await
}

pub(super) fn moved(position: Option<CursorPosition>, watermark: Option<Time>) -> Advance {
    Advance {
        position: position.map(Position::Cursor),
        watermark,
        ..Advance::default()
    }
}

/// Begins a walk: which segment, from when to when, and the position that says so.
async fn open<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    reading: ProfilesReading,
    restarted: Option<Restarted>,
) -> Outcome<CursorPosition> {
    let (choice, server_time) = segment::choose(context, None).await?;
    let other_segment = segment::is_other(context, &choice).await?;
    let own = context.own_clocks().await?;
    let opened_at = own.database;
    let beginning = Beginning::of(server_time, own);
    marks::tell_of_clocks(context.progress, server_time, own);
    // Without the tenant's own time, clocks may differ: reach back twice as far.
    let overlap = reading.overlap * if server_time.is_some() { 1 } else { 2 };
    let passed = match context.lease.slot.scope {
        Scope::Full => marks::of_run(context, own).await?.increment,
        Scope::Increment => None,
    };
    let position = CursorPosition {
        walk_id: Uuid::now_v7(),
        segment: choice.segment,
        cursor: "*".to_owned(),
        range: range(context, reading, overlap, beginning.asked).await?,
        began_at: beginning.claimed,
        opened_at,
        properties: context.task.resource.selection(),
        pages: 0,
        read: 0,
        seen_at_least: 0,
        unidentified: 0,
        total: None,
        passed,
        finished: None,
        course: Course {
            restarted,
            other_segment,
            ..Course::default()
        },
    };
    context
        .engine
        .store
        .advance(context.lease, &moved(Some(position.clone()), None))
        .await?;
    Ok(position)
}

/// The range of an increment: from its watermark minus the overlap to `now`, the latest that any clock says.
async fn range<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    reading: ProfilesReading,
    overlap: Duration,
    now: Time,
) -> Outcome<Option<(Time, Time)>> {
    if context.lease.slot.scope == Scope::Full {
        return Ok(None);
    }
    let from = match reading.since {
        Some(since) => since,
        None => watermark(context).await?.unwrap_or(now),
    };
    let overlap = TimeDelta::from_std(overlap).unwrap_or_default();
    Ok(Some((
        from.checked_sub_signed(overlap).unwrap_or(from).min(now),
        now,
    )))
}

/// Through when profiles are complete: by an increment, or by the start of a full walk.
async fn watermark<S: Source, T: Store>(context: &Context<'_, S, T>) -> Outcome<Option<Time>> {
    let own = context.own_clocks().await?;
    Ok(marks::of_run(context, own).await?.latest())
}

async fn transfer<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    start: CursorPosition,
) -> Result<Walked, Stopped> {
    let engine = context.engine;
    let walk = walk_of(&start);
    let table = context.task.resource.table();
    let is_empty = start.pages == 0 && engine.store.is_empty(table).await?;
    let stored = if is_empty {
        0
    } else {
        engine.store.rows_estimated(table).await?
    };
    let standing = if is_empty {
        Standing::empty()
    } else {
        Standing::of(stored)
    };
    let shared = Shared {
        source: Arc::clone(&engine.source),
        store: engine.store.clone(),
        resource: Arc::clone(&context.task.resource),
        lease: context.lease.clone(),
        walk,
        bounds: engine.bounds.clone(),
        progress: context.progress.clone(),
        stop: context.stop.clone(),
        standing: standing.within(context.removals),
        recorded: start.seen_at_least.into(),
        novelty: Novelty::default(),
        stored,
    };
    Box::pin(pipeline::transfer(Arc::new(shared), start)).await
}

fn walk_of(position: &CursorPosition) -> Walk {
    Walk {
        id: position.walk_id,
        opened_at: position.opened_at,
        passed: position.passed,
    }
}

/// What follows when the listing has come to its end. `before`: different ids that
/// earlier runs of the walk had read, if there were any.
async fn finish<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    walked: Walked,
    before: Option<u64>,
    reading: ProfilesReading,
) -> Outcome<Ended> {
    let store = &context.engine.store;
    let distinct = match (before, walked.distinct) {
        (None, Some(distinct)) => distinct,
        _ => store.distinct(walked.position.walk_id).await?,
    };
    // Counted roughly while it went.
    context
        .progress
        .change(|counts| counts.distinct = distinct.saturating_sub(before.unwrap_or(0)));
    let position = cursor::finished(walked.position, store.now().await?, distinct);
    marks::tell_of_claim(context.progress, &position);
    let completeness = completeness(context, &position, distinct);
    if !is_whole(context, walked.ending, &position, distinct, completeness).await? {
        give_up(context).await?;
        return Ok(incomplete(&position, distinct, walked.ending));
    }
    match position.range {
        Some((from, _)) => after_increment(context, &position, from, reading).await,
        None => after_full_walk(context, position, reading, false).await,
    }
}

/// Compares what was read with what the tenant told, and puts the difference into the ledger.
fn completeness<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    position: &CursorPosition,
    distinct: u64,
) -> Completeness {
    let completeness = cursor::completeness(distinct, position.unidentified, position.total);
    context.progress.change(|counts| {
        counts.source_total = position.total;
        counts.unexplained = completeness.difference;
    });
    completeness
}

/// Whether all came. Empty pages without end are an end where the total says so. Without a total only the table can speak
/// against a listing that stopped short: a full walk that brings fewer than are stored proves nothing.
async fn is_whole<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    ending: Ending,
    position: &CursorPosition,
    distinct: u64,
    completeness: Completeness,
) -> Outcome<bool> {
    Ok(match (ending, position.total) {
        (Ending::Circling | Ending::TooMuch, _) | (Ending::Empty, None) => false,
        (Ending::Reached | Ending::Empty, Some(_)) => completeness.within_tolerance,
        (Ending::Reached, None) if position.range.is_some() => true,
        (Ending::Reached, None) => {
            let stored = context.engine.store.rows(context.task.resource.table()).await?;
            distinct + position.unidentified + cursor::tolerance(stored) >= stored
        }
    })
}

fn incomplete(position: &CursorPosition, distinct: u64, ending: Ending) -> Ended {
    let told = position
        .total
        .map_or("without a total".to_owned(), |total| format!("of {total}"));
    let error = match ending {
        Ending::Reached if position.total.is_none() => format!(
            "the tenant tells no total, and {distinct} different profiles came, fewer than are stored"
        ),
        Ending::Reached => format!(
            "the tenant tells of {} profiles, {distinct} different ones came",
            position.total.unwrap_or_default()
        ),
        Ending::Circling => format!(
            "the listing repeats itself: {distinct} different profiles came {told}, then none that was new"
        ),
        Ending::Empty => format!(
            "the listing does not end: {distinct} different profiles came {told}, then only empty pages"
        ),
        Ending::TooMuch => format!(
            "the listing does not end: {distinct} different profiles came {told}, more than can be believed"
        ),
    };
    Ended::partial(
        error,
        "what came is loaded and nothing was removed; the next run walks again from the start",
    )
}

async fn after_increment<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    position: &CursorPosition,
    from: Time,
    reading: ProfilesReading,
) -> Outcome<Ended> {
    if position.course.other_segment {
        give_up(context).await?;
        return segment::ended_elsewhere(context, position).await;
    }
    // An increment from a later date than the watermark leaves a hole: the watermark stays in front of it.
    let leaves_hole = reading.since.is_some() && watermark(context).await?.is_none_or(|before| before < from);
    let watermark = (!leaves_hole).then_some(position.began_at);
    context
        .engine
        .store
        .advance(context.lease, &moved(None, watermark))
        .await?;
    let _waiting = context.progress.waiting();
    let store = &context.engine.store;
    tell(context, store.make_up(context.task.resource.table()).await?);
    Ok(Ended::well(&context.progress.read()))
}

/// What was put off is said, and is no fault: everything is loaded.
fn tell<S: Source, T: Store>(context: &Context<'_, S, T>, put_off: Vec<String>) {
    for sentence in put_off {
        context.progress.notice(&sentence);
    }
}

/// The sweep, and with it the end of a full walk.
async fn after_full_walk<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    position: CursorPosition,
    reading: ProfilesReading,
    approved: bool,
) -> Outcome<Ended> {
    let store = &context.engine.store;
    if position.course.other_segment && !segment::holds_all(context, &position.segment).await? {
        give_up(context).await?;
        return segment::ended_elsewhere(context, &position).await;
    }
    // All that the walk read is loaded: increments may begin from its start, whatever becomes of the sweep.
    let watermark = Some(position.began_at);
    let complete = Advance {
        segment: Some(position.segment.clone()),
        ..moved(Some(position.clone()), watermark)
    };
    store.advance(context.lease, &complete).await?;
    if approved {
        let distinct = position.finished.as_ref().map_or(0, |finished| finished.distinct);
        completeness(context, &position, distinct);
    }
    // The tenant may take its time to answer meanwhile.
    let walk = walk_of(&position);
    let looking = async {
        let _waiting = context.progress.waiting();
        tell(
            context,
            store.after_full_walk(context.task.resource.table()).await?,
        );
        sweep::candidates(context, walk).await
    };
    let (choice, candidates) = tokio::join!(segment::choose(context, Some(&position.segment)), looking);
    let ((choice, _), candidates) = (choice?, candidates?);
    if choice.segment != position.segment {
        give_up(context).await?;
        return Ok(Ended::partial(
            format!(
                "the segment `{}` went away while its profiles were read",
                position.segment
            ),
            WALKS_AGAIN,
        ));
    }
    let read = position.finished.as_ref().map_or(0, |finished| finished.distinct);
    let ended = sweep::run(
        context,
        Sweep::of_profiles(walk, read, choice.segment),
        candidates,
    )
    .await?;
    if ended.status == Status::NeedsApproval {
        let mut kept = position;
        if let Some(finished) = &mut kept.finished {
            finished.awaits_approval = true;
        }
        store
            .advance(context.lease, &moved(Some(kept), watermark))
            .await?;
        return Ok(ended);
    }
    store.advance(context.lease, &moved(None, watermark)).await?;
    marks::tell_of_late(context.progress, reading.overlap);
    Ok(ended)
}
