//! Prepares a batch: computes the fingerprint of each element, asks the database which elements are known, and decodes
//! those that differ.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Time;
use crate::model::batch::{Batch, Fingerprint, Known};
use crate::model::fault::Outcome;
use crate::model::page::Block;
use crate::model::ports::{Decoder, FeedDecoder, Identified, Loader, Resource};
use crate::model::removals::Removals;

/// Raw elements of the tenant, enough for one batch.
#[derive(Debug, Default)]
pub(super) struct RawBatch {
    blocks: Vec<Block>,
    elements: usize,
    bytes: usize,
    asked_at: Option<Time>,
}

impl RawBatch {
    /// An empty batch of a page that was requested at `asked_at`, by the database's clock. None: the age of the page is
    /// unknown, so `modified_at` alone decides whether an element is newer than the stored row.
    pub(super) fn asked_at(asked_at: Option<Time>) -> Self {
        Self {
            asked_at,
            ..Self::default()
        }
    }

    /// Adds a block.
    pub(super) fn push(&mut self, block: Block) {
        self.elements += block.elements.len() + block.broken.len();
        self.bytes += block.bytes.len();
        self.blocks.push(block);
    }

    /// The elements that could be cut off, in order.
    pub(super) fn elements(&self) -> impl Iterator<Item = &[u8]> {
        let of_block = |block: &Block| block.elements.clone().into_iter();
        self.blocks
            .iter()
            .flat_map(move |block| of_block(block).map(|range| &block.bytes[range]))
    }

    /// How many elements it holds, also those that could not be cut off.
    pub(super) fn count(&self) -> u64 {
        self.elements as u64
    }

    /// The bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it has reached either bound.
    pub(super) fn is_full(&self, bytes: usize, elements: usize) -> bool {
        self.bytes >= bytes || self.elements >= elements
    }
}

/// A batch that is ready to be loaded.
pub(super) struct Prepared {
    /// What to load.
    pub(super) batch: Batch,
    /// Rejected elements whose id could not be read.
    pub(super) unidentified: u64,
    /// How many of the seen ids are of elements that differ from what is stored; they come first.
    differing: usize,
}

impl Prepared {
    /// Whether the changed part is small (at most `bytes`) and may be loaded later than the unchanged part.
    pub(super) fn has_few(&self, bytes: usize) -> bool {
        let batch = &self.batch;
        let has_any = !(batch.rows.is_empty() && batch.children.is_empty() && batch.rejects.is_empty());
        // A refreshed hash belongs into the transaction of the ids that it was compared with. Aliases stay with the rows of their
        // survivors: both are of elements that differ.
        let is_plain = !batch.fresh && batch.rehash.is_empty();
        has_any && is_plain && batch.size() <= bytes
    }

    /// Splits the batch: first the unchanged elements and all counts, then the changed elements with their ids.
    pub(super) fn apart(self) -> (Batch, Batch) {
        let mut later = self.batch;
        let unchanged = Batch {
            seen: later.seen.split_off(self.differing),
            recorded: std::mem::take(&mut later.recorded),
            read_counts: std::mem::take(&mut later.read_counts),
            ..Batch::default()
        };
        (unchanged, later)
    }
}

/// The state of a run's table before the run reads.
#[derive(Debug)]
pub(super) struct TableState {
    /// How many rows may still have only their `source_hash` refreshed in this run. The bound keeps a tenant that
    /// changes the order of keys with each answer from causing one write per row.
    rehash: AtomicI64,
    /// The table was empty: nothing that is read can be there.
    empty: bool,
    /// What the run may still remove.
    removals: Option<Removals>,
}

impl TableState {
    /// A table of about `rows` rows, of which 5% may be refreshed.
    pub(super) fn of(rows: u64) -> Self {
        Self {
            rehash: AtomicI64::new(i64::try_from(rows / 20).unwrap_or(i64::MAX)),
            empty: false,
            removals: None,
        }
    }

    /// A table without a row.
    pub(super) fn empty() -> Self {
        Self {
            empty: true,
            ..Self::of(0)
        }
    }

    /// Adds the run's bound on removals.
    pub(super) fn within(self, removals: &Removals) -> Self {
        if self.empty {
            removals.begins_empty();
        }
        Self {
            removals: Some(removals.clone()),
            ..self
        }
    }

    /// Takes up to `wanted` refreshed rows from what may be.
    fn take(&self, wanted: usize) -> usize {
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let left = self.rehash.fetch_sub(wanted, Ordering::Relaxed).clamp(0, wanted);
        usize::try_from(left).unwrap_or(0)
    }
}

/// The most ids that one batch may remove. An id takes some hundred bytes while it is loaded, and four bytes of an
/// element can name one; a batch with more is split.
const LEAVING: usize = 10_000;

