//! Elements as the tenant sent them, between reading and decoding. No I/O, and nothing of what an element means.

use crate::model::Time;
use crate::model::page::{Block, Broken};

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
        let heads: usize = block.broken.iter().map(|broken| broken.head.len()).sum();
        self.bytes += block.bytes.len() + heads;
        self.blocks.push(block);
    }

    /// The elements that could be cut off, in order.
    pub(super) fn elements(&self) -> impl Iterator<Item = &[u8]> {
        let of_block = |block: &Block| block.elements.clone().into_iter();
        self.blocks
            .iter()
            .flat_map(move |block| of_block(block).map(|range| &block.bytes[range]))
    }

    /// The elements that could not be cut off.
    pub(super) fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.blocks.iter().flat_map(|block| &block.broken)
    }

    /// Some of its elements and all that could not be cut off, with their own copy of the bytes.
    pub(super) fn only<'raw>(&'raw self, elements: impl Iterator<Item = &'raw [u8]>) -> Self {
        let mut bytes = Vec::new();
        let mut ranges = Vec::new();
        for element in elements {
            let start = bytes.len();
            bytes.extend_from_slice(element);
            ranges.push(start..bytes.len());
        }
        bytes.shrink_to_fit();
        let mut only = Self::asked_at(self.asked_at);
        only.push(Block {
            bytes: bytes.into(),
            elements: ranges,
            broken: self.broken().cloned().collect(),
        });
        only
    }

    /// When its page was requested.
    pub(super) fn time(&self) -> Option<Time> {
        self.asked_at
    }

    /// How many elements it holds, also those that could not be cut off.
    pub(super) fn count(&self) -> usize {
        self.elements
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
