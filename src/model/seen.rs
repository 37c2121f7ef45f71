//! The ids that a walk has read, as it keeps them: 64-bit hashes under a key of the walk, sorted, so that a profile costs eight bytes and
//! two of 300 million profiles share a hash in one walk of a thousand. Two ids that share one only keep a row that should go,
//! until the next walk, whose key differs. Pure: storing them is the store's.

use std::hash::Hasher as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use uuid::Uuid;

/// Whole ids that are kept beside the hashes of a record: a sweep looks some of them up, as a check of the tenant's answers.
pub const WITNESSES: usize = 3;
/// Hashes that are read into memory at once: 12 MB, so that a part that is somewhat larger than the others is read in one go.
const AT_ONCE: u64 = 1_500_000;

/// Rows of one part of a large table, about: their hashes take 10 MB.
pub const PART_ROWS: u64 = 1_200_000;
/// Ids of the sample for each part, so that the largest part is hardly larger than the others.
pub const SAMPLED: u64 = 100;

/// The bounds of so many parts by a sorted sample of ids, for [`IdHasher::new`]. A bound need not be an id of the table: the
/// shortest text that separates two ids of the sample says nothing of a person.
pub fn bounds_of(sample: &[String], parts: u64) -> Vec<String> {
    let parts = usize::try_from(parts).unwrap_or(usize::MAX);
    let mut bounds: Vec<String> = (1..parts)
        .filter_map(|part| {
            let place = sample.len() * part / parts;
            let before = sample.get(place.checked_sub(1)?)?;
            Some(shortest_between(before, sample.get(place)?).to_owned())
        })
        .collect();
    bounds.dedup();
    bounds
}

/// The shortest start of `id` that is greater than `before`; all of it where there is none.
fn shortest_between<'id>(before: &str, id: &'id str) -> &'id str {
    let ends = id
        .char_indices()
        .map(|(place, character)| place + character.len_utf8());
    let mut starts = ends.map(|end| &id[..end]);
    starts.find(|start| *start > before).unwrap_or(id)
}

/// Hashes ids for one walk, and says which part of the table they belong to.
#[derive(Debug, Clone)]
pub struct IdHasher {
    walk_id: Uuid,
    divided_at: Arc<[String]>,
}

impl IdHasher {
    /// The hasher of a walk. `divided_at`: the ids at which the table is divided into parts, in order; part `n` holds the ids
    /// after `divided_at[n - 1]` up to `divided_at[n]`. Empty: the table is one part.
    pub fn new(walk_id: Uuid, divided_at: Vec<String>) -> Self {
        Self {
            walk_id,
            divided_at: divided_at.into(),
        }
    }

    /// The walk.
    pub const fn walk_id(&self) -> Uuid {
        self.walk_id
    }

    /// SipHash-1-3 under the walk's id.
    pub fn hash(&self, id: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_key(self.walk_id.as_bytes());
        hasher.write(id.as_bytes());
        hasher.finish()
    }

    /// The part of the table that an id belongs to. Ids compare byte by byte, as the collation `C` does.
    pub fn part(&self, id: &str) -> usize {
        self.divided_at.partition_point(|bound| bound.as_str() < id)
    }

    /// Between which texts the ids of a part lie: after the first, up to the second. None: to the end of the table.
    pub fn bounds(&self, part: usize) -> (String, Option<&str>) {
        let first = part.checked_sub(1).and_then(|before| self.divided_at.get(before));
        let end = self.divided_at.get(part).map(String::as_str);
        (first.cloned().unwrap_or_default(), end)
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.divided_at.len() + 1
    }
}

/// Ids that a walk read, to be recorded in one piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenIds {
    /// The hashes, by part.
    parts: Vec<Vec<u64>>,
    /// Those with the lowest hashes, and these. The first ones would be no sample: where a listing is ordered by date, its oldest
    /// profiles leave together.
    witnesses: Vec<(u64, String)>,
}

