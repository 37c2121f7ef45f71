//! A compact set of hashes of 128 bits, as a cuckoo filter: four bytes each, so that memory holds four times as many profiles as
//! with whole hashes.
//!
//! Each hash is mixed with keys that are drawn for the set ([`HashKeys`]). The result gives a mark of 32 bits and two buckets of four places; the
//! mark is kept in one of these eight places. Another hash is taken for a known one if it has the same mark and the same buckets:
//! once in five hundred million hashes, however large the set is. The next set has other keys, so that no such case lasts.

use std::io;

/// A set of hashes, each of which has a place of its own.
pub trait HashPlaces: std::fmt::Debug + Send + Sync {
    /// The number of hashes in the set.
    fn held(&self) -> usize;

    /// Whether each added hash has a place of its own.
    fn is_complete(&self) -> bool;

    /// One more than the highest place.
    fn places(&self) -> usize;

    /// The place of a hash; none if the hash is not in the set.
    ///
    /// # Errors
    ///
    /// What the operating system says, if the set is in a file that cannot be read.
    fn place(&self, hash: u128) -> io::Result<Option<usize>>;

    /// Whether a look-up may wait for a disk.
    fn may_wait(&self) -> bool;
}

/// Keys that are drawn for one set, so that what two hashes have in common by chance ends with the set.
#[derive(Debug, Clone, Copy)]
pub struct HashKeys([u64; 2]);

impl HashKeys {
    /// New keys.
    pub fn drawn() -> Self {
        Self(rand::random())
    }

    /// Mixes both halves of a hash with the keys: the product of two numbers, folded.
    pub fn mixed(&self, hash: u128) -> u64 {
        let [high, low] = halves(hash);
        let [high, low] = halves(u128::from(high ^ self.0[0]) * u128::from(low ^ self.0[1]));
        high ^ low
    }
}

/// The places of a bucket.
const BUCKET: usize = 4;
/// Places beyond the hashes: a twentieth of all places stays free, so that a new mark soon finds a free one.
const SPARE: usize = 19;
/// Further buckets, without which a small set would have no room to move marks.
const LEAST: usize = 16;
/// The most marks that are moved for a new one.
const MOVES: u32 = 500;
/// The content of a free place; no mark.
const FREE: u32 = 0;

/// The set. Hashes are added first, then looked up.
#[derive(Debug)]
pub struct KnownHashes {
    keys: HashKeys,
    buckets: Vec<[u32; BUCKET]>,
    held: usize,
    /// The hashes that it was made for.
    room: usize,
    is_complete: bool,
}

impl KnownHashes {
    /// The most hashes that a set of `bytes` holds.
    pub fn most(bytes: usize) -> usize {
        let buckets = bytes / size_of::<[u32; BUCKET]>();
        buckets.saturating_sub(LEAST) * BUCKET / (SPARE + 1) * SPARE
    }

    /// An empty set with room for so many hashes.
    pub fn with_room_for(hashes: usize) -> Self {
        let places = hashes + hashes.div_ceil(SPARE);
        Self {
            keys: HashKeys::drawn(),
            buckets: vec![[FREE; BUCKET]; places.div_ceil(BUCKET) + LEAST],
            held: 0,
            room: hashes,
            is_complete: true,
        }
    }

    /// Adds a hash, if there is room. Where no place can be freed, one hash of the set is dropped.
    pub fn add(&mut self, hash: u128) {
        let (mut mark, mut bucket) = self.marked(hash);
        let other = self.other(bucket, mark);
        // Two hashes that look the same cannot be told apart by their places.
        let is_new = !(self.buckets[bucket].contains(&mark) || self.buckets[other].contains(&mark));
        if !is_new || self.held == self.room {
            self.is_complete = false;
            return;
        }
        self.held += 1;
        if self.put(bucket, mark) || self.put(other, mark) {
            return;
        }
        for number in 0..MOVES {
            let place = (mark.rotate_left(number) % 4) as usize;
            std::mem::swap(&mut mark, &mut self.buckets[bucket][place]);
            bucket = self.other(bucket, mark);
            if self.put(bucket, mark) {
                return;
            }
        }
        self.held -= 1;
        self.is_complete = false;
    }

    /// Puts a mark into a free place of the bucket, if it has one.
    fn put(&mut self, bucket: usize, mark: u32) -> bool {
        let free = self.buckets[bucket].iter_mut().find(|place| **place == FREE);
        free.map(|place| *place = mark).is_some()
    }

    /// The mark of a hash, and its first bucket.
    fn marked(&self, hash: u128) -> (u32, usize) {
        let mixed = self.keys.mixed(hash);
        let [high, low] = [mixed >> u32::BITS, mixed & u64::from(u32::MAX)];
        let mark = u32::try_from(low).unwrap_or(FREE).max(FREE + 1);
        (mark, self.scaled(high))
    }

