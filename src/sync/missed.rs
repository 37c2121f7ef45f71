//! Loads what a walk missed although it is there: profiles of the segment, elements of a list. Otherwise their rows would stay
//! outdated until a walk meets them.

use std::time::Duration;

use bytes::Bytes;

use crate::model::Time;
use crate::model::batch::{ReadCounts, Written};
use crate::model::fault::Outcome;
use crate::model::page::Block;
use crate::model::ports::{Identified, Loader, Source, Store};

use super::batch::{self, TableState};
use super::raw_batch::RawBatch;
use super::run::Context;

/// Attempts, while other processes load or remove the same rows.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Loads missed elements as of the time before their look-up; `of` decodes them. A row that another run has stored since, with a
/// newer date, stays as it is. A row that disappears meanwhile is compared again.
pub(super) async fn load<S: Source, T: Store, R: ?Sized, I: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    of: &I,
    missed: &[&Bytes],
    asked_at: Time,
) -> Outcome<()> {
    if missed.is_empty() {
        return Ok(());
    }
    let mut raw = RawBatch::asked_at(Some(asked_at));
    for element in missed {
        raw.push(block(element));
    }
    let mut tries = 1;
    let (noticed, written) = loop {
        match compare_and_load(context, of, &raw).await {
            Err(fault) if fault.is_transient() && tries < TRIES => {
                tries += 1;
                context.stop.pause(PAUSE).await?;
            }
            done => break done?,
        }
    };
    // They count as `missed`. The rows written for them also count as read, so that the counts add up.
    let read_counts = ReadCounts {
        read: written.inserted + written.updated + written.rejected + written.suppressed,
        replaced_characters: noticed.replaced_characters,
        unreadable_dates: noticed.unreadable_dates,
        ..ReadCounts::default()
    };
    context.progress.loaded(
        read_counts,
        &Written {
            unchanged: 0,
            ..written
        },
    );
    Ok(())
}

/// Returns the counts from decoding and from loading.
async fn compare_and_load<S: Source, T: Store, R: ?Sized, I: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    resource: &I,
    raw: &RawBatch,
) -> Outcome<(ReadCounts, Written)> {
    // The ids are not recorded for the walk, which did not read them: its completeness rests on its own count.
    let store = context.store;
    let mut loader = store.loader(resource.table(), context.lease, None).await?;
    let mut decoder = resource.lookup_decoder();
    let table_state = TableState::of(0).within(context.removals);
    let (mut noticed, mut all, mut from) = (ReadCounts::default(), Written::default(), Some(0));
    while let Some(place) = from {
        let (prepared, rest) =
            batch::prepare_from(place, resource, decoder.as_mut(), &mut loader, raw, &table_state).await?;
        noticed.replaced_characters += prepared.batch.read_counts.replaced_characters;
        noticed.unreadable_dates += prepared.batch.read_counts.unreadable_dates;
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