impl SeenIds {
    /// Those of these ids that are not empty.
    pub fn of<'id>(hasher: &IdHasher, ids: impl Iterator<Item = &'id str>) -> Self {
        let mut seen = Self::default();
        for id in ids.filter(|id| !id.is_empty()) {
            let hash = hasher.hash(id);
            seen.part(hasher.part(id)).push(hash);
            if seen.is_witness(hash) {
                seen.add_witness((hash, id.to_owned()));
            }
        }
        seen
    }

    /// Whether an id with this hash is among the lowest so far.
    fn is_witness(&self, hash: u64) -> bool {
        self.witnesses.len() < WITNESSES || self.witnesses.last().is_some_and(|(last, _)| hash < *last)
    }

    fn add_witness(&mut self, witness: (u64, String)) {
        if let Err(place) = self.witnesses.binary_search(&witness) {
            self.witnesses.insert(place, witness);
            self.witnesses.truncate(WITNESSES);
        }
    }

    fn part(&mut self, part: usize) -> &mut Vec<u64> {
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Vec::new);
        }
        &mut self.parts[part]
    }

    /// Adds others.
    pub fn append(&mut self, other: Self) {
        if self.parts.is_empty() {
            *self = other;
            return;
        }
        for (part, mut hashes) in other.parts.into_iter().enumerate() {
            self.part(part).append(&mut hashes);
        }
        for witness in other.witnesses {
            self.add_witness(witness);
        }
    }

    /// How many there are, repeats included.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hashes, repeats included.
    pub fn hashes(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().flatten().copied()
    }

    /// A few of the ids themselves.
    pub fn witnesses(&self) -> impl Iterator<Item = &String> {
        self.witnesses.iter().map(|(_, id)| id)
    }

    /// Keeps only some of these ids. The hashes stay.
    pub fn retain_witnesses(&mut self, keeps: impl Fn(&str) -> bool) {
        self.witnesses.retain(|(_, id)| keeps(id));
    }

    /// What is stored for each part: its hashes, sorted, each once, eight bytes each with the highest first.
    pub fn encoded(&self) -> impl Iterator<Item = (usize, Vec<u8>)> {
        let parts = self.parts.iter().enumerate();
        parts
            .filter(|(_, hashes)| !hashes.is_empty())
            .map(|(part, hashes)| (part, encode(hashes.clone())))
    }
}

/// Hashes as they are stored: sorted, each once, eight bytes each with the highest first.
pub fn encode(mut hashes: Vec<u64>) -> Vec<u8> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into_iter().flat_map(u64::to_be_bytes).collect()
}

/// The hashes of [`encode`]. A rest that is no hash is left out.
pub fn decode(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|hash| u64::from_be_bytes(*hash))
}

/// Whether a hash is among those of [`encode`].
pub fn holds(encoded: &[u8], hash: u64) -> bool {
    let (hashes, _) = encoded.as_chunks::<8>();
    hashes.binary_search(&hash.to_be_bytes()).is_ok()
}

