//! Chooses the segment that a walk of profiles reads. A single listing without the segment decides nothing: while the
//! tenant rebuilds an index, or a page shifts, a segment can be missing for a moment. A walk over another segment than
//! the last one proves nothing about profiles that it does not see.

use std::time::Duration;

use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::{CursorPosition, Scope};
use crate::model::segment::Choice;

use super::run::{Context, Ended};
use super::small_pages::read_segments;
use super::walk::cursor;

/// How often the listing is read until two readings in a row say the same.
const READINGS: u32 = 5;
/// The pause between two readings.
const PAUSE: Duration = Duration::from_millis(500);

/// Returns the segment to walk and the tenant's time. A missing segment counts only if two readings in a row agree on
/// the replacement.
pub(super) async fn choose<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    wanted: Option<&str>,
) -> Outcome<(Choice, Option<Time>)> {
    let last = last(context).await?;
    let mut before: Option<Outcome<Choice>> = None;
    for reading in 1..=READINGS {
        let (chosen, server_time) = read(context, wanted, last.as_deref()).await?;
        match chosen {
            Ok(choice) if choice.is_wanted => return Ok((choice, server_time)),
            chosen if before.as_ref() == Some(&chosen) => {
                let choice = chosen?;
                if let Some(notice) = &choice.notice {
                    context.progress.notice(notice);
                }
                return Ok((choice, server_time));
            }
            chosen => before = Some(chosen),
        }
        if reading < READINGS {
            tracing::debug!("the wanted segment is not listed; reading the list again");
            context.stop.pause(PAUSE).await?;
        }
    }
    Err(Fault::new(
        Kind::Transient,
        "the segment to read profiles from cannot be determined",
    )
    .because("the wanted one is not listed, and the tenant's list of segments is different each time")
    .hint("set `resources.profiles.segment` to the id of the segment that holds all visitors"))
}

/// Reads the listing once.
async fn read<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    wanted: Option<&str>,
    last: Option<&str>,
) -> Outcome<(Outcome<Choice>, Option<Time>)> {
    let mut resolver = context.resource.segment_resolver(wanted);
    let source = context.source.as_ref();
    let meter = context.progress.meter();
    let _waiting = context.progress.waiting();
    let server_time = read_segments(source, context.stop, meter, resolver.as_mut(), |_| {}).await?;
    Ok((resolver.resolve(last), server_time))
}

/// The segment that the last complete full walk read.
pub(super) async fn last<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
) -> Outcome<Option<String>> {
    let slot = context.slot(Scope::Full);
    Ok(context.store.cursor(slot).await?.segment)
}

/// Whether the chosen segment differs from the last one that a complete full walk read. Such a walk may move no watermark and remove nothing,
/// unless the table is empty.
pub(super) async fn is_other<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    choice: &Choice,
    last: Option<&str>,
) -> Outcome<bool> {
    if choice.is_configured {
        return Ok(false);
    }
    match last {
        Some(last) => Ok(last != choice.segment),
        None => Ok(!context.store.is_empty(context.resource.table()).await?),
    }
}

/// Whether nearly all stored profiles are in the walked segment, where no earlier segment is recorded.
pub(super) async fn holds_all<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    segment: &str,
) -> Outcome<bool> {
    if last(context).await?.is_some() {
        return Ok(false);
    }
    let store = context.store;
    let stored = store.rows(context.resource.table()).await?;
    let members = store.memberships().await?;
    let members = members
        .iter()
        .find(|(id, _)| id == segment)
        .map_or(0, |(_, count)| *count);
    Ok(members + cursor::tolerance(stored) >= stored)
}

/// The end of a walk that read another segment than the one before.
pub(super) async fn ended_elsewhere<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    position: &CursorPosition,
) -> Outcome<Ended> {
    let segment = &position.segment;
    let before = last(context).await?.map_or_else(
        || "and the settings name another".to_owned(),
        |last| format!("and the last walk read `{last}`"),
    );
    Ok(Ended::partial(
        format!(
            "profiles were read from the segment `{segment}`, {before}: which profiles are gone cannot be determined"
        ),
        &format!(
            "what was read is loaded and nothing was removed; if `{segment}` is the one that holds everybody now, set \
             `resources.profiles.segment` to it, else see in BlueConic why the other is not listed"
        ),
    ))
}
