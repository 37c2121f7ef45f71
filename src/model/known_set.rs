//! Hashes of the profiles that are stored, in memory: an element whose hash is among them is stored as it came, and nobody
//! has to ask the database. The hash is taken over the element's bytes, its id among them, so that 128 bits stand for both.
//! Pure: reading the hashes and learning of changes is the store's.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// What one hash takes, in bytes, its share of the index included.
const ENTRY_BYTES: usize = size_of::<u128>() + size_of::<u32>() / BUCKET;
/// Hashes of one bucket, on average.
const BUCKET: usize = 4;
/// Ids that changed since the hashes were read; with more of them too little is known to be worth its memory.
pub const MOST_CHANGED: usize = 100_000;

/// A set of hashes of rows, sorted, with an index by their first bits. Hashes are uniform, so that a bucket holds a few.
#[derive(Debug)]
pub struct KnownSet {
    hashes: Vec<u128>,
    /// Where each bucket begins, and where the last one ends.
    starts: Vec<u32>,
    changed: Mutex<HashSet<u64>>,
}

impl KnownSet {
    /// How many hashes fit into so many bytes.
    pub fn room(bytes: usize) -> usize {
        (bytes / ENTRY_BYTES).min(u32::MAX as usize)
    }

    /// A set of these hashes.
    pub fn of(mut hashes: Vec<u128>) -> Self {
        hashes.sort_unstable();
        let buckets = (hashes.len() / BUCKET).max(1);
        let mut starts = Vec::with_capacity(buckets + 1);
        let mut place = 0;
        for bucket in 0..buckets {
            while hashes
                .get(place)
                .is_some_and(|hash| bucket_of(*hash, buckets) < bucket)
            {
                place += 1;
            }
            starts.push(to_u32(place));
        }
        starts.push(to_u32(hashes.len()));
        Self {
            hashes,
            starts,
            changed: Mutex::default(),
        }
    }

    /// How many hashes it holds.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Which of these `(hash of the element, hash of the id)` are stored as they came, in the order asked. False: nobody knows.
    pub fn which(&self, asked: impl Iterator<Item = ([u8; 16], u64)>) -> Vec<bool> {
        let changed = self.changed();
        asked
            .map(|(hash, id)| self.contains(u128::from_be_bytes(hash)) && !changed.contains(&id))
            .collect()
    }

    /// Rows with these ids were changed, or are about to be: what is known of them does not hold any more. Says whether
    /// the set is still worth its memory.
    pub fn changed_since(&self, ids: impl Iterator<Item = u64>) -> bool {
        let mut changed = self.changed();
        changed.extend(ids);
        changed.len() <= MOST_CHANGED
    }

    fn changed(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, hash: u128) -> bool {
        let bucket = bucket_of(hash, self.starts.len() - 1);
        let [from, to] = [self.starts[bucket], self.starts[bucket + 1]];
        self.hashes[from as usize..to as usize].contains(&hash)
    }
}

/// The bucket of a hash: its first 64 bits as a share of all buckets, so that the order of hashes is that of buckets.
fn bucket_of(hash: u128, buckets: usize) -> usize {
    let first = hash >> u64::BITS;
    usize::try_from((first * buckets as u128) >> u64::BITS).unwrap_or(0)
}

fn to_u32(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
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
