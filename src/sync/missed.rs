//! Profiles that a walk missed though they are in the segment: what the look-up brought is loaded, or their rows would
//! stay as old as they are until a walk meets them.

use std::time::Duration;

use bytes::Bytes;

use crate::model::Time;
use crate::model::batch::{ReadCounts, Written};
use crate::model::fault::Outcome;
use crate::model::page::Block;
use crate::model::ports::{Identified, Loader, Source, Store};
use crate::model::verdict::Verdict;

use super::batch::{self, RawBatch, TableState};
use super::run::Context;

/// Against others that load or remove the same rows at this moment.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Loads what was missed, as of the time before it was asked for: a row that others brought since, and that is newer by its
/// date, stays as it is, as in every merge. One that goes meanwhile is compared anew.
pub(super) async fn load<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    verdicts: &[(String, Verdict)],
    asked_at: Time,
) -> Outcome<()> {
    let mut raw = RawBatch::asked_at(Some(asked_at));
    for (_, verdict) in verdicts {
        if let Verdict::Missed(element) = verdict {
            raw.push(block(element));
        }
    }
    if raw.elements().next().is_none() {
        return Ok(());
    }
    let mut tries = 1;
    let (noticed, written) = loop {
        match compare_and_load(context, &raw).await {
            Err(fault) if fault.is_transient() && tries < TRIES => {
                tries += 1;
                context.stop.pause(PAUSE).await?;
            }
            done => break done?,
        }
    };
    // They are counted as missed; what was written for them counts as read as well, so that the sum holds.
    let tally = ReadCounts {
        read: written.inserted + written.updated + written.rejected + written.suppressed,
        replaced_characters: noticed.replaced_characters,
        unreadable_dates: noticed.unreadable_dates,
        ..ReadCounts::default()
    };
    context.progress.loaded(
        tally,
        &Written {
            unchanged: 0,
            ..written
        },
    );
    Ok(())
}

/// Gives what was noticed in decoding, and what was written.
async fn compare_and_load<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    raw: &RawBatch,
) -> Outcome<(ReadCounts, Written)> {
    let resource = context.resource.as_ref();
    // Not as the walk: it did not read them, and its count of what it read is what completeness rests on.
    let store = context.store;
    let mut loader = store.loader(resource.table(), context.lease, None).await?;
    let mut decoder = resource.decoder();
    let table_state = TableState::of(0).within(context.removals);
    let (mut noticed, mut all, mut from) = (ReadCounts::default(), Written::default(), Some(0));
    while let Some(place) = from {
        let (prepared, rest) =
            batch::prepare_from(place, resource, decoder.as_mut(), &mut loader, raw, &table_state).await?;
        noticed.replaced_characters += prepared.batch.tally.replaced_characters;
        noticed.unreadable_dates += prepared.batch.tally.unreadable_dates;
        all.add(&loader.load(prepared.batch, None).await?);
        from = rest;
    }
    Ok((noticed, all))
}

fn block(element: &Bytes) -> Block {
    Block {
        bytes: element.clone(),
        elements: std::iter::once(0..element.len()).collect(),
        broken: Vec::new(),
    }
}
