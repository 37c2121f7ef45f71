//! A compact set of hashes of 128 bits: six bytes each, so that memory holds two to three times as many profiles as with whole hashes.
//!
//! Each hash is mixed with a key that is drawn for the set. The first bits of the result choose a part of the set, the next 48 bits are
//! kept there. So some 58 bits of two hashes have to agree by chance before one is taken for the other: once in a hundred thousand
//! million changed elements, with three million in the set. The next set has another key, so that no such case lasts.

/// Kept bytes of a hash.
const BYTES: usize = 6;
/// Hashes of a part: at least this many, less than twice as many, unless the set is smaller.
const PART: usize = 2048;

/// The set. Hashes are added first, then looked up.
#[derive(Debug)]
pub struct KnownHashes {
    keys: [u64; 2],
    /// The number of leading bits that choose a part.
    part_bits: u32,
    /// The places of a part.
    places: usize,
    /// The kept bytes, part after part.
    kept: Vec<[u8; BYTES]>,
    /// How many places of each part are taken.
    taken: Vec<u16>,
    is_complete: bool,
}

impl KnownHashes {
    /// The most hashes that a set of `bytes` holds.
    pub fn most(bytes: usize) -> usize {
        // A part of 2,048 has 234 spare places, and a counter of two bytes.
        bytes / (BYTES * (PART + spare(PART)) + size_of::<u16>()) * PART
            + bytes % (BYTES * (PART + spare(PART))) / (BYTES + 1)
    }

    /// An empty set with room for so many hashes.
    pub fn with_room_for(hashes: usize) -> Self {
        let part_bits = (hashes / PART).max(1).ilog2();
        let parts = 1 << part_bits;
        let mean = hashes.div_ceil(parts);
        let places = mean + spare(mean);
        Self {
            keys: rand::random(),
            part_bits,
            places,
            kept: vec![[0; BYTES]; parts * places],
            taken: vec![0; parts],
            is_complete: true,
        }
    }

    /// Adds a hash, unless its part is full.
    pub fn add(&mut self, hash: u128) {
        let (part, kept) = self.divided(hash);
        let taken = usize::from(self.taken[part]);
        if taken == self.places {
            self.is_complete = false;
            return;
        }
        self.kept[part * self.places + taken] = kept;
        self.taken[part] += 1;
    }

    /// Orders the set, so that it can be asked.
    pub fn order(&mut self) {
        let parts = self.kept.chunks_mut(self.places).zip(&self.taken);
        for (part, taken) in parts {
            let part = &mut part[..usize::from(*taken)];
            part.sort_unstable();
            // Two hashes that look the same cannot be told apart by their places.
            self.is_complete &= part.windows(2).all(|pair| pair[0] != pair[1]);
        }
    }

    /// The number of hashes in the set.
    pub fn held(&self) -> usize {
        self.taken.iter().map(|taken| usize::from(*taken)).sum()
    }

    /// Whether each added hash has a place of its own.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// One more than the highest place.
    pub fn places(&self) -> usize {
        self.kept.len()
    }

    /// The place of a hash; none if the hash is not in the set.
    pub fn place(&self, hash: u128) -> Option<usize> {
        let (part, kept) = self.divided(hash);
        let first = part * self.places;
        let taken = &self.kept[first..first + usize::from(self.taken[part])];
        Some(first + taken.binary_search(&kept).ok()?)
    }

    /// The part of a hash, and what is kept of it.
    fn divided(&self, hash: u128) -> (usize, [u8; BYTES]) {
        let mixed = self.mixed(hash);
        let part = mixed.checked_shr(u64::BITS - self.part_bits).unwrap_or(0);
        let [one, two, three, four, five, six, _, _] = (mixed << self.part_bits).to_be_bytes();
        (
            usize::try_from(part).unwrap_or(0),
            [one, two, three, four, five, six],
        )
    }

    /// Mixes both halves of a hash with the keys: the product of two numbers, folded.
    fn mixed(&self, hash: u128) -> u64 {
        let [high, low] = halves(hash);
        let [high, low] = halves(u128::from(high ^ self.keys[0]) * u128::from(low ^ self.keys[1]));
        high ^ low
    }
}

impl Extend<u128> for KnownHashes {
    fn extend<I: IntoIterator<Item = u128>>(&mut self, hashes: I) {
        for hash in hashes {
            self.add(hash);
        }
    }
}

/// The spare places of a part that holds `mean` hashes on average: five standard deviations, and some for small parts.
fn spare(mean: usize) -> usize {
    5 * mean.isqrt() + 8
}

fn halves(number: u128) -> [u64; 2] {
    let half = |shift: u32| u64::try_from(number >> shift & u128::from(u64::MAX)).unwrap_or(0);
    [half(u64::BITS), half(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes())
    }

    fn set(room: usize, numbers: std::ops::Range<usize>) -> KnownHashes {
        let mut set = KnownHashes::with_room_for(room);
        set.extend(numbers.map(hash));
        set.order();
        set
    }

    #[test]
    fn it_holds_what_was_added_and_nothing_else_each_at_a_place_of_its_own() {
        for size in [0, 1, 2, 3, 1000, 2047, 2048, 4095, 4096, 100_003] {
            let set = set(size, 0..size);
            assert!(set.is_complete() && set.held() == size, "of {size}");
            let places: std::collections::HashSet<usize> =
                (0..size).filter_map(|number| set.place(hash(number))).collect();
            assert_eq!(places.len(), size, "of {size}");
            assert!(places.iter().all(|place| *place < set.places()), "of {size}");
            let others = (size..size + 20_000).filter(|number| set.place(hash(*number)).is_some());
            assert_eq!(others.count(), 0, "of {size}");
        }
    }

    #[test]
    fn what_has_no_room_is_left_out_and_said() {
        let set = set(10_000, 0..20_000);
        assert!(!set.is_complete() && set.held() < 20_000);
        let found = (0..20_000).filter(|number| set.place(hash(*number)).is_some());
        assert_eq!(found.count(), set.held());
    }

    #[test]
    fn two_hashes_that_are_the_same_are_said() {
        let mut twice = KnownHashes::with_room_for(3);
        twice.extend([1, 2, 1].map(hash));
        twice.order();
        assert!(!twice.is_complete() && twice.place(hash(1)).is_some());
    }

    #[test]
    fn hashes_with_few_different_bits_are_told_apart() {
        let mut set = KnownHashes::with_room_for(128);
        set.extend((0..128).map(|bit| 1 << bit));
        set.order();
        assert!(set.is_complete() && set.held() == 128);
        assert!((0..127).all(|bit| set.place(3 << bit).is_none()));
    }

    #[test]
    fn a_set_takes_no_more_memory_than_it_may() {
        for bytes in [0, 7, 100, 1 << 12, 1 << 16, 1 << 20, 18 << 20, 22 << 20, 1 << 30] {
            let most = KnownHashes::most(bytes);
            let set = KnownHashes::with_room_for(most);
            let taken = BYTES * set.places() + size_of::<u16>() * set.taken.len();
            assert!(taken <= bytes + 2048, "{most} of {bytes} take {taken}");
        }
        assert!(KnownHashes::most(22 << 20) > 3_400_000);
    }
}
