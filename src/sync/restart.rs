//! Decides whether the listing of a walk of profiles that broke off is read again from its start. A stored cursor can become
//! invalid; otherwise every run would fail at the same page until a person resets the position. A walk may have taken days,
//! so an outage of the tenant must not restart its listing.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::{CursorPosition, Position, Restarted, WalkHistory};

use super::profiles::stored::{give_up, moved};
use super::refusals::{self, Again, Refusals};
use super::run::Context;
use super::segment;
use super::small_pages::read_segments;
use super::transfer_end::TransferFault;

/// The most restarts within one run.
pub(super) const RESTARTS: u32 = 3;
/// After this time, a walk that got no further than the one before may be restarted once more: the cause may have
/// passed, and the cursor may have become invalid since.
const ONCE_IN: TimeDelta = TimeDelta::hours(24);
/// How long the check whether the tenant answers other requests may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a run has tried so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// How often it continued from what was stored, or read a listing again from its start.
    pub(super) restarts: u32,
    /// Whether the walk goes on without a restart: what the run has counted still counts.
    pub(super) goes_on: bool,
    refusals: Refusals,
}

/// Decides about a walk that broke off: it goes on at a place whose cursor was refused, its listing is read again from its start,
/// or the fault ends the run. What the walk has covered stays covered: a profile that either reading saw is kept. Returns
/// the position to go on from, or none where the segment has changed and another walk has to begin.
pub(super) async fn decide<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    stopped: TransferFault,
    tries: &mut Tries,
) -> Outcome<Option<CursorPosition>> {
    let TransferFault { fault, unread } = stopped;
    tries.goes_on = false;
    let Some(position) = unread.filter(|position| position.cursor != "*" && is_an_answer(&fault.kind)) else {
        return Err(fault);
    };
    let stored = stored_at(context, &position).await?;
    if let Some(stored) = &stored
        && let Some(again) = tries.refusals.next(stored, &fault.kind)
    {
        tries.goes_on = true;
        return go_on(context, stored, again, &fault).await.map(Some);
    }
    tries.refusals = Refusals::default();
    tries.restarts += 1;
    let now = context.store.now().await?;
    let no_farther = |before: Restarted| position.read <= before.read && now - before.at < ONCE_IN;
    if tries.restarts > RESTARTS || position.course.restarted.is_some_and(no_farther) {
        return Err(stuck(fault));
    }
    let passes = fault.is_transient();
    if passes && position.course.failed_here == 0 {
        note(context, &position).await;
        return Err(fault);
    }
    if !answers_others(context, &position).await? {
        return Err(fault);
    }
    let why = if passes {
        format!("two runs ended at the same page ({fault}), while the tenant answers other requests")
    } else {
        format!("the tenant no longer accepts the stored cursor ({fault})")
    };
    let aside = match &stored {
        Some(stored) => Some(refusals::kept(stored)),
        None => position.aside.clone(),
    };
    from_the_start(context, CursorPosition { aside, ..*position }, &why, now).await
}

/// The stored position of a walk, if everything before the unread page is loaded.
async fn stored_at<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    unread: &CursorPosition,
) -> Outcome<Option<CursorPosition>> {
    let stored = context.store.cursor(context.lease.slot).await?.position;
    let Some(Position::Cursor(stored)) = stored else {
        return Ok(None);
    };
    let is_there = stored.walk_id == unread.walk_id && stored.cursor == unread.cursor;
    Ok(is_there.then_some(stored))
}

/// Goes on with a walk whose cursor was refused.
async fn go_on<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    refused: &CursorPosition,
    again: Again,
    fault: &Fault,
) -> Outcome<CursorPosition> {
    let Again { position, pause } = again;
    let _waiting = context.progress.waiting();
    context.stop.pause(pause).await?;
    if position.cursor == refused.cursor {
        tracing::debug!(%fault, "a cursor was refused; sending it once more");
        return Ok(position);
    }
    tracing::info!(%fault, "the tenant lists in another order now; the walk goes on from its place in that order");
    let moved = moved(Some(position.clone()), None);
    context.store.advance(context.lease, &moved).await?;
    Ok(position)
}

