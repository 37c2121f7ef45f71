//! A set of hashes of stored profiles, in memory or in a file. An element whose hash is in the set is stored unchanged, so that no look-up in
//! the database is needed. The hash covers the element's bytes and so its id. The store reads the hashes and learns of changes.
//!
//! The set also notes which of its profiles the walk has met. A walk that met every profile of a complete set missed none of them.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::known_hashes::{HashPlaces, KnownHashes};

/// The most changed ids since the hashes were read; with more, the set is no longer worth its memory.
pub const MOST_CHANGED: usize = 100_000;

/// How many stored profiles are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRows {
    /// Their number.
    pub known: usize,
    /// Whether these are all.
    pub are_all: bool,
    /// Whether their hashes are in a file, since memory has no room for them.
    pub in_file: bool,
}

/// The hashes, and what has happened to their profiles since they were read.
#[derive(Debug)]
pub struct KnownSet {
    hashes: Box<dyn HashPlaces>,
    has_all: bool,
    since: Mutex<Since>,
}

#[derive(Debug)]
struct Since {
    /// Hashes of the ids of rows that were changed.
    changed: HashSet<u64>,
    /// The profiles that the walk has met; none for a set that lacks some profiles.
    met: Option<Met>,
}

/// The profiles that the walk has met: a bit for each place of the set.
#[derive(Debug)]
struct Met {
    words: Vec<u64>,
    /// The places without a bit.
    missing: usize,
}

impl Met {
    fn none_of(hashes: &dyn HashPlaces) -> Self {
        Self {
            words: vec![0; hashes.places().div_ceil(u64::BITS as usize)],
            missing: hashes.held(),
        }
    }

    fn note(&mut self, place: usize) {
        let bits = u64::BITS as usize;
        let (word, mask) = (&mut self.words[place / bits], 1 << (place % bits));
        self.missing -= usize::from(*word & mask == 0);
        *word |= mask;
    }
}

impl KnownSet {
    /// The number of hashes that fit into `bytes` of memory. The bits of what was met are left out: they take a thirtieth of it.
    pub fn room(bytes: usize) -> usize {
        KnownHashes::most(bytes)
    }

    /// The set of these hashes. `has_all`: each stored profile was among them. Whether the walk met them all is noted in at most
    /// `bytes` of memory, a bit each.
    pub fn of(hashes: Box<dyn HashPlaces>, has_all: bool, bytes: usize) -> Self {
        let has_all = has_all && hashes.is_complete();
        let has_room = hashes.places() / 8 <= bytes;
        let met = (has_all && has_room).then(|| Met::none_of(&*hashes));
        let changed = HashSet::new();
        Self {
            hashes,
            has_all,
            since: Mutex::new(Since { changed, met }),
        }
    }

    /// Whether each stored profile had its hash in the set when it was made.
    pub fn is_complete(&self) -> bool {
        self.has_all
    }

    /// Whether a look-up may wait for a disk.
    pub fn may_wait(&self) -> bool {
        self.hashes.may_wait()
    }

