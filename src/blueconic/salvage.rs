//! Carries an element that cannot be handed on (too large, or not JSON) to its end without holding it: its head, its
//! length and its hash are what a reject needs.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::blueconic::scanner::{Scan, Scanner};
use crate::model::page::{Broken, RejectReason};

/// How much of such an element is kept, in bytes (`sync.rejects.raw`).
const HEAD: usize = 64 * 1024;

/// An element on its way to its end.
pub(super) struct Salvage {
    scanner: Scanner,
    reason: RejectReason,
    detail: String,
    head: Vec<u8>,
    length: u64,
    hash: Sha256,
    /// Whitespace that belongs to the element only if something follows it, so that the hash of an element does not
    /// depend on how it is set apart from the next.
    blank: Vec<u8>,
}

impl Salvage {
    pub(super) fn begin(reason: RejectReason, detail: String) -> Self {
        Self {
            scanner: Scanner::inside(b']'),
            reason,
            detail,
            head: Vec::new(),
            length: 0,
            hash: Sha256::new(),
            blank: Vec::new(),
        }
    }

    /// An element that is at hand whole.
    pub(super) fn whole(reason: RejectReason, detail: String, bytes: &[u8]) -> Broken {
        let mut salvage = Self::begin(reason, detail);
        salvage.keep(bytes);
        salvage.finish()
    }

    /// Takes in the bytes up to the element's end.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Scan {
        let scan = self.scanner.scan(bytes);
        let (Scan::End(end) | Scan::Lost(end)) = scan else {
            self.take(bytes);
            return scan;
        };
        self.take(&bytes[..end]);
        scan
    }

    fn take(&mut self, bytes: &[u8]) {
        let solid = bytes.trim_ascii_end();
        if !solid.is_empty() || self.blank.len() > HEAD {
            let blank = std::mem::take(&mut self.blank);
            self.keep(&blank);
            self.keep(solid);
        }
        self.blank.extend_from_slice(&bytes[solid.len()..]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.hash.update(bytes);
    }

    pub(super) fn finish(self) -> Broken {
        Broken {
            reason: self.reason,
            detail: self.detail,
            head: Bytes::from(self.head),
            length: self.length,
            sha256: self.hash.finalize().into(),
        }
    }
}
