//! Prepares a batch: computes the fingerprint of each element, asks which elements are known, in memory and in the database,
//! and decodes those that differ.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Time;
use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::fault::Outcome;
use crate::model::ports::{Decoder, FeedDecoder, Identified, Loader, Resource};
use crate::model::removals::Removals;

use super::raw_batch::RawBatch;

/// A batch that is ready to be loaded.
pub(super) struct Prepared {
    /// What to load.
    pub(super) batch: Batch,
    /// Rejected elements whose id could not be read.
    pub(super) unidentified: u64,
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

    /// Whether the table was empty.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
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

    /// A batch without elements.
    fn batch(&self) -> Batch {
        Batch {
            fresh: self.empty,
            removals: self.removals.clone(),
            ..Batch::default()
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
    let mut elements = Elements::of(resource, raw).from(first);
    elements.compare(loader, table_state).await?;
    elements.look_up(loader).await?;
    let (batch, rest) = elements.decode(decoder, table_state).await;
    let unidentified = unidentified(&batch.rejects);
    Ok((Prepared { batch, unidentified }, rest.map(|rest| first + rest)))
}

/// The elements of raw batches with their identities; those without one are rejects.
#[derive(Default)]
pub(super) struct Elements<'raw> {
    identified: Vec<Element<'raw>>,
    /// Their identities, in the same order.
    prints: Vec<Fingerprint>,
    rejects: Vec<Reject>,
    /// The bytes of those rejects that could be cut off.
    rejected: Vec<&'raw [u8]>,
    /// By which version of what becomes of personal data the resource decodes.
    treatment_version: i64,
}

struct Element<'raw> {
    bytes: &'raw [u8],
    asked_at: Option<Time>,
    /// None until the element is compared. Hashes in memory leave it so where the element may differ.
    known: Option<Known>,
}

impl<'raw> Elements<'raw> {
    /// The elements of a raw batch.
    pub(super) fn of<R: Identified + ?Sized>(resource: &R, raw: &'raw RawBatch) -> Self {
        let mut all = Self {
            identified: Vec::with_capacity(raw.count()),
            prints: Vec::with_capacity(raw.count()),
            treatment_version: resource.treatment_version(),
            ..Self::default()
        };
        for bytes in raw.elements() {
            match resource.fingerprint(bytes) {
                Ok(print) => {
                    all.prints.push(print);
                    all.identified.push(Element {
                        bytes,
                        asked_at: raw.time(),
                        known: None,
                    });
                }
                Err(reject) => {
                    all.rejects.push(reject);
                    all.rejected.push(bytes);
                }
            }
        }
        all.rejects
            .extend(raw.broken().map(|broken| resource.broken(broken)));
        all
    }

    /// Adds elements that were read later.
    pub(super) fn append(&mut self, mut later: Self) {
        if self.prints.is_empty() && self.rejects.is_empty() {
            *self = later;
            return;
        }
        self.identified.append(&mut later.identified);
        self.prints.append(&mut later.prints);
        self.rejects.append(&mut later.rejects);
        self.rejected.append(&mut later.rejected);
    }

    /// The elements from the one at `first` on. The rejects go with the very first one.
    pub(super) fn from(mut self, first: usize) -> Self {
        if first > 0 {
            self.identified.drain(..first.min(self.identified.len()));
            self.prints.drain(..first.min(self.prints.len()));
            self.rejects.clear();
            self.rejected.clear();
        }
        self
    }

