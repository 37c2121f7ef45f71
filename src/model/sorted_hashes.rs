//! A set of uniform hashes in memory: sorted, with an index by their first bits, so that each bucket of the index holds a few.

/// Hashes of one bucket, on average.
const BUCKET: usize = 4;

/// The set.
#[derive(Debug)]
pub struct SortedHashes {
    hashes: Vec<u64>,
    /// The start of each bucket, and the end of the last one.
    starts: Vec<u32>,
}

impl Default for SortedHashes {
    fn default() -> Self {
        Self {
            hashes: Vec::new(),
            starts: vec![0, 0],
        }
    }
}

impl SortedHashes {
    /// A set of these hashes, in any order, repeats allowed.
    pub fn of(mut hashes: Vec<u64>) -> Self {
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
    pub fn holds(&self, hash: u64) -> bool {
        let bucket = bucket_of(hash, self.starts.len() - 1);
        let [from, to] = [self.starts[bucket], self.starts[bucket + 1]];
        self.hashes[from as usize..to as usize].contains(&hash)
    }
}

/// The bucket of a hash: its first bits as a share of all buckets, so that the order of hashes is that of buckets.
fn bucket_of(hash: u64, buckets: usize) -> usize {
    let share = u128::from(hash) * buckets as u128;
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
        assert!(!edges.holds(2) && !SortedHashes::default().holds(0));
    }
}
