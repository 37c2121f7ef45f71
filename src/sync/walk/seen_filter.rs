//! Which ids of a listing this process has not read before: a listing that brings none for some pages goes round in circles. A
//! filter in little memory (after Bloom), no I/O. It never fills up: once it is half full it begins anew with every second of
//! the ids that it took before, so that it takes in a tenant of any size. A circle is found one round later then.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// 4 MiB, whatever the size of the tenant.
const WORDS: usize = 1 << 19;
/// Bits an id sets.
const PROBES: u64 = 6;
/// An odd number without structure (2^64 by the golden ratio), by which the second half of a hash becomes a step of its own.
const MIXED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Ids count as read before only when chance would let them look so less than once in so many cases.
const ODDS: f64 = 1e9;

/// The ids that were read so far, by their hashes. Shared by all lanes of a walk.
pub(crate) struct SeenFilter {
    words: Vec<AtomicU64>,
    /// How many bits are set.
    bits: AtomicU64,
    new: AtomicU64,
    doubtful: AtomicU64,
    /// One in two to the power of this many ids is looked at.
    halvings: AtomicU32,
    /// Of two lanes that bring the same id at the same moment one has to be the second.
    turn: Mutex<()>,
}

/// What became of ids that were taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How many were looked at.
    pub(crate) judged: u64,
    /// How many of those were certainly new. Others may be new all the same.
    pub(crate) new: u64,
    /// About how many of all were new.
    pub(crate) estimated: u64,
    /// The hashes of those that may have been read before.
    pub(crate) doubtful: Vec<u64>,
}

impl Default for SeenFilter {
    fn default() -> Self {
        Self::of(WORDS)
    }
}

impl SeenFilter {
    /// A filter of so many words, a power of two.
    fn of(size: usize) -> Self {
        let mut words = Vec::new();
        words.resize_with(size, AtomicU64::default);
        Self {
            words,
            bits: AtomicU64::default(),
            new: AtomicU64::default(),
            doubtful: AtomicU64::default(),
            halvings: AtomicU32::default(),
            turn: Mutex::default(),
        }
    }

    /// How many bits it has, as a power of two.
    fn size(&self) -> u32 {
        self.words.len().trailing_zeros() + u64::BITS.trailing_zeros()
    }

    /// Takes hashes of ids in.
    pub(crate) fn take(&self, hashes: impl Iterator<Item = u64>) -> Taken {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Taken::default();
        let mut set = 0;
        let halvings = self.halvings.load(Ordering::Relaxed);
        for hash in hashes.filter(|hash| is_judged(*hash, halvings)) {
            let fresh = self.set(hash);
            set += fresh;
            taken.judged += 1;
            if fresh > 0 {
                taken.new += 1;
            } else {
                taken.doubtful.push(hash);
            }
        }
        taken.estimated = taken.new << halvings;
        self.bits.fetch_add(set, Ordering::Relaxed);
        self.new.fetch_add(taken.new, Ordering::Relaxed);
        self.doubtful
            .fetch_add(taken.judged - taken.new, Ordering::Relaxed);
        self.begin_anew_if_half_full();
        taken
    }

    /// Takes in hashes of ids that are told of, though not read. Returns those that may have been read or told of before.
    pub(crate) fn reserve(&self, hashes: impl Iterator<Item = u64>) -> Vec<u64> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let halvings = self.halvings.load(Ordering::Relaxed);
        let hashes: BTreeSet<u64> = hashes.filter(|hash| is_judged(*hash, halvings)).collect();
        let (mut set, mut doubtful) = (0, Vec::new());
        for hash in hashes {
            let fresh = self.set(hash);
            set += fresh;
            if fresh == 0 {
                doubtful.push(hash);
            }
        }
        self.bits.fetch_add(set, Ordering::Relaxed);
        self.begin_anew_if_half_full();
        doubtful
    }

    /// Notes that ids may have been read without being added, so that the number of distinct ids is no longer certain.
    fn doubt(&self) {
        self.doubtful.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of distinct ids, if it is certain.
    pub(crate) fn distinct(&self) -> Option<u64> {
        let certain = self.doubtful.load(Ordering::Relaxed) == 0;
        certain.then(|| self.new.load(Ordering::Relaxed))
    }

    /// Whether so many ids in a row that were judged, none of them certainly new, brought nothing new.
    pub(crate) fn is_stale(&self, judged: u64) -> bool {
        self.odds(judged) >= ODDS
    }

    /// The odds against the case that this many new ids all look as if they had been read.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of bits and a logarithm of a probability: roughly is enough"
    )]
    fn odds(&self, judged: u64) -> f64 {
        if judged == 0 {
            return 1.0;
        }
        let full = self.bits.load(Ordering::Relaxed) as f64 / (1_u64 << self.size()) as f64;
        full.powf(-(PROBES as f64) * judged as f64)
    }

    /// Under the turn.
    fn begin_anew_if_half_full(&self) {
        if self.bits.load(Ordering::Relaxed) <= 1 << (self.size() - 1) {
            return;
        }
        for word in &self.words {
            word.store(0, Ordering::Relaxed);
        }
        self.bits.store(0, Ordering::Relaxed);
        self.halvings.fetch_add(1, Ordering::Relaxed);
        self.doubt();
    }

    /// Sets the bits of an id, by its hash, and gives how many were not set yet.
    fn set(&self, first: u64) -> u64 {
        let step = first.rotate_left(u64::BITS / 2).wrapping_mul(MIXED) | 1;
        let (mut fresh, shift) = (0, u64::BITS - self.size());
        for probe in 0..PROBES {
            let bit = first.wrapping_add(step.wrapping_mul(probe)) >> shift;
            let mask = 1 << (bit % 64);
            let before = self.words[(bit / 64) as usize].fetch_or(mask, Ordering::Relaxed);
            fresh += u64::from(before & mask == 0);
        }
        fresh
    }
}

