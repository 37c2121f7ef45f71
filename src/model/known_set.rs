//! A set of hashes of stored profiles in memory. An element whose hash is in the set is stored unchanged, so that no look-up in
//! the database is needed. The hash covers the element's bytes and so its id. No I/O: the store reads the hashes and learns of
//! changes.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::sorted_hashes::SortedHashes;

/// The most changed ids since the hashes were read; with more, the set is no longer worth its memory.
pub const MOST_CHANGED: usize = 100_000;

/// The hashes, and what is known to have changed since they were read.
#[derive(Debug)]
pub struct KnownSet {
    hashes: SortedHashes<u128>,
    changed: Mutex<HashSet<u64>>,
}

impl KnownSet {
    /// The number of hashes that fit into `bytes`.
    pub fn room(bytes: usize) -> usize {
        (bytes / SortedHashes::<u128>::ENTRY_BYTES).min(u32::MAX as usize)
    }

    /// A set of these hashes.
    pub fn of(hashes: Vec<u128>) -> Self {
        Self {
            hashes: SortedHashes::of(hashes),
            changed: Mutex::default(),
        }
    }

    /// The number of hashes in the set.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether each of these `(hash of the element, hash of the id)` is stored unchanged, in order. False: not known.
    pub fn which(&self, asked: impl Iterator<Item = ([u8; 16], u64)>) -> Vec<bool> {
        let changed = self.changed();
        asked
            .map(|(hash, id)| self.hashes.holds(u128::from_be_bytes(hash)) && !changed.contains(&id))
            .collect()
    }

    /// Notes that rows with these ids were changed or are about to be, so that their hashes no longer count. Returns whether the
    /// set is still worth its memory.
    pub fn changed_since(&self, ids: impl Iterator<Item = u64>) -> bool {
        let mut changed = self.changed();
        changed.extend(ids);
        changed.len() <= MOST_CHANGED
    }

    fn changed(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> [u8; 16] {
        xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes()).to_be_bytes()
    }

    fn set(numbers: std::ops::Range<u64>) -> KnownSet {
        KnownSet::of(numbers.map(|number| u128::from_be_bytes(hash(number))).collect())
    }

    fn knows(set: &KnownSet, numbers: impl Iterator<Item = u64>) -> Vec<bool> {
        set.which(numbers.map(|number| (hash(number), number)))
    }

    #[test]
    fn it_knows_what_it_was_made_of_and_nothing_else() {
        for size in [0, 1, 3, 4, 5, 1000, 10_007] {
            let set = set(0..size);
            assert_eq!(set.len() as u64, size);
            assert!(knows(&set, 0..size).iter().all(|known| *known), "of {size}");
            assert!(
                knows(&set, size..size + 5000).iter().all(|known| !known),
                "of {size}"
            );
        }
    }

    #[test]
    fn the_smallest_and_the_largest_hash_are_found() {
        let set = KnownSet::of(vec![u128::MAX, 0, 1, u128::MAX - 1]);
        for hash in [0, 1, u128::MAX - 1, u128::MAX] {
            assert_eq!(set.which([(hash.to_be_bytes(), 0)].into_iter()), [true]);
        }
        assert_eq!(set.which([(2_u128.to_be_bytes(), 0)].into_iter()), [false]);
    }

    #[test]
    fn what_changed_is_not_known_any_more() {
        let set = set(0..10);
        assert!(set.changed_since([3, 5].into_iter()));
        let known = knows(&set, 0..10);
        let expected: Vec<bool> = (0..10).map(|number| number != 3 && number != 5).collect();
        assert_eq!(known, expected);
        assert!(!set.changed_since(0..=MOST_CHANGED as u64));
    }

    #[test]
    fn a_million_and_a_half_take_less_than_26_mib() {
        assert!(KnownSet::room(26 * 1024 * 1024) >= 1_500_000);
    }
}
