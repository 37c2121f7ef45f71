//! Profiles that a walk missed though they are in the segment: what the look-up brought is loaded, or their rows would
//! stay as old as they are until a walk meets them.

use bytes::Bytes;

use crate::model::batch::{Tally, Written};
use crate::model::fault::Outcome;
use crate::model::page::Block;
use crate::model::ports::{Loader, Source, Store, Verdict};

use super::engine::Context;
use super::lane::{self, Raw, Standing};

/// Loads what was missed. A row that is newer meanwhile stays as it is, as in every merge.
pub(super) async fn load<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    verdicts: &[(String, Verdict)],
) -> Outcome<()> {
    let mut raw = Raw::default();
    for (_, verdict) in verdicts {
        if let Verdict::Missed(element) = verdict {
            raw.push(block(element));
        }
    }
    if raw.elements().next().is_none() {
        return Ok(());
    }
    let resource = context.task.resource.as_ref();
    // Not as the walk: it did not read them, and its count of what it read is what completeness rests on.
    let store = &context.engine.store;
    let mut loader = store.loader(resource.table(), context.lease, None).await?;
    let standing = Standing::of(0);
    let mut decoder = resource.decoder();
    let prepared = lane::prepare(resource, decoder.as_mut(), &mut loader, &raw, &standing).await?;
    let tally = Tally {
        replaced_characters: prepared.batch.tally.replaced_characters,
        ..Tally::default()
    };
    let written = loader.load(prepared.batch, None).await?;
    // They are counted as missed; what was written for them counts as read as well, so that the sum holds.
    let tally = Tally {
        read: written.inserted + written.updated + written.rejected + written.suppressed,
        ..tally
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

fn block(element: &Bytes) -> Block {
    Block {
        bytes: element.clone(),
        elements: std::iter::once(0..element.len()).collect(),
        broken: Vec::new(),
    }
}
