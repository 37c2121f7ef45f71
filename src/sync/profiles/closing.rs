//! Ends a walk over profiles: decides whether the listing was complete, moves the watermark, and starts the sweep of a
//! full walk.

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::Outcome;
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::CursorPosition;
use crate::model::status::RunStatus;
use crate::model::walk::Candidates;
use crate::sync::lookups::LookedUp;
use crate::sync::run::{Context, Ended};
use crate::sync::run_spec::ProfilesReading;
use crate::sync::sweep::{self, LookupBudget, Sweep};
use crate::sync::transfer_end::{EndReason, TransferEnd, WALKS_AGAIN};
use crate::sync::walk::cursor::{self, Completeness};
use crate::sync::{clocks, segment, watermarks};

use super::stored::{give_up, id_hasher, moved, walk_of};
use super::{daily_facts, recorded};

/// Ends a walk whose listing has ended. `before`: the number of distinct ids that earlier runs of the walk had read.
pub(super) async fn finish<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    walked: TransferEnd,
    before: Option<u64>,
    reading: ProfilesReading,
) -> Outcome<Ended> {
    let store = context.store;
    let distinct = if let (None, Some(distinct)) = (before, walked.distinct) {
        distinct
    } else {
        let _waiting = context.progress.waiting();
        store.distinct(&id_hasher(&walked.position)).await?
    };
    // The count during the walk was an estimate.
    context
        .progress
        .change(|counts| counts.distinct = distinct.saturating_sub(before.unwrap_or(0)));
    let position = cursor::finished(walked.position, store.now().await?, distinct);
    clocks::advise_on_claim(context.progress, &position);
    let completeness = completeness(context, &position, distinct);
    if !is_whole(context, walked.reason, &position, distinct, completeness).await? {
        give_up(context).await?;
        return Ok(incomplete(&position, distinct, walked.reason));
    }
    let walk_end = FullWalk::EndsNow {
        all_met: walked.all_met,
    };
    match position.range {
        Some((from, _)) => after_increment(context, &position, from, reading).await,
        None => after_full_walk(context, position, reading, walk_end).await,
    }
}

/// Compares what was read with the tenant's total, and records the difference in the ledger.
fn completeness<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
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

/// Whether the listing was complete. Many empty pages count as its end if the total was reached. Without a total, the table
/// decides: a full walk that reads fewer profiles than are stored is not complete.
async fn is_whole<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    reason: EndReason,
    position: &CursorPosition,
    distinct: u64,
    completeness: Completeness,
) -> Outcome<bool> {
    Ok(match (reason, position.total) {
        (EndReason::RepeatedPages | EndReason::TooManyElements, _) | (EndReason::EmptyPages, None) => false,
        (EndReason::EndReached | EndReason::EmptyPages, Some(_)) => completeness.within_tolerance,
        (EndReason::EndReached, None) if position.range.is_some() => true,
        (EndReason::EndReached, None) => {
            let stored = context.store.rows(context.resource.table()).await?;
            distinct + position.unidentified + cursor::tolerance(stored) >= stored
        }
    })
}

fn incomplete(position: &CursorPosition, distinct: u64, reason: EndReason) -> Ended {
    let of_total = position
        .total
        .map_or("without a total".to_owned(), |total| format!("of {total}"));
    let error = match reason {
        EndReason::EndReached if position.total.is_none() => format!(
            "the tenant reports no total, and {distinct} different profiles came, fewer than are stored"
        ),
        EndReason::EndReached => format!(
            "the tenant reports {} profiles, but {distinct} different ones came",
            position.total.unwrap_or_default()
        ),
        EndReason::RepeatedPages => format!(
            "the listing repeats itself: {distinct} different profiles came {of_total}, then none that was new"
        ),
        EndReason::EmptyPages => format!(
            "the listing does not end: {distinct} different profiles came {of_total}, then only empty pages"
        ),
        EndReason::TooManyElements => format!(
            "the listing does not end: {distinct} different profiles came {of_total}, more than is plausible"
        ),
    };
    Ended::partial(
        error,
        "what was read is loaded and nothing was removed; the next run walks again from the start",
    )
}

