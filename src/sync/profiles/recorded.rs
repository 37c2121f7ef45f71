//! The recorded histories of profiles in a run: switched on and off before it reads, and begun at the end of a complete full walk.

use crate::model::fault::Outcome;
use crate::model::ports::{Source, Store, Walkable};
use crate::model::walk::Walk;
use crate::sync::run::Context;

/// Switches histories on and off, as the settings say.
pub(super) async fn bring<S: Source, T: Store>(context: &Context<'_, S, T, dyn Walkable>) -> Outcome<()> {
    let _waiting = context.progress.waiting();
    let wanted = context.resource.wanted_histories();
    for sentence in context.store.bring_histories(&wanted).await? {
        context.progress.notice(&sentence);
    }
    Ok(())
}

/// Begins the histories that wait for the end of this full walk, which was complete.
pub(super) async fn begin<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    walk: Walk,
) -> Outcome<()> {
    let _waiting = context.progress.waiting();
    for sentence in context.store.begin_histories(context.lease, walk).await? {
        context.progress.notice(&sentence);
    }
    Ok(())
}