    /// The other bucket of a mark, which follows from either of its two.
    fn other(&self, bucket: usize, mark: u32) -> usize {
        let sum = self.scaled(u64::from(mark.wrapping_mul(0x9E37_79B1)));
        let count = self.buckets.len();
        if sum >= bucket {
            sum - bucket
        } else {
            sum + count - bucket
        }
    }

    /// The bucket at a fraction of the set: `fraction` of 2³².
    fn scaled(&self, fraction: u64) -> usize {
        let scaled = (fraction * self.buckets.len() as u64) >> u32::BITS;
        usize::try_from(scaled).unwrap_or(0)
    }
}

impl HashPlaces for KnownHashes {
    fn held(&self) -> usize {
        self.held
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn places(&self) -> usize {
        self.buckets.len() * BUCKET
    }

    fn place(&self, hash: u128) -> io::Result<Option<usize>> {
        let (mark, bucket) = self.marked(hash);
        let within = |bucket: usize| {
            let place = self.buckets[bucket].iter().position(|kept| *kept == mark)?;
            Some(bucket * BUCKET + place)
        };
        Ok(within(bucket).or_else(|| within(self.other(bucket, mark))))
    }

    fn may_wait(&self) -> bool {
        false
    }
}

impl Extend<u128> for KnownHashes {
    fn extend<I: IntoIterator<Item = u128>>(&mut self, hashes: I) {
        for hash in hashes {
            self.add(hash);
        }
    }
}

fn halves(number: u128) -> [u64; 2] {
    let half = |shift: u32| u64::try_from(number >> shift & u128::from(u64::MAX)).unwrap_or(0);
    [half(u64::BITS), half(0)]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn hash(number: usize) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes())
    }

    fn set(room: usize, numbers: std::ops::Range<usize>) -> KnownHashes {
        let mut set = KnownHashes::with_room_for(room);
        set.extend(numbers.map(hash));
        set
    }

    #[test]
    fn it_holds_what_was_added_and_nothing_else_each_at_a_place_of_its_own() {
        for size in [0, 1, 2, 3, 40, 1000, 2047, 2048, 4095, 4096, 100_003] {
            let set = set(size, 0..size);
            assert!(set.is_complete() && set.held() == size, "of {size}");
            let places: std::collections::HashSet<usize> = (0..size)
                .filter_map(|number| set.place(hash(number)).unwrap())
                .collect();
            assert_eq!(places.len(), size, "of {size}");
            assert!(places.iter().all(|place| *place < set.places()), "of {size}");
            let others = (size..size + 20_000).filter(|number| set.place(hash(*number)).unwrap().is_some());
            assert_eq!(others.count(), 0, "of {size}");
        }
    }

    #[test]
    fn what_has_no_room_is_left_out_and_said() {
        let set = set(10_000, 0..20_000);
        assert!(!set.is_complete() && set.held() == 10_000);
        let found = (0..20_000).filter(|number| set.place(hash(*number)).unwrap().is_some());
        assert_eq!(found.count(), set.held());
    }

    #[test]
    fn two_hashes_that_are_the_same_are_said() {
        let mut twice = KnownHashes::with_room_for(3);
        twice.extend([1, 2, 1].map(hash));
        assert!(!twice.is_complete() && twice.place(hash(1)).unwrap().is_some());
        assert_eq!(twice.held(), 2);
    }

    #[test]
    fn hashes_with_few_different_bits_are_told_apart() {
        let mut set = KnownHashes::with_room_for(128);
        set.extend((0..128).map(|bit| 1 << bit));
        assert!(set.is_complete() && set.held() == 128);
        assert!((0..127).all(|bit| set.place(3 << bit).unwrap().is_none()));
    }

    #[test]
    fn both_buckets_of_a_mark_lead_to_each_other() {
        let set = KnownHashes::with_room_for(1000);
        for number in 0..10_000 {
            let (mark, bucket) = set.marked(hash(number));
            let other = set.other(bucket, mark);
            assert!(other < set.buckets.len());
            assert_eq!(set.other(other, mark), bucket);
        }
    }

    #[test]
    fn a_set_takes_no_more_memory_than_it_may() {
        for bytes in [0, 7, 100, 1 << 12, 1 << 16, 1 << 20, 18 << 20, 22 << 20, 1 << 30] {
            let most = KnownHashes::most(bytes);
            let set = KnownHashes::with_room_for(most);
            let taken = size_of::<u32>() * set.places();
            assert!(taken <= bytes.max(512), "{most} of {bytes} take {taken}");
        }
        assert!(KnownHashes::most(22 << 20) > 5_400_000);
    }
}
