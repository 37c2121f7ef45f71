//! Elements of a page, cut off where they end, with the bytes that they stand in: what one loading connection takes at
//! once.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use crate::ends::Ends;
use bench::Outcome;

/// Elements in a batch.
pub(crate) const BATCH: usize = 1_500;

/// Whole elements, and the bytes behind them that have not been looked at.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) elements: Vec<Element>,
    /// Up to where the bytes have been cut into elements.
    cut: usize,
}

/// One element by its place in the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) place: Range<usize>,
    /// Within the bytes, too.
    pub(crate) id: Range<usize>,
    pub(crate) hash: [u8; 16],
}

impl Batch {
    /// Cuts off what is whole. Says whether the array has ended.
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

    /// What is cut off goes its way; what has not been looked at stays.
    pub(crate) fn take(&mut self) -> Self {
        let rest = self.bytes[self.cut..].to_vec();
        let mut full = std::mem::take(self);
        full.bytes.truncate(full.cut);
        self.bytes.reserve(full.bytes.len() + full.bytes.len() / 4);
        self.bytes.extend_from_slice(&rest);
        full
    }

    /// As [`Batch::take`], when nobody wants what was cut off.
    pub(crate) fn forget(&mut self) {
        self.bytes.drain(..self.cut);
        self.elements.clear();
        self.cut = 0;
    }

    /// The page is over: what stands behind the array is nobody's.
    pub(crate) fn end_page(&mut self) {
        self.bytes.truncate(self.cut);
    }

    /// By id, and of two with one id the later.
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

/// Where the id stands, at the head of an element.
fn id_in(element: &[u8]) -> Option<Range<usize>> {
    const BEFORE: &[u8] = b"{\"id\":\"";
    let rest = element.strip_prefix(BEFORE)?;
    let length = rest.iter().position(|byte| *byte == b'"')?;
    Some(BEFORE.len()..BEFORE.len() + length)
}
