//! Opens a walk over profiles: chooses its segment and its time range, and makes its first position.

use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::{CursorPosition, Scope, WalkHistory};
use crate::model::seen::PART_ROWS;
use crate::sync::clocks::{self, WalkTimes};
use crate::sync::run::Context;
use crate::sync::run_spec::ProfilesReading;
use crate::sync::segment;
use crate::sync::watermarks::Watermarks;

use super::stored::moved;

/// Opens a walk: chooses its segment and its time range, and makes its first position.
pub(super) async fn open<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    reading: ProfilesReading,
) -> Outcome<CursorPosition> {
    let (choice, server_time) = segment::choose(context, None).await?;
    let (standing, own) = context.standing().await?;
    let other_segment = segment::is_other(context, &choice, standing.full.segment.as_deref()).await?;
    let opened_at = own.database;
    let times = WalkTimes::of(server_time, own);
    clocks::advise_on_clocks(context.progress, server_time, own);
    // Without the tenant's time, clocks may differ, so the increment reaches back twice as far.
    let overlap = reading.overlap * if server_time.is_some() { 1 } else { 2 };
    let watermarks = Watermarks::of(&standing, own);
    let (store, table) = (context.store, context.resource.table());
    let (range, passed, from_empty, divided_at) = match context.lease.slot.scope {
        Scope::Full => {
            let from_empty = store.is_empty(table).await?;
            let divided_at = store.divide(table, PART_ROWS).await?;
            (None, watermarks.increment, from_empty, divided_at)
        }
        Scope::Increment => {
            let range = range(reading, overlap, times.asked, &watermarks);
            (Some(range), None, false, Vec::new())
        }
    };
    let position = CursorPosition {
        walk_id: Uuid::now_v7(),
        segment: choice.segment,
        cursor: "*".to_owned(),
        range,
        began_at: times.claimed,
        opened_at,
        properties: context.resource.selection(),
        timelines: context.resource.reads_timelines(),
        pages: 0,
        read: 0,
        divided_at: Some(divided_at),
        from_empty,
        unidentified: 0,
        total: None,
        passed,
        finished: None,
        aside: None,
        course: WalkHistory {
            other_segment,
            ..WalkHistory::default()
        },
    };
    store
        .advance(context.lease, &moved(Some(position.clone()), None))
        .await?;
    Ok(position)
}

/// The range of an increment: from its watermark minus the overlap to `now`, the latest of all clocks.
fn range(reading: ProfilesReading, overlap: Duration, now: Time, watermarks: &Watermarks) -> (Time, Time) {
    let from = reading.since.or_else(|| watermarks.latest()).unwrap_or(now);
    let overlap = TimeDelta::from_std(overlap).unwrap_or_default();
    (from.checked_sub_signed(overlap).unwrap_or(from).min(now), now)
}
