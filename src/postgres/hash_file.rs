//! A set of hashes in a temporary file, for tables of which memory cannot hold the hashes. A look-up reads one block of the file,
//! mostly from the page cache.
//!
//! Each hash is mixed into a number of 64 bits with keys that are drawn for the set, so that the file tells nothing of a profile. The
//! file holds these numbers in order; memory holds the first of each block. The numbers arrive in any order: they are collected in
//! parts by their leading bits, and each part, which fits into memory, is sorted at the end. A part is as large for three hundred
//! million hashes as it is read at once: 5 MB.
//!
//! The file has no name: it ends with the process, however that ends.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;

use crate::failpoint::{self, Side};
use crate::model::known_hashes::{HashKeys, HashPlaces};

/// The parts, as a power of two.
const PART_BITS: u32 = 9;
/// The numbers of a block.
const BLOCK: usize = 512;
const NUMBER_BYTES: usize = size_of::<u64>();
const BLOCK_BYTES: usize = BLOCK * NUMBER_BYTES;

/// The set while hashes are added: numbers in parts, whose blocks are in the file in the order of their arrival.
#[derive(Debug)]
pub(crate) struct HashFileBuilder {
    keys: HashKeys,
    file: File,
    parts: Vec<Part>,
    /// The blocks in the file.
    written: u32,
}

#[derive(Debug, Default)]
struct Part {
    /// What is not in the file yet: less than a block.
    rest: Vec<u64>,
    /// The places of its blocks in the file.
    blocks: Vec<u32>,
}

impl HashFileBuilder {
    /// An empty set, in the folder for temporary files (`TMPDIR`).
    ///
    /// # Errors
    ///
    /// A folder that takes no file.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            keys: HashKeys::drawn(),
            file: tempfile::tempfile()?,
            parts: (0..1 << PART_BITS).map(|_| Part::default()).collect(),
            written: 0,
        })
    }

    /// Adds hashes.
    ///
    /// # Errors
    ///
    /// A full disk, for one. The set is of no more use.
    pub(crate) fn add(&mut self, hashes: &[u128]) -> io::Result<()> {
        failpoint::at("hash_file/write", Side::Before)?;
        for hash in hashes {
            let number = self.keys.mixed(*hash);
            let part = usize::try_from(number >> (u64::BITS - PART_BITS)).unwrap_or(0);
            let part = &mut self.parts[part];
            part.rest.push(number);
            if part.rest.len() == BLOCK {
                self.file.write_all(&bytes_of(&part.rest))?;
                part.rest.clear();
                part.blocks.push(self.written);
                self.written += 1;
            }
        }
        Ok(())
    }

    /// Sorts the numbers.
    ///
    /// # Errors
    ///
    /// A full disk, or a file that cannot be read.
    pub(crate) fn finish(self) -> io::Result<HashFile> {
        let mut sorted = BufWriter::with_capacity(BLOCK_BYTES * 16, tempfile::tempfile()?);
        let (mut firsts, mut held, mut is_complete) = (Vec::new(), 0, true);
        let mut block = vec![0; BLOCK_BYTES];
        for part in self.parts {
            let mut numbers = part.rest;
            for place in part.blocks {
                self.file.read_exact_at(&mut block, offset_of(place as usize))?;
                numbers.extend(numbers_of(&block));
            }
            numbers.sort_unstable();
            let added = numbers.len();
            numbers.dedup();
            // Two hashes that look the same cannot be told apart by their places.
            is_complete &= numbers.len() == added;
            let is_first = |(number, place): (&u64, usize)| (place % BLOCK == 0).then_some(*number);
            firsts.extend(numbers.iter().zip(held..).filter_map(is_first));
            held += numbers.len();
            for some in numbers.chunks(BLOCK) {
                sorted.write_all(&bytes_of(some))?;
            }
        }
        let file = sorted.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(HashFile {
            keys: self.keys,
            file,
            firsts,
            held,
            is_complete,
        })
    }
}

/// The set: numbers in order.
#[derive(Debug)]
pub(crate) struct HashFile {
    keys: HashKeys,
    file: File,
    /// The first number of each block.
    firsts: Vec<u64>,
    held: usize,
    is_complete: bool,
}

impl HashPlaces for HashFile {
    fn held(&self) -> usize {
        self.held
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn places(&self) -> usize {
        self.held
    }

    fn place(&self, hash: u128) -> io::Result<Option<usize>> {
        failpoint::at("hash_file/read", Side::Before)?;
        let wanted = self.keys.mixed(hash);
        let Some(block) = self
            .firsts
            .partition_point(|first| *first <= wanted)
            .checked_sub(1)
        else {
            return Ok(None);
        };
        let start = block * BLOCK;
        let mut bytes = [0; BLOCK_BYTES];
        let bytes = &mut bytes[..BLOCK.min(self.held - start) * NUMBER_BYTES];
        self.file.read_exact_at(bytes, offset_of(block))?;
        let (numbers, _) = bytes.as_chunks::<NUMBER_BYTES>();
        let found = numbers.binary_search_by_key(&wanted, |number| u64::from_ne_bytes(*number));
        Ok(found.ok().map(|place| start + place))
    }

    fn may_wait(&self) -> bool {
        true
    }
}

/// Where a block begins, in bytes.
fn offset_of(block: usize) -> u64 {
    block as u64 * BLOCK_BYTES as u64
}

fn bytes_of(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

fn numbers_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (numbers, _) = bytes.as_chunks::<NUMBER_BYTES>();
    numbers.iter().map(|number| u64::from_ne_bytes(*number))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hash(number: usize) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes())
    }

    fn file(numbers: impl Iterator<Item = usize>) -> HashFile {
        let hashes: Vec<u128> = numbers.map(hash).collect();
        let mut file = HashFileBuilder::new().unwrap();
        for some in hashes.chunks(1000) {
            file.add(some).unwrap();
        }
        file.finish().unwrap()
    }

    #[test]
    fn it_holds_what_was_added_and_nothing_else_each_at_a_place_of_its_own() {
        for size in [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 100_003, 600_000] {
            let file = file(0..size);
            assert!(file.is_complete() && file.held() == size, "of {size}");
            let places: HashSet<usize> = (0..size)
                .filter_map(|number| file.place(hash(number)).unwrap())
                .collect();
            assert_eq!(places.len(), size, "of {size}");
            assert!(places.iter().all(|place| *place < file.places()), "of {size}");
            let others = (size..size + 20_000).filter(|number| file.place(hash(*number)).unwrap().is_some());
            assert_eq!(others.count(), 0, "of {size}");
        }
    }

    #[test]
    fn the_smallest_and_the_largest_number_are_found() {
        let file = file(0..5000);
        let numbers: Vec<u64> = (0..5000).map(|number| file.keys.mixed(hash(number))).collect();
        for edge in [numbers.iter().min(), numbers.iter().max()] {
            let number = numbers.iter().position(|number| Some(number) == edge).unwrap();
            let place = file.place(hash(number)).unwrap();
            assert!(place == Some(0) || place == Some(4999), "{place:?}");
        }
    }

    #[test]
    fn two_hashes_that_are_the_same_are_said() {
        let file = file((0..3000).chain([17]));
        assert!(!file.is_complete());
        assert_eq!(file.held(), 3000);
    }
}
