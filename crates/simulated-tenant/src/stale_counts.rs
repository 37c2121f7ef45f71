//! Numbers of profiles as the tenant shows them: counted now and then, so that a shown number may be too high or too low.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::milliseconds;
use crate::world::World;

/// The last count of each segment.
#[derive(Debug)]
pub(crate) struct StaleCounts {
    /// How old a count may be, in milliseconds.
    age: i64,
    last: Mutex<Option<Counted>>,
}

#[derive(Debug)]
struct Counted {
    at: i64,
    counts: Vec<u64>,
}

impl StaleCounts {
    pub(crate) fn new(age: Duration) -> Self {
        Self {
            age: milliseconds(age),
            last: Mutex::default(),
        }
    }

    /// The number of profiles in a segment as of the last count.
    pub(crate) fn count(&self, world: &World, bit: usize, now: i64) -> u64 {
        if self.age == 0 {
            return world.counts[bit];
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| now - last.at >= self.age) {
            *last = Some(Counted {
                at: now,
                counts: world.counts.clone(),
            });
        }
        last.as_ref().map_or(0, |last| last.counts[bit])
    }
}