    /// The number of hashes in the set.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.hashes.held()
    }

    /// Whether each of these `(hash of the element, hash of the id)` is stored unchanged, in order. False: not known. The walk has
    /// met the elements.
    ///
    /// # Errors
    ///
    /// A file of hashes that cannot be read. The set is of no more use.
    pub fn which(&self, asked: &[([u8; 16], u64)]) -> io::Result<Vec<bool>> {
        let place = |(hash, _): &([u8; 16], u64)| self.hashes.place(u128::from_be_bytes(*hash));
        let places: Vec<Option<usize>> = asked.iter().map(place).collect::<io::Result<_>>()?;
        let mut since = self.since();
        let Since { changed, met } = &mut *since;
        if let Some(met) = met {
            places.iter().flatten().for_each(|place| met.note(*place));
        }
        let ids = asked.iter().map(|(_, id)| id);
        let known = ids.zip(&places);
        Ok(known
            .map(|(id, place)| place.is_some() && !changed.contains(id))
            .collect())
    }

    /// Notes that the walk has met the profiles whose rows have these hashes. A hash that is not in the set says nothing.
    ///
    /// # Errors
    ///
    /// A file of hashes that cannot be read. The set is of no more use.
    pub fn meet(&self, stored: impl Iterator<Item = u128>) -> io::Result<()> {
        if self.since().met.is_none() {
            return Ok(());
        }
        let places: Vec<Option<usize>> = stored
            .map(|hash| self.hashes.place(hash))
            .collect::<io::Result<_>>()?;
        if let Some(met) = &mut self.since().met {
            places.into_iter().flatten().for_each(|place| met.note(place));
        }
        Ok(())
    }

    /// Whether the walk has certainly met every profile that was stored when the hashes were read.
    pub fn all_met(&self) -> bool {
        self.since().met.as_ref().is_some_and(|met| met.missing == 0)
    }

    /// Notes that rows with these ids were changed or are about to be, so that their hashes no longer count. Returns whether the
    /// set is still worth its memory.
    pub fn changed_since(&self, ids: impl Iterator<Item = u64>) -> bool {
        let mut since = self.since();
        since.changed.extend(ids);
        since.changed.len() <= MOST_CHANGED
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn hash(number: u64) -> [u8; 16] {
        xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes()).to_be_bytes()
    }

    fn set(numbers: std::ops::Range<u64>) -> KnownSet {
        let numbers: Vec<u64> = numbers.collect();
        KnownSet::of(Box::new(hashes(&numbers)), true, 1 << 20)
    }

    fn hashes(numbers: &[u64]) -> KnownHashes {
        let mut hashes = KnownHashes::with_room_for(numbers.len());
        hashes.extend(numbers.iter().map(|number| u128::from_be_bytes(hash(*number))));
        hashes
    }

    fn knows(set: &KnownSet, numbers: impl Iterator<Item = u64>) -> Vec<bool> {
        let asked: Vec<_> = numbers.map(|number| (hash(number), number)).collect();
        set.which(&asked).unwrap()
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
        let edges = [u128::MAX, 0, 1, u128::MAX - 1];
        let mut hashes = KnownHashes::with_room_for(edges.len());
        hashes.extend(edges);
        let set = KnownSet::of(Box::new(hashes), true, 1 << 20);
        for hash in edges {
            assert_eq!(set.which(&[(hash.to_be_bytes(), 0)]).unwrap(), [true]);
        }
        assert_eq!(set.which(&[(2_u128.to_be_bytes(), 0)]).unwrap(), [false]);
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
    fn a_walk_has_met_all_once_each_profile_was_asked_for_or_looked_up() {
        for size in [1, 63, 64, 65, 1000] {
            let set = set(0..size);
            assert!(!set.all_met(), "of {size}");
            knows(&set, (1..size).chain(size..2 * size));
            knows(&set, 1..size);
            assert!(
                !set.all_met(),
                "of {size}: one is left, however often the others came"
            );
            // A row that differs from its element is met by its own hash, and by no other.
            set.meet([u128::from_be_bytes(hash(size + 7))].into_iter())
                .unwrap();
            assert!(!set.all_met(), "of {size}");
            set.meet([u128::from_be_bytes(hash(0))].into_iter()).unwrap();
            assert!(set.all_met(), "of {size}");
        }
        assert!(set(0..0).all_met(), "of nothing, all is met");
    }

    #[test]
    fn a_profile_that_changed_is_met_as_well() {
        let set = set(0..2);
        assert!(set.changed_since([1].into_iter()));
        assert_eq!(knows(&set, 0..2), [true, false]);
        assert!(set.all_met());
    }

    #[test]
    fn a_set_that_lacks_profiles_never_says_that_all_were_met() {
        let cut = KnownSet::of(Box::new(hashes(&[0, 1])), false, 1 << 20);
        let twice = KnownSet::of(Box::new(hashes(&[0, 1, 1])), true, 1 << 20);
        for set in [cut, twice] {
            assert_eq!(knows(&set, 0..2), [true, true]);
            assert!(!set.all_met());
        }
    }

    #[test]
    fn a_set_without_memory_for_its_bits_knows_all_and_never_says_that_all_were_met() {
        let set = KnownSet::of(Box::new(hashes(&[0, 1])), true, 1);
        assert!(set.is_complete());
        assert_eq!(knows(&set, 0..2), [true, true]);
        assert!(!set.all_met());
    }
}
