//! Skips an element that cannot be loaded (too large, or not JSON) without holding it. Keeps what its reject needs: the
//! beginning, the length and the hash.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::json::tolerant::{Scan, TolerantScanner};
use crate::model::page::{Broken, RejectReason};

/// The most bytes of such an element that are kept (`sync.rejects.raw`).
const HEAD: usize = 64 * 1024;

/// An element that is being skipped.
pub(super) struct SkipBroken {
    scanner: TolerantScanner,
    reason: RejectReason,
    detail: String,
    /// Everything so far.
    sum: Sum,
    /// Everything up to the last byte that is not whitespace. Trailing whitespace counts only if more of the element
    /// follows, so that the hash does not depend on the space between elements.
    solid: Sum,
    head: Vec<u8>,
}

/// The length and hash of bytes that are not kept.
#[derive(Clone, Default)]
struct Sum {
    length: u64,
    hash: Sha256,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.hash.update(bytes);
    }
}

impl SkipBroken {
    pub(super) fn begin(reason: RejectReason, detail: String) -> Self {
        Self {
            scanner: TolerantScanner::inside(b']'),
            reason,
            detail,
            sum: Sum::default(),
            solid: Sum::default(),
            head: Vec::new(),
        }
    }

    /// An element that is in memory as a whole.
    pub(super) fn whole(reason: RejectReason, detail: String, bytes: &[u8]) -> Broken {
        let mut skipped = Self::begin(reason, detail);
        skipped.take(bytes);
        skipped.finish()
    }

    /// Takes bytes up to the element's end.
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
        let solid = bytes.trim_ascii_end().len();
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.sum.add(&bytes[..solid]);
        if solid > 0 {
            self.solid = self.sum.clone();
        }
        self.sum.add(&bytes[solid..]);
    }

    pub(super) fn finish(mut self) -> Broken {
        let length = self.solid.length;
        // The head is at most 64 KiB: a length that does not fit is beyond it.
        self.head.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Broken {
            reason: self.reason,
            detail: self.detail,
            head: Bytes::from(self.head),
            length,
            sha256: self.solid.hash.finalize().into(),
        }
    }
}
