//! A set of uniform hashes in memory: sorted, with an index by their first bits, so that each bucket of the index holds a few.

/// Hashes of one bucket, on average.
const BUCKET: usize = 4;

/// A hash of 64 bits or more.
pub trait Hash: Copy + Ord {
    /// Its first 64 bits, which decide about its order before all others.
    fn first_bits(self) -> u64;
}

impl Hash for u64 {
    fn first_bits(self) -> u64 {
        self
    }
}

impl Hash for u128 {
    fn first_bits(self) -> u64 {
        (self >> u64::BITS) as u64
    }
}

/// The set.
#[derive(Debug)]
pub struct SortedHashes<H> {
    hashes: Vec<H>,
    /// The start of each bucket, and the end of the last one.
    starts: Vec<u32>,
}

impl<H> Default for SortedHashes<H> {
    fn default() -> Self {
        Self {
            hashes: Vec::new(),
            starts: vec![0, 0],
        }
    }
}

impl<H: Hash> SortedHashes<H> {
    /// The memory of one hash in bytes, with its share of the index.
    pub const ENTRY_BYTES: usize = size_of::<H>() + size_of::<u32>() / BUCKET;

    /// A set of these hashes, in any order, repeats allowed.
    pub fn of(mut hashes: Vec<H>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
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
        Self { hashes, starts }
    }

    /// The number of different hashes.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether a hash is in the set.
    pub fn holds(&self, hash: H) -> bool {
        self.place(hash).is_some()
    }

    /// The place of a hash in the order of the set, from 0; none if the hash is not in it.
    pub fn place(&self, hash: H) -> Option<usize> {
        let bucket = bucket_of(hash, self.starts.len() - 1);
        let [from, to] = [self.starts[bucket], self.starts[bucket + 1]].map(|start| start as usize);
        let place = self.hashes[from..to].iter().position(|held| *held == hash)?;
        Some(from + place)
    }
}

/// The bucket of a hash: its first bits as a share of all buckets, so that the order of hashes is that of buckets.
fn bucket_of(hash: impl Hash, buckets: usize) -> usize {
    let share = u128::from(hash.first_bits()) * buckets as u128;
    usize::try_from(share >> u64::BITS).unwrap_or(0)
}

fn to_u32(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_it_was_made_of_and_nothing_else() {
        for size in [0_u64, 1, 3, 4, 5, 1000, 10_007] {
            let hash = |number: u64| xxhash_rust::xxh3::xxh3_64(&number.to_be_bytes());
            let twice = (0..size).chain(0..size).map(hash).collect();
            let set = SortedHashes::of(twice);
            assert_eq!((set.len() as u64, set.is_empty()), (size, size == 0));
            assert!((0..size).all(|number| set.holds(hash(number))), "of {size}");
            let mut places: Vec<_> = (0..size).filter_map(|number| set.place(hash(number))).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..set.len()), "of {size}");
            assert!(
                (size..size + 5000).all(|number| !set.holds(hash(number))),
                "of {size}"
            );
        }
        let edges = SortedHashes::of(vec![u64::MAX, 0, 1, u64::MAX - 1]);
        assert!(
            [0, 1, u64::MAX - 1, u64::MAX]
                .into_iter()
                .all(|hash| edges.holds(hash))
        );
        assert!(!edges.holds(2) && !SortedHashes::<u64>::default().holds(0));
    }
}
