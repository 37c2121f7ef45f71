//! Profiles that are rendered once and then sent from memory, for benchmarks: a request costs little more than
//! its socket. Where few profiles repeat with many ids, the differing parts (ids, dates) are overwritten in a copy, in
//! place, and the copies are reused. Only the profiles of a plain listing are kept; nothing may change the tenant
//! meanwhile.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::base::Base;
use crate::json::write_number;
use crate::profile_json::ProfileWriter;
use crate::world::World;

/// Profiles in one block: some 200 KB, a good size for a write to a socket.
const BLOCK: u64 = 64;
/// The text before the date of the last change in a profile.
const BEFORE_MODIFIED: &[u8] = b"\"lastmodifieddate\",\"values\":[\"";

/// The rendered profiles, by the parts of a profile that requests ask for.
#[derive(Debug, Default)]
pub(crate) struct RenderCaches(Mutex<HashMap<CacheKey, Arc<RenderCache>>>);

/// The part of a request that does not name its page.
type CacheKey = Vec<(String, String)>;

impl RenderCaches {
    /// The cache for requests with this key.
    pub(crate) fn cache(&self, key: CacheKey, base: &Base) -> Arc<RenderCache> {
        let mut caches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = caches.get(&key) {
            return Arc::clone(cache);
        }
        let cache = Arc::new(RenderCache::new(base));
        caches.insert(key, Arc::clone(&cache));
        cache
    }
}

/// Rendered profiles.
#[derive(Debug)]
pub(crate) struct RenderCache {
    /// How many profiles differ in more than ids and dates.
    distinct: u64,
    blocks: Vec<OnceLock<Block>>,
    /// Positions with other content than was generated.
    others: Mutex<HashMap<u64, Bytes>>,
}

impl RenderCache {
    fn new(base: &Base) -> Self {
        let blocks = base.distinct.div_ceil(BLOCK);
        Self {
            distinct: base.distinct,
            blocks: (0..blocks).map(|_| OnceLock::new()).collect(),
            others: Mutex::default(),
        }
    }

    /// The end of the block of a position.
    pub(crate) fn reach(&self, position: u64) -> u64 {
        let place = position % self.distinct;
        let end = ((place / BLOCK + 1) * BLOCK).min(self.distinct);
        position + (end - place)
    }

    /// The profiles at these positions of one block, each with a comma before it.
    pub(crate) fn run(&self, profiles: &mut ProfileWriter, world: &World, positions: Range<u64>) -> Bytes {
        let place = positions.start % self.distinct;
        let Some(block) = usize::try_from(place / BLOCK)
            .ok()
            .and_then(|block| self.blocks.get(block))
        else {
            return Bytes::new();
        };
        let first = place / BLOCK * BLOCK;
        let within = to_index(place - first)..to_index(place - first + (positions.end - positions.start));
        block
            .get_or_init(|| Block::write(profiles, world, first..(first + BLOCK).min(self.distinct)))
            .slice(&world.base, positions.start, within)
    }

    /// The content of a listing at a position with other content: rendered by `write` the first time.
    pub(crate) fn other(&self, position: u64, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let written = others.entry(position).or_insert_with(|| {
            let mut bytes = Vec::new();
            write(&mut bytes);
            bytes.into()
        });
        written.clone()
    }
}

/// A block of rendered profiles.
#[derive(Debug)]
struct Block {
    text: Bytes,
    /// The start of each profile, and the end.
    starts: Vec<usize>,
    /// By profile, the parts to overwrite for another position; empty if positions do not repeat.
    marks: Vec<Vec<Mark>>,
    /// Free copies of the text.
    pool: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A part of fixed length that depends on the position.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// The profile's id.
    Id,
    /// The id of the replaced profile of this number.
    Loser(u64),
    /// The date of the last change: 13 digits for three centuries.
    Modified,
}

impl Block {
    fn write(profiles: &mut ProfileWriter, world: &World, positions: Range<u64>) -> Self {
        let (mut text, mut starts, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for position in positions {
            let start = text.len();
            starts.push(start);
            text.push(b',');
            profiles.write(world, position, None, &mut text);
            if world.base.repeats() {
                marks.push(marks_in(&text[start..], start, &world.base, position));
            }
        }
        starts.push(text.len());
        Self {
            text: text.into(),
            starts,
            marks,
            pool: Arc::default(),
        }
    }

    /// The profiles of these places with the positions from `first` on.
    fn slice(&self, base: &Base, first: u64, within: Range<usize>) -> Bytes {
        let span = self.starts[within.start]..self.starts[within.end];
        if self.marks.is_empty() {
            return self.text.slice(span);
        }
        let copy = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut text = copy.unwrap_or_else(|| self.text.to_vec());
        for (position, place) in (first..).zip(within) {
            for mark in &self.marks[place] {
                mark.write(base, position, &mut text);
            }
        }
        let pool = Arc::clone(&self.pool);
        Bytes::from_owner(PooledCopy { text, pool }).slice(span)
    }
}

/// A copy that is being sent; dropping it returns it to the pool.
struct PooledCopy {
    text: Vec<u8>,
    pool: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for PooledCopy {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for PooledCopy {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}

impl Mark {
    fn write(self, base: &Base, position: u64, text: &mut [u8]) {
        match self.what {
            What::Id => overwrite(text, self.at, &base.identities.write(position)),
            What::Loser(which) => {
                let loser = base.losers(position).start + which;
                overwrite(text, self.at, &base.identities.write(loser));
            }
            What::Modified => {
                let mut digits = Vec::with_capacity(13);
                write_number(base.modified(position).unsigned_abs(), &mut digits);
                overwrite(text, self.at, &digits);
            }
        }
    }
}

fn overwrite(text: &mut [u8], at: usize, by: &[u8]) {
    text[at..at + by.len()].copy_from_slice(by);
}

/// The parts that depend on the position, in the text of a profile that begins at `start`.
fn marks_in(text: &[u8], start: usize, base: &Base, position: u64) -> Vec<Mark> {
    let losers = base.losers(position);
    let replaced = (0..losers.end - losers.start).map(What::Loser);
    let found = [What::Id].into_iter().chain(replaced).filter_map(|what| {
        let id = match what {
            What::Loser(which) => base.identities.write(losers.start + which),
            _ => base.identities.write(position),
        };
        Some(Mark {
            at: start + find(text, &id)?,
            what,
        })
    });
    let modified = find(text, BEFORE_MODIFIED).map(|at| Mark {
        at: start + at + BEFORE_MODIFIED.len(),
        what: What::Modified,
    });
    found.chain(modified).collect()
}

fn find(text: &[u8], sought: &[u8]) -> Option<usize> {
    text.windows(sought.len()).position(|window| window == sought)
}

/// A place in a block.
fn to_index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
