//! A Bloom filter over the ids that this process has read of a listing. A listing that brings no new id for some pages
//! repeats itself. The filter needs little memory and no I/O: the table of seen ids is only appended to, and to count new
//! ids in it would cost a look-up per id.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

/// 4 MiB, whatever the size of the tenant.
const WORDS: usize = 1 << 19;
const BITS: u32 = WORDS.trailing_zeros() + u64::BITS.trailing_zeros();
/// Bits that an id sets.
const PROBES: u64 = 6;
/// A page counts as read before only if a page of new ids would look like that less than once in this many cases.
const ODDS: f64 = 1e9;

/// The ids that were read so far. Shared by all lanes of a walk.
pub(crate) struct SeenFilter {
    words: Vec<AtomicU64>,
    bits: AtomicU64,
    new: AtomicU64,
    doubtful: AtomicU64,
    /// Held while ids are added, so that only one of two lanes with the same id counts it as new.
    turn: Mutex<()>,
}

impl Default for SeenFilter {
    fn default() -> Self {
        let mut words = Vec::new();
        words.resize_with(WORDS, AtomicU64::default);
        Self {
            words,
            bits: AtomicU64::default(),
            new: AtomicU64::default(),
            doubtful: AtomicU64::default(),
            turn: Mutex::default(),
        }
    }
}

impl SeenFilter {
    /// Adds ids that were read, and returns how many of them were certainly new. An id that is not counted may still be new.
    pub(crate) fn take<'id>(&self, ids: impl Iterator<Item = &'id str>) -> u64 {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut set, mut new, mut doubtful) = (0, 0, 0);
        for id in ids {
            let fresh = self.set(id);
            set += fresh;
            new += u64::from(fresh > 0);
            doubtful += u64::from(fresh == 0);
        }
        self.bits.fetch_add(set, Ordering::Relaxed);
        self.new.fetch_add(new, Ordering::Relaxed);
        self.doubtful.fetch_add(doubtful, Ordering::Relaxed);
        new
    }

    /// Adds ids that other elements refer to, and returns whether all of them were certainly new.
    pub(crate) fn reserve<'id>(&self, ids: impl Iterator<Item = &'id str>) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let ids: BTreeSet<&str> = ids.collect();
        let (mut set, mut all_new) = (0, true);
        for id in ids {
            let fresh = self.set(id);
            set += fresh;
            all_new &= fresh > 0;
        }
        self.bits.fetch_add(set, Ordering::Relaxed);
        all_new
    }

    /// Notes that ids may have been read without being added, so that the number of distinct ids is no longer certain.
    pub(crate) fn doubt(&self) {
        self.doubtful.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of distinct ids, if it is certain.
    pub(crate) fn distinct(&self) -> Option<u64> {
        let certain = self.doubtful.load(Ordering::Relaxed) == 0;
        certain.then(|| self.new.load(Ordering::Relaxed))
    }

    /// Whether a page of `ids` ids, of which `new` are certainly new, brought nothing new. A nearly full filter cannot decide
    /// that.
    pub(crate) fn is_stale(&self, new: u64, ids: u64) -> bool {
        new == 0 && self.odds(ids) >= ODDS
    }

    /// The odds against the case that this many new ids all look as if they had been read.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of bits and a logarithm of a probability: roughly is enough"
    )]
    fn odds(&self, ids: u64) -> f64 {
        if ids == 0 {
            return f64::INFINITY;
        }
        let full = self.bits.load(Ordering::Relaxed) as f64 / (1_u64 << BITS) as f64;
        full.powf(-(PROBES as f64) * ids as f64)
    }

    /// Sets the bits of an id and returns how many of them were not set.
    #[expect(clippy::cast_possible_truncation, reason = "any part of a hash is one")]
    fn set(&self, id: &str) -> u64 {
        let hash = xxh3_128(id.as_bytes());
        let [first, step] = [hash as u64, (hash >> 64) as u64 | 1];
        let mut fresh = 0;
        for probe in 0..PROBES {
            let bit = first.wrapping_add(step.wrapping_mul(probe)) >> (u64::BITS - BITS);
            let mask = 1 << (bit % 64);
            let before = self.words[(bit / 64) as usize].fetch_or(mask, Ordering::Relaxed);
            fresh += u64::from(before & mask == 0);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|number| format!("id-{number}")).collect()
    }

    fn take(seen_filter: &SeenFilter, range: std::ops::Range<u32>) -> u64 {
        seen_filter.take(ids(range).iter().map(String::as_str))
    }

    #[test]
    fn a_repeated_page_is_stale_and_a_new_one_is_not() {
        let seen_filter = SeenFilter::default();
        let new = take(&seen_filter, 0..1000);
        assert_eq!(new, 1000);
        assert_eq!(seen_filter.distinct(), Some(1000));
        assert_eq!(take(&seen_filter, 0..1000), 0);
        assert_eq!(seen_filter.distinct(), None);
        assert!(seen_filter.is_stale(0, 1000));
        assert!(seen_filter.is_stale(0, 1), "a single id among few");
        assert!(seen_filter.is_stale(0, 0), "an empty page brings nothing new");
        assert_eq!(take(&seen_filter, 1000..1001), 1);
        assert!(!seen_filter.is_stale(1, 1000));
    }

    #[test]
    fn an_announced_id_is_not_new_when_it_is_read_and_is_not_counted() {
        let seen_filter = SeenFilter::default();
        assert!(seen_filter.reserve(["a", "b", "a"].into_iter()));
        assert!(!seen_filter.reserve(["b", "c"].into_iter()));
        assert_eq!(seen_filter.distinct(), Some(0));
        assert_eq!(seen_filter.take(["a", "d"].into_iter()), 1);
        assert!(!seen_filter.reserve(["d"].into_iter()));
        let certain = SeenFilter::default();
        certain.doubt();
        assert_eq!(certain.distinct(), None);
    }

    #[test]
    fn what_chance_may_have_done_is_not_held_against_a_page() {
        let seen_filter = SeenFilter::default();
        seen_filter.bits.store(1 << (BITS - 1), Ordering::Relaxed);
        assert!(!seen_filter.is_stale(0, 4), "one in 64^4 is too often");
        assert!(seen_filter.is_stale(0, 5));
        seen_filter.bits.store((1 << BITS) - 1, Ordering::Relaxed);
        assert!(!seen_filter.is_stale(0, 10_000), "a full filter knows everybody");
    }
}