async fn after_increment<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
    from: Time,
    reading: ProfilesReading,
) -> Outcome<Ended> {
    if position.course.other_segment {
        give_up(context).await?;
        return segment::ended_elsewhere(context, position).await;
    }
    // An increment from a later date than the watermark leaves a hole, so the watermark stays before the hole.
    let leaves_hole = reading.since.is_some()
        && watermarks::watermark(context)
            .await?
            .is_none_or(|before| before < from);
    let watermark = (!leaves_hole).then_some(position.began_at);
    context
        .store
        .advance(context.lease, &moved(None, watermark))
        .await?;
    let _waiting = context.progress.waiting();
    let store = context.store;
    tell(context, store.retry_upkeep(context.resource.table()).await?);
    Ok(Ended::well(&context.progress.read()))
}

/// Reports upkeep that was postponed. That is not a fault: all rows are loaded.
fn tell<S: Source, T: Store>(context: &Context<'_, S, T, dyn Walkable>, put_off: Vec<String>) {
    for sentence in put_off {
        context.progress.notice(&sentence);
    }
}

/// What the run that ends a full walk knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FullWalk {
    /// An earlier run read its last page.
    EndedBefore,
    /// This run has read its last page. `all_met`: the walk has certainly met every stored profile.
    EndsNow { all_met: bool },
}

/// The different ids that a walk has read whose listing has ended.
fn distinct_of(position: &CursorPosition) -> u64 {
    position.finished.as_ref().map_or(0, |finished| finished.distinct)
}

/// The upkeep after a full walk, and the candidates of its sweep.
async fn look_for_candidates<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
    walk_end: FullWalk,
) -> Outcome<Candidates> {
    let _waiting = context.progress.waiting();
    let loaded = position.from_empty.then(|| distinct_of(position));
    let store = context.store;
    let upkeep = store.after_full_walk(context.resource.table(), loaded);
    let put_off = if position.from_empty {
        // After a first load, both take seconds for each million, on one core each. The end of the run measures nothing again.
        let (put_off, measured) = tokio::join!(upkeep, daily_facts::measure(context));
        measured?;
        put_off?
    } else {
        upkeep.await?
    };
    tell(context, put_off);
    let (table, walk) = (context.resource.table(), walk_of(position));
    store.forget_waiting(table, context.lease, walk).await?;
    if walk_end == (FullWalk::EndsNow { all_met: true }) {
        tracing::debug!("the walk met every stored profile: the sweep has no candidates");
        return Ok(Candidates::default());
    }
    if position.from_empty {
        return Ok(Candidates::default());
    }
    sweep::candidates(context, walk_of(position), &id_hasher(position)).await
}

/// The sweep, and with it the end of a full walk.
pub(super) async fn after_full_walk<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: CursorPosition,
    reading: ProfilesReading,
    walk_end: FullWalk,
) -> Outcome<Ended> {
    let store = context.store;
    if position.course.other_segment && !segment::holds_all(context, &position.segment).await? {
        give_up(context).await?;
        return segment::ended_elsewhere(context, &position).await;
    }
    // Everything that the walk read is loaded, so increments may start at the walk's start, whether or not the sweep succeeds.
    let complete = Advance {
        segment: Some(position.segment.clone()),
        timelines: position.timelines,
        ..moved(Some(position.clone()), Some(position.began_at))
    };
    store.advance(context.lease, &complete).await?;
    if walk_end == FullWalk::EndedBefore {
        completeness(context, &position, distinct_of(&position));
    }
    // The tenant may answer slowly during the sweep.
    let walk = walk_of(&position);
    let looking = look_for_candidates(context, &position, walk_end);
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
    let profiles = LookedUp::Profiles {
        resource: context.resource.as_ref(),
        segment: choice.segment,
    };
    let budget = match candidates.unseen {
        0 => LookupBudget::default(),
        _ => LookupBudget::of(context.bounds, store.now().await?, reading.next_full_at),
    };
    let ended = sweep::run(context, Sweep::by_look_ups(walk, profiles, budget), candidates).await?;
    if ended.status == RunStatus::NeedsApproval {
        let mut kept = position;
        if let Some(finished) = &mut kept.finished {
            finished.awaits_approval = true;
        }
        store.advance(context.lease, &moved(Some(kept), None)).await?;
        return Ok(ended);
    }
    recorded::begin(context, walk).await?;
    store.advance(context.lease, &moved(None, None)).await?;
    watermarks::advise_on_late_changes(context.progress, reading.overlap);
    Ok(ended)
}