/// Moves a walk back to the start of its listing.
async fn from_the_start<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: CursorPosition,
    why: &str,
    now: Time,
) -> Outcome<Option<CursorPosition>> {
    let (choice, _) = segment::choose(context, None).await?;
    if choice.segment != position.segment {
        context.progress.notice(&format!(
            "{why}, and another segment is to be read; the walk starts over"
        ));
        give_up(context).await?;
        return Ok(None);
    }
    context.progress.notice(&format!(
        "{why}; the listing is read again from its start, and what the walk has covered is kept"
    ));
    let restarted = CursorPosition {
        cursor: "*".to_owned(),
        read: 0,
        unidentified: 0,
        course: WalkHistory {
            failed_here: 0,
            restarted: Some(Restarted {
                read: position.read,
                at: now,
            }),
            ..position.course
        },
        ..position
    };
    let moved = moved(Some(restarted.clone()), None);
    context.store.advance(context.lease, &moved).await?;
    Ok(Some(restarted))
}

/// Whether the fault concerns the request, not this process.
fn is_an_answer(kind: &Kind) -> bool {
    match kind {
        Kind::Transient
        | Kind::Strained
        | Kind::Settings
        | Kind::Denied { .. }
        | Kind::CursorRefused
        | Kind::Absent
        | Kind::Final => true,
        Kind::Person
        | Kind::CommitsLost
        | Kind::ColumnsChanged
        | Kind::Fenced
        | Kind::Held
        | Kind::Interrupted => false,
    }
}

/// The fault of a walk that was restarted for the same reason before and got no further.
fn stuck(fault: Fault) -> Fault {
    let why = match fault.why {
        Some(why) => format!("{why}; the walk was restarted for it and got no further"),
        None => "the walk was restarted for it and got no further".to_owned(),
    };
    Fault {
        why: Some(why),
        hint: Some(
            "lower `resources.profiles.page_size` in case the page is too large, or report it to BlueConic; \
             the walk restarts once a day, or at once after `blueconic-sync reset profiles`"
                .to_owned(),
        ),
        ..fault
    }
}

/// Records for the next run that this one could not read the page at its stored position.
async fn note<S: Source, T: Store>(context: &Context<'_, S, T, dyn Walkable>, unread: &CursorPosition) {
    let noting = async {
        let Some(mut position) = stored_at(context, unread).await? else {
            return Ok(());
        };
        position.course.failed_here += 1;
        let moved = moved(Some(position), None);
        context.store.advance(context.lease, &moved).await
    };
    if let Err(fault) = noting.await {
        tracing::warn!(%fault, "the failure to read a page could not be recorded");
    }
}

/// Whether the tenant answers other requests: the listing of segments and the first page. A slow answer counts as none.
async fn answers_others<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
) -> Outcome<bool> {
    let asking = async {
        match tokio::time::timeout(PATIENCE, ask(context, position)).await {
            Ok(answered) => answered,
            Err(_) => Err(Fault::new(Kind::Transient, "the tenant takes long to answer")),
        }
    };
    match context.stop.or(asking).await {
        Ok(()) => Ok(true),
        Err(fault) if is_an_answer(&fault.kind) => {
            tracing::info!(%fault, "the tenant does not answer other requests either; the walk keeps its position");
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

async fn ask<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
) -> Outcome<()> {
    let resource = context.resource.as_ref();
    let source = context.source.as_ref();
    let meter = context.progress.meter();
    let _waiting = context.progress.waiting();
    let mut resolver = resource.segment_resolver(Some(&position.segment));
    read_segments(source, context.stop, meter, resolver.as_mut(), |_| {}).await?;
    let is_listed = resolver.resolve(None).is_ok_and(|choice| choice.is_wanted);
    let start = CursorPosition {
        cursor: "*".to_owned(),
        ..position.clone()
    };
    let request = resource.page(&start, u32::BITS);
    match source.open(&request, 0, meter).await {
        Ok(_) => Ok(()),
        // A segment that is gone is no reason to keep the walk.
        Err(_) if !is_listed => Ok(()),
        Err(fault) => Err(fault),
    }
}
