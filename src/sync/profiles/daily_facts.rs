//! The sizes by day at the end of a run over profiles.

use crate::model::fault::{Kind, Outcome};
use crate::model::ports::{Source, Store, Walkable};
use crate::model::status::RunStatus;
use crate::sync::run::{Context, Ended};
use crate::sync::watermarks;

/// Measures them if the run has read what it was to read. The run has ended by now: what cannot be measured is measured by the next one.
pub(super) async fn after<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    ended: &Ended,
) -> Outcome<()> {
    match ended.status {
        RunStatus::Succeeded | RunStatus::Partial => measure(context).await,
        _ => Ok(()),
    }
}

/// Measures them if the settings want it and the table was complete once.
pub(super) async fn measure<S: Source, T: Store>(context: &Context<'_, S, T, dyn Walkable>) -> Outcome<()> {
    if !context.resource.wants_daily_facts() || watermarks::watermark(context).await?.is_none() {
        return Ok(());
    }
    let _waiting = context.progress.waiting();
    let measuring = context.store.measure_day(context.lease);
    match context.stop.or(measuring).await {
        Err(fault) if matches!(fault.kind, Kind::Interrupted | Kind::Fenced | Kind::CommitsLost) => {
            Err(fault)
        }
        Err(fault) => {
            let sentence = format!("the sizes of this day are measured by a later run: {fault}");
            context.progress.notice(&sentence);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
