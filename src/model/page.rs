//! A page of a listing: its request, its blocks of elements, and the proof that it ended whole.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::Time;

/// The smallest page size; a server that fails on so few elements fails on any page.
pub const SMALLEST_PAGE: u32 = 10;

/// The page size after `times` halvings.
pub fn halved(page_size: u32, times: u32) -> u32 {
    let least = page_size.min(SMALLEST_PAGE);
    page_size.checked_shr(times).unwrap_or(0).max(least)
}

/// One GET under the tenant's API path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The path below `tenant.api_path`, already percent-encoded, with its leading slash.
    pub path: String,
    /// Query parameters in order, not yet encoded.
    pub query: Vec<(&'static str, String)>,
    /// The envelope's keys whose array may hold the elements (the vendor renames them); none for a single object.
    pub arrays: &'static [&'static str],
    /// The scope that the vendor requires; named if the tenant denies the request.
    pub scope: &'static str,
}

impl Request {
    /// The number of elements that it requests, if it names one.
    pub fn count(&self) -> Option<u32> {
        let (_, count) = self.query.iter().find(|(name, _)| *name == "count")?;
        count.parse().ok()
    }
}

/// A run of whole elements cut from a body, in order.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// The bytes that the ranges point into.
    pub bytes: Bytes,
    /// The range of each element in `bytes`. Its strings and brackets match; only the decoder checks that it is valid JSON, so
    /// that unchanged elements are not parsed.
    pub elements: Vec<Range<usize>>,
    /// Elements that could not be cut off, or were larger than the configured bound.
    pub broken: Vec<Broken>,
}

/// An element that could not be cut off whole, or is too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The reason.
    pub reason: RejectReason,
    /// The details from the reader.
    pub detail: String,
    /// Its head, at most 64 KiB.
    pub head: Bytes,
    /// Its whole length in bytes.
    pub length: u64,
    /// SHA-256 over all of its bytes.
    pub sha256: [u8; 32],
}

/// Why an element was not loaded; the words of `sync.rejects.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The element is no JSON.
    NotJson,
    /// The element is larger than `limits.element_size`.
    TooLarge,
    /// The element has no id.
    NoId,
    /// A field has another type than in the vendor's document.
    WrongShape,
    /// A date lies outside of the table's range.
    DateOutOfRange,
}

impl RejectReason {
    /// The word in `sync.rejects.reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::TooLarge => "too_large",
            Self::NoId => "no_id",
            Self::WrongShape => "wrong_shape",
            Self::DateOutOfRange => "date_out_of_range",
        }
    }
}

/// The envelope's scalars, as far as they have been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `nextCursor`, which may come before or after the array.
    pub next_cursor: Option<String>,
    /// `totalResults`.
    pub total_results: Option<u64>,
    /// The tenant's time of the answer's content, by the `Date` and `Age` of this and earlier answers. It is the tenant's claim,
    /// to be compared with our own clocks ([`super::clocks::OwnClocks`]).
    pub server_time: Option<Time>,
}

/// The proof that a body ended whole: the array closed, the object closed, the stream ended cleanly.
/// Only `blueconic/elements.rs` builds one (the layer test holds that), so a position cannot pass a cut page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEnd {
    head: Head,
    elements: u64,
}

impl PageEnd {
    /// Attests that the body ended whole after `elements` elements.
    pub fn whole(head: Head, elements: u64) -> Self {
        Self { head, elements }
    }

    /// The envelope's scalars.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many elements the array held, broken ones included.
    pub fn elements(&self) -> u64 {
        self.elements
    }
}

/// The answer to a look-up by id.
#[derive(Debug)]
pub enum Lookup {
    /// 404.
    Gone,
    /// 200 and a whole body.
    Found(Bytes),
    /// Any other answer, from which nothing follows.
    Unclear(super::fault::Fault),
}

/// The requests and bytes of a run. All requests of the run share it; clones count together, so that a page can count while
/// its body is read.
#[derive(Debug, Default, Clone)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    /// Counts a request that was sent.
    pub fn request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that repeats an earlier one.
    pub fn retry(&self) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts decompressed bytes of bodies.
    pub fn bytes(&self, count: u64) {
        self.0.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// Requests, retries among them, and bytes so far.
    pub fn read(&self) -> (u64, u64, u64) {
        (
            self.0.requests.load(Ordering::Relaxed),
            self.0.retries.load(Ordering::Relaxed),
            self.0.bytes.load(Ordering::Relaxed),
        )
    }
}
