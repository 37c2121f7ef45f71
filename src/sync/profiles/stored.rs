//! The stored state of an open walk (`sync.cursors`, `sync.walk_seen`): moves and closes it.

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::Outcome;
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::{CursorPosition, Position};
use crate::model::seen::IdHasher;
use crate::model::walk::Walk;
use crate::sync::run::Context;

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

/// What hashes the ids of a position's walk.
pub(in crate::sync) fn id_hasher(position: &CursorPosition) -> IdHasher {
    IdHasher::new(position.walk_id, position.divided_at.clone().unwrap_or_default())
}

/// The walk of a position, for the store.
pub(in crate::sync) fn walk_of(position: &CursorPosition) -> Walk {
    Walk {
        id: position.walk_id,
        opened_at: position.opened_at,
        passed: position.passed,
    }
}