/// The ranges of hashes that together hold `hashes` uniform ones, as few as fit into memory one after another.
pub fn ranges(hashes: u64) -> impl Iterator<Item = RangeInclusive<u64>> {
    let count = hashes.div_ceil(AT_ONCE).max(1);
    let bound = move |number: u64| (u128::from(number) << u64::BITS) / u128::from(count);
    let to_hash = |bound: u128| u64::try_from(bound).unwrap_or(u64::MAX);
    (0..count).map(move |number| to_hash(bound(number))..=to_hash(bound(number + 1) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_hasher(divided_at: &[&str]) -> IdHasher {
        IdHasher::new(
            Uuid::from_u128(7),
            divided_at.iter().map(|id| (*id).to_owned()).collect(),
        )
    }

    #[test]
    fn an_id_is_in_the_part_whose_bounds_enclose_it() {
        let id_hasher = id_hasher(&["b", "d"]);
        let parts = ["", "a", "b", "bz", "c", "d", "e"].map(|id| id_hasher.part(id));
        assert_eq!(parts, [0, 0, 0, 1, 1, 1, 2]);
        assert_eq!(id_hasher.bounds(0), (String::new(), Some("b")));
        assert_eq!(id_hasher.bounds(2), ("d".to_owned(), None));
        assert_eq!(id_hasher.parts(), 3);
    }

    #[test]
    fn what_is_stored_is_sorted_and_holds_each_id_once() {
        let id_hasher = id_hasher(&["m"]);
        let mut seen = SeenIds::of(&id_hasher, ["z", "a", "", "a", "b"].into_iter());
        seen.append(SeenIds::of(&id_hasher, ["c", "a", "n"].into_iter()));
        assert_eq!((seen.len(), seen.is_empty()), (7, false));
        let mut lowest = ["a", "b", "c", "n", "z"];
        lowest.sort_by_key(|id| id_hasher.hash(id));
        assert_eq!(seen.witnesses().collect::<Vec<_>>(), &lowest[..WITNESSES]);
        let stored: Vec<(usize, Vec<u8>)> = seen.encoded().collect();
        assert_eq!(stored.iter().map(|(part, _)| *part).collect::<Vec<_>>(), [0, 1]);
        for (part, ids) in [(0, &["a", "b", "c"][..]), (1, &["n", "z"])] {
            let bytes = &stored[part].1;
            let hashes: Vec<u64> = decode(bytes).collect();
            assert!(hashes.is_sorted());
            assert_eq!(hashes.len(), ids.len());
            assert!(ids.iter().all(|id| holds(bytes, id_hasher.hash(id))));
            assert!(!holds(bytes, id_hasher.hash("elsewhere")));
        }
    }

    #[test]
    fn parts_are_about_equal_and_bounds_are_short() {
        let ids: Vec<String> = (0..1000)
            .map(|number| format!("{:08x}", number * 4_000_000_u32))
            .collect();
        let bounds = bounds_of(&ids, 4);
        assert_eq!(bounds.len(), 3);
        assert!(
            bounds.is_sorted() && bounds.iter().all(|bound| bound.len() <= 4),
            "{bounds:?}"
        );
        let first = ids.iter().filter(|id| **id < bounds[0]).count();
        assert!((240..=260).contains(&first), "{first}");
    }

    #[test]
    fn a_sample_of_few_or_equal_ids_divides_as_far_as_it_can() {
        assert_eq!(bounds_of(&[], 4), Vec::<String>::new());
        let same = vec!["a".to_owned(); 10];
        assert_eq!(bounds_of(&same, 4), ["a"]);
        assert_eq!(shortest_between("ab", "abc"), "abc");
        assert_eq!(shortest_between("ü", "üa"), "üa");
        assert_eq!(shortest_between("a", "üa"), "ü");
    }

    #[test]
    fn ranges_hold_every_hash_once() {
        for (hashes, count) in [(0, 1), (AT_ONCE, 1), (AT_ONCE + 1, 2), (10 * AT_ONCE, 10)] {
            let ranges: Vec<_> = ranges(hashes).collect();
            assert_eq!(ranges.len(), count);
            assert_eq!((*ranges[0].start(), *ranges[count - 1].end()), (0, u64::MAX));
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end() + 1, *pair[1].start());
            }
        }
    }

    #[test]
    fn another_walk_hashes_otherwise() {
        let other = IdHasher::new(Uuid::from_u128(8), Vec::new());
        assert_ne!(id_hasher(&[]).hash("a"), other.hash("a"));
        // SipHash-1-3 with a key of nothing but zeros, by the reference implementation.
        assert_eq!(
            IdHasher::new(Uuid::nil(), Vec::new()).hash(""),
            0xd1fb_a762_150c_532c
        );
    }
}
