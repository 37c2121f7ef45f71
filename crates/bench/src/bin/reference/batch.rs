//! A batch: whole elements of a page and the bytes that hold them. A loading connection takes one
//! batch at a time.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use crate::ends::Ends;
use bench::Outcome;

/// Elements in a batch.
pub(crate) const BATCH: usize = 1_500;

/// Whole elements, and the unread bytes behind them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) elements: Vec<Element>,
    /// The end of the last whole element.
    cut: usize,
}

/// One element, by its range in the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) place: Range<usize>,
    /// The range of the id in the bytes.
    pub(crate) id: Range<usize>,
    pub(crate) hash: [u8; 16],
}

impl Batch {
    /// Cuts whole elements. Returns whether the array has ended.
    pub(crate) fn cut(&mut self, ends: Ends) -> Outcome<bool> {
        loop {
            while let Some(b',' | b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.cut) {
                self.cut += 1;
            }
            match self.bytes.get(self.cut) {
                None => return Ok(false),
                Some(b']') => return Ok(true),
                Some(_) => {}
            }
            let rest = &self.bytes[self.cut..];
            let Some(length) = ends.find(rest)? else {
                return Ok(false);
            };
            let element = &rest[..length];
            let hash = xxh3_128(element).to_be_bytes();
            let id = id_in(element).ok_or("an element does not begin with its id")?;
            let place = self.cut..self.cut + length;
            self.elements.push(Element {
                id: place.start + id.start..place.start + id.end,
                place,
                hash,
            });
            self.cut += length;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.elements.len() >= BATCH
    }

    /// Takes the whole elements; the unread bytes stay.
    pub(crate) fn take(&mut self) -> Self {
        let rest = self.bytes[self.cut..].to_vec();
        let mut full = std::mem::take(self);
        full.bytes.truncate(full.cut);
        self.bytes.reserve(full.bytes.len() + full.bytes.len() / 4);
        self.bytes.extend_from_slice(&rest);
        full
    }

    /// Like [`Batch::take`], but discards the elements.
    pub(crate) fn forget(&mut self) {
        self.bytes.drain(..self.cut);
        self.elements.clear();
        self.cut = 0;
    }

    /// Ends the page: discards the bytes behind the array.
    pub(crate) fn end_page(&mut self) {
        self.bytes.truncate(self.cut);
    }

    /// Sorts by id; of two elements with one id the later one stays.
    pub(crate) fn order(&mut self) {
        let Self { bytes, elements, .. } = self;
        elements.sort_by(|left, right| bytes[left.id.clone()].cmp(&bytes[right.id.clone()]));
        elements.dedup_by(|later, kept| {
            let same = bytes[later.id.clone()] == bytes[kept.id.clone()];
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
    }

    pub(crate) fn id(&self, element: &Element) -> &str {
        str::from_utf8(&self.bytes[element.id.clone()]).unwrap_or_default()
    }

    pub(crate) fn text(&self, element: &Element) -> &str {
        str::from_utf8(&self.bytes[element.place.clone()]).unwrap_or_default()
    }
}

/// The range of the id, at the head of an element.
fn id_in(element: &[u8]) -> Option<Range<usize>> {
    const BEFORE: &[u8] = b"{\"id\":\"";
    let rest = element.strip_prefix(BEFORE)?;
    let length = rest.iter().position(|byte| *byte == b'"')?;
    Some(BEFORE.len()..BEFORE.len() + length)
}
