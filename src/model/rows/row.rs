//! Where a row and its key are in the buffers, and what orders two rows.

use std::cmp::Ordering;

use crate::model::Time;

/// The places of a row and its key, and what orders the row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The key's first bytes, which nearly always suffice to order two rows.
    pub(super) head: u64,
    pub(super) key: ByteRange,
    pub(super) tuple: ByteRange,
    /// The end of its further tuples (`RowWriter::beside`), which follow its own.
    pub(super) end: usize,
    /// The time of the request for its page, if it decides which of two rows stays.
    pub(super) asked_at: Option<Time>,
    pub(super) modified_at: Option<Time>,
}

/// A range of a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteRange {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl ByteRange {
    pub(super) fn of(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start..self.end]
    }

    pub(super) fn moved(self, by: usize) -> Self {
        Self {
            start: self.start + by,
            end: self.end + by,
        }
    }
}

impl Row {
    /// Orders by key, then by the time of the request, then by `modified_at`.
    pub(super) fn order(&self, other: &Self, keys: &[u8]) -> Ordering {
        self.by_key(other, keys)
            .then_with(|| self.asked_at.cmp(&other.asked_at))
            .then_with(|| self.modified_at.cmp(&other.modified_at))
    }

    pub(super) fn by_key(&self, other: &Self, keys: &[u8]) -> Ordering {
        self.head
            .cmp(&other.head)
            .then_with(|| self.key.of(keys).cmp(other.key.of(keys)))
    }
}

/// The first eight bytes as a number with the same order. Shorter texts are padded with zeros, so texts with equal numbers must
/// be compared in full.
pub(super) fn head(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    match bytes.first_chunk() {
        Some(chunk) => first = *chunk,
        None => first[..bytes.len()].copy_from_slice(bytes),
    }
    u64::from_be_bytes(first)
}
