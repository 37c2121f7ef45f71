//! The stored state of an open walk (`sync.cursors`, `sync.walk_seen`): moves, checks and closes it.

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::Outcome;
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::{CursorPosition, Position};
use crate::model::walk::Walk;
use crate::sync::run::Context;

/// Whether PostgreSQL crashed during the walk and emptied `sync.walk_seen`, which is unlogged. Compares only ids that
/// the walk itself read, since an increment adds ids to protect them.
pub(in crate::sync) async fn has_lost_ids<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    walk: &CursorPosition,
) -> Outcome<bool> {
    let _waiting = context.progress.waiting();
    let (_, read) = context.store.seen(walk.walk_id).await?;
    Ok(read < walk.seen_at_least)
}

/// Closes a walk so that this run opens another one.
pub(in crate::sync) async fn start_over<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    why: &str,
) -> Outcome<()> {
    context.progress.notice(&format!("{why}; the walk starts over"));
    // The next walk counts its own ids.
    context.progress.change(|counts| counts.distinct = 0);
    give_up(context).await
}

/// Closes a walk that will not be continued.
pub(in crate::sync) async fn give_up<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
) -> Outcome<()> {
    context.store.advance(context.lease, &moved(None, None)).await
}

/// Moves the cursor to this position, together with the watermark.
pub(in crate::sync) fn moved(position: Option<CursorPosition>, watermark: Option<Time>) -> Advance {
    Advance {
        position: position.map(Position::Cursor),
        watermark,
        ..Advance::default()
    }
}

/// The walk of a position, for the store.
pub(in crate::sync) fn walk_of(position: &CursorPosition) -> Walk {
    Walk {
        id: position.walk_id,
        opened_at: position.opened_at,
        passed: position.passed,
    }
}