/// Whether an id is among those that are looked at: its last bits say so, and its first ones where it stands.
fn is_judged(hash: u64, halvings: u32) -> bool {
    hash.trailing_zeros() >= halvings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seen::IdHasher;

    fn hash(id: &str) -> u64 {
        IdHasher::new(uuid::Uuid::nil(), Vec::new()).hash(id)
    }

    fn take(seen_filter: &SeenFilter, range: std::ops::Range<u32>) -> Taken {
        seen_filter.take(range.map(|number| hash(&format!("id-{number}"))))
    }

    #[test]
    fn a_repeated_page_is_stale_and_a_new_one_is_not() {
        let seen_filter = SeenFilter::default();
        let first = take(&seen_filter, 0..1000);
        assert_eq!((first.judged, first.new, first.estimated), (1000, 1000, 1000));
        assert_eq!(seen_filter.distinct(), Some(1000));
        let again = take(&seen_filter, 0..1000);
        assert_eq!((again.judged, again.new), (1000, 0));
        assert_eq!(seen_filter.distinct(), None);
        assert!(seen_filter.is_stale(1000));
        assert!(seen_filter.is_stale(1), "a single id among few");
        assert!(!seen_filter.is_stale(0), "nothing says nothing");
        assert_eq!(take(&seen_filter, 1000..1001).new, 1);
    }

    #[test]
    fn an_announced_id_is_not_new_when_it_is_read_and_is_not_counted() {
        let seen_filter = SeenFilter::default();
        assert!(
            seen_filter
                .reserve(["a", "b", "a"].map(hash).into_iter())
                .is_empty()
        );
        assert_eq!(seen_filter.reserve(["b", "c"].map(hash).into_iter()), [hash("b")]);
        assert_eq!(seen_filter.distinct(), Some(0));
        let taken = seen_filter.take(["a", "d"].map(hash).into_iter());
        assert_eq!((taken.new, taken.doubtful), (1, vec![hash("a")]));
        assert_eq!(seen_filter.reserve(["d"].map(hash).into_iter()), [hash("d")]);
        let certain = SeenFilter::default();
        certain.doubt();
        assert_eq!(certain.distinct(), None);
    }

    #[test]
    fn what_chance_may_have_done_is_not_held_against_a_page() {
        let seen_filter = SeenFilter::default();
        seen_filter
            .bits
            .store(1 << (seen_filter.size() - 1), Ordering::Relaxed);
        assert!(!seen_filter.is_stale(4), "one in 64^4 is too often");
        assert!(seen_filter.is_stale(5));
    }

    /// A listing of far more ids than the filter has room for comes back to its start.
    #[test]
    fn a_circle_is_found_at_any_size() {
        const PAGES: u32 = 500;
        const PAGE: u32 = 1_000;
        let seen_filter = SeenFilter::of(1 << 10);
        let mut without_new = 0;
        let mut round = || {
            let taken = (0..PAGES).map(|page| take(&seen_filter, page * PAGE..(page + 1) * PAGE));
            for taken in taken {
                let is_stale = taken.new == 0 && seen_filter.is_stale(taken.judged);
                without_new = if is_stale { without_new + 1 } else { 0 };
                if without_new == 3 {
                    return true;
                }
            }
            false
        };
        assert!(!round(), "each page of the first round is new");
        assert!(round() || round(), "at the latest in the third");
        assert!(seen_filter.halvings.load(Ordering::Relaxed) >= 4);
        assert_eq!(seen_filter.distinct(), None);
    }
}