    /// The ids that can be read, repeats included. An element that cannot be loaded counts as seen, too, if it has one.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let rejects = self.rejects.iter();
        let rejected = rejects.filter_map(|reject| reject.element_id.as_deref());
        rejected.chain(self.prints.iter().map(|print| print.id.as_str()))
    }

    /// How many have no id that can be read.
    pub(super) fn unidentified(&self) -> u64 {
        unidentified(&self.rejects)
    }

    /// Compares the elements with the hashes in memory, or with the table if there are none.
    pub(super) async fn compare<L: Loader>(
        &mut self,
        loader: &mut L,
        table_state: &TableState,
    ) -> Outcome<()> {
        if table_state.empty {
            self.learn(std::iter::repeat(Some(Known::Absent)));
        }
        if self.identified.iter().all(|element| element.known.is_some()) {
            return Ok(());
        }
        match loader.same_in_memory(&self.prints).await? {
            Some(same) => self.learn(same.into_iter().map(|same| same.then_some(Known::Same))),
            None => self.look_up(loader).await?,
        }
        Ok(())
    }

    /// Looks up in the table the elements that the comparison left open.
    pub(super) async fn look_up<L: Loader>(&mut self, loader: &mut L) -> Outcome<()> {
        let all = self.identified.iter().zip(&self.prints);
        let open = all.filter(|(element, _)| element.known.is_none());
        let count = open.clone().count();
        let known = if count == 0 {
            return Ok(());
        } else if count == self.prints.len() {
            loader.known(&self.prints).await?
        } else {
            let open: Vec<Fingerprint> = open.map(|(_, print)| print.clone()).collect();
            loader.known(&open).await?
        };
        self.learn(known.into_iter().map(Some));
        Ok(())
    }

    /// Takes in the answers about the elements that nothing is known of, in their order.
    fn learn(&mut self, answers: impl Iterator<Item = Option<Known>>) {
        let open = self
            .identified
            .iter_mut()
            .filter(|element| element.known.is_none());
        for (element, known) in open.zip(answers) {
            element.known = known;
        }
    }

    /// Whether some elements differ or may differ from what is stored, in at most so many bytes.
    pub(super) fn differ_in(&self, bytes: usize) -> bool {
        let rejects: usize = self.rejects.iter().map(|reject| reject.raw.len()).sum();
        let differing = rejects + self.differing().map(<[u8]>::len).sum::<usize>();
        (1..=bytes).contains(&differing)
    }

    /// The bytes of the elements that differ or may differ.
    fn differing(&self) -> impl Iterator<Item = &'raw [u8]> {
        let elements = self.identified.iter();
        let differing = elements.filter(|element| element.known != Some(Known::Same));
        self.rejected
            .iter()
            .copied()
            .chain(differing.map(|element| element.bytes))
    }

    /// Splits the elements of one raw batch: the unchanged ones, ready to be loaded, and all others as they came.
    pub(super) fn apart(self, raw: &RawBatch) -> (Batch, RawBatch) {
        let later = raw.only(self.differing());
        let all = self.identified.iter().zip(self.prints);
        let same = all.filter(|(element, _)| element.known == Some(Known::Same));
        let mut unchanged = Batch {
            seen: same.map(|(_, print)| print.id).collect(),
            ..Batch::default()
        };
        unchanged.read_counts.read = unchanged.seen.len() as u64;
        unchanged.read_counts.unchanged = unchanged.read_counts.read;
        (unchanged, later)
    }

    /// Decodes the elements that differ. Also returns the index at which the next batch begins, if the elements do not fit into
    /// this one.
    pub(super) async fn decode(
        self,
        decoder: &mut dyn Decoder,
        table_state: &TableState,
    ) -> (Batch, Option<usize>) {
        let mut batch = table_state.batch();
        let rejected = self.rejects.iter();
        batch.seen = rejected.filter_map(|reject| reject.element_id.clone()).collect();
        batch.read_counts.read = self.rejects.len() as u64;
        batch.rejects = self.rejects;
        batch.treatment_version = self.treatment_version;
        let mut prints = self.prints.into_iter();
        let mut place = 0;
        for page in self
            .identified
            .chunk_by(|left, right| left.asked_at == right.asked_at)
        {
            let mut part = table_state.batch();
            for (element, print) in page.iter().zip(&mut prints) {
                if batch.aliases.len() + part.aliases.len() >= LEAVING {
                    break;
                }
                place += 1;
                part.read_counts.read += 1;
                match element.known {
                    Some(Known::Same) => {
                        part.read_counts.unchanged += 1;
                        part.seen.push(print.id);
                    }
                    known => {
                        part.seen.push(print.id.clone());
                        let before = accounted(&part);
                        decoder.decode(element.bytes, print, known.unwrap_or(Known::Absent), &mut part);
                        part.read_counts.elsewhere += u64::from(accounted(&part) == before);
                    }
                }
                if place % 256 == 0 {
                    // Decoding is pure computing: let others on this thread have their turn.
                    tokio::task::yield_now().await;
                }
            }
            part.asked_at(page[0].asked_at);
            batch.append(part);
        }
        let room = table_state.take(batch.rehash.len());
        batch.rehash.truncate(room);
        (batch, (place < self.identified.len()).then_some(place))
    }
}

fn unidentified(rejects: &[Reject]) -> u64 {
    rejects
        .iter()
        .filter(|reject| reject.element_id.is_none())
        .count() as u64
}

/// Turns elements without identity into a batch. All are decoded, since known ones cannot be recognized.
pub(super) async fn decode<R: Resource + ?Sized>(
    resource: &R,
    decoder: &mut dyn FeedDecoder,
    raw: &RawBatch,
) -> Batch {
    let mut batch = Batch::default();
    batch
        .rejects
        .extend(raw.broken().map(|broken| resource.broken(broken)));
    batch.read_counts.read = raw.count() as u64;
    for (place, element) in raw.elements().enumerate() {
        let before = accounted(&batch);
        decoder.decode(element, &mut batch);
        batch.read_counts.elsewhere += u64::from(accounted(&batch) == before);
        if place % 256 == 255 {
            // Decoding is pure computing: let others on this thread have their turn.
            tokio::task::yield_now().await;
        }
    }
    batch.rows.asked_at(raw.time());
    batch
}

/// The number of elements that are already in one of the batch's counts.
fn accounted(batch: &Batch) -> u64 {
    let loaded = batch.rows.len() + batch.children.alone() + batch.rejects.len();
    loaded as u64 + batch.read_counts.unchanged
}