/// Turns raw elements into a batch, decoding only what the table does not know yet.
pub(super) async fn prepare<L: Loader, R: Identified + ?Sized>(
    resource: &R,
    decoder: &mut dyn Decoder,
    loader: &mut L,
    raw: &RawBatch,
    table_state: &TableState,
) -> Outcome<Prepared> {
    Ok(prepare_from(0, resource, decoder, loader, raw, table_state)
        .await?
        .0)
}

/// Like [`prepare`], from the element at `first` on. Also returns the index at which the next batch begins, if the
/// elements do not fit into this one.
pub(super) async fn prepare_from<L: Loader, R: Identified + ?Sized>(
    first: usize,
    resource: &R,
    decoder: &mut dyn Decoder,
    loader: &mut L,
    raw: &RawBatch,
    table_state: &TableState,
) -> Outcome<(Prepared, Option<usize>)> {
    let mut batch = Batch {
        fresh: table_state.empty,
        removals: table_state.removals.clone(),
        ..Batch::default()
    };
    let (elements, mut prints) = fingerprints(resource, raw, &mut batch);
    let elements = elements.get(first..).unwrap_or_default();
    prints.drain(..first.min(prints.len()));
    if first > 0 {
        // The rejects went with the first part.
        batch.rejects.clear();
    }
    let known = if table_state.empty {
        vec![Known::Absent; prints.len()]
    } else {
        loader.known(&prints).await?
    };
    batch.read_counts.read = (elements.len() + batch.rejects.len()) as u64;
    let mut rest = None;
    // An element that cannot be loaded still counts as seen, if its id can be read.
    let rejected = batch.rejects.iter();
    batch.seen = rejected.filter_map(|reject| reject.element_id.clone()).collect();
    let mut same = Vec::with_capacity(prints.len());
    for (place, ((element, print), known)) in elements.iter().zip(prints).zip(known).enumerate() {
        if batch.aliases.len() >= LEAVING {
            batch.read_counts.read -= (elements.len() - place) as u64;
            rest = Some(first + place);
            break;
        }
        match known {
            Known::Same => {
                batch.read_counts.unchanged += 1;
                same.push(print.id);
            }
            known => {
                batch.seen.push(print.id.clone());
                let before = accounted(&batch);
                decoder.decode(element, print, known, &mut batch);
                batch.read_counts.elsewhere += u64::from(accounted(&batch) == before);
            }
        }
        if place % 256 == 255 {
            // Decoding is pure computing: let others on this thread have their turn.
            tokio::task::yield_now().await;
        }
    }
    batch.asked_at(raw.asked_at);
    let room = table_state.take(batch.rehash.len());
    batch.rehash.truncate(room);
    let unidentified = batch
        .rejects
        .iter()
        .filter(|reject| reject.element_id.is_none())
        .count() as u64;
    let differing = batch.seen.len();
    batch.seen.append(&mut same);
    let prepared = Prepared {
        batch,
        unidentified,
        differing,
    };
    Ok((prepared, rest))
}

/// Turns elements without identity into a batch. All are decoded, since known ones cannot be recognized.
pub(super) async fn decode<R: Resource + ?Sized>(
    resource: &R,
    decoder: &mut dyn FeedDecoder,
    raw: &RawBatch,
) -> Batch {
    let mut batch = Batch::default();
    let broken = raw.blocks.iter().flat_map(|block| &block.broken);
    batch.rejects.extend(broken.map(|broken| resource.broken(broken)));
    batch.read_counts.read = raw.count();
    for (place, element) in raw.elements().enumerate() {
        let before = accounted(&batch);
        decoder.decode(element, &mut batch);
        batch.read_counts.elsewhere += u64::from(accounted(&batch) == before);
        if place % 256 == 255 {
            // Decoding is pure computing: let others on this thread have their turn.
            tokio::task::yield_now().await;
        }
    }
    batch.rows.asked_at(raw.asked_at);
    batch
}

/// The number of elements that are already in one of the batch's counts.
fn accounted(batch: &Batch) -> u64 {
    let loaded = batch.rows.len() + batch.children.alone() + batch.rejects.len();
    loaded as u64 + batch.read_counts.unchanged
}

/// The elements with their identities; elements without one become rejects.
fn fingerprints<'raw, R: Identified + ?Sized>(
    resource: &R,
    raw: &'raw RawBatch,
    batch: &mut Batch,
) -> (Vec<&'raw [u8]>, Vec<Fingerprint>) {
    let mut elements = Vec::with_capacity(raw.elements);
    let mut prints = Vec::with_capacity(raw.elements);
    for block in &raw.blocks {
        for range in &block.elements {
            let element = &block.bytes[range.clone()];
            match resource.fingerprint(element) {
                Ok(print) => {
                    elements.push(element);
                    prints.push(print);
                }
                Err(reject) => batch.rejects.push(reject),
            }
        }
        batch
            .rejects
            .extend(block.broken.iter().map(|broken| resource.broken(broken)));
    }
    (elements, prints)
}
