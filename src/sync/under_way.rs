//! The ids of batches that are being loaded for the first time: they are read, and not yet certain to be stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ids under way in all lanes of a walk, by their hashes.
#[derive(Debug, Default, Clone)]
pub(super) struct UnderWay(Arc<Mutex<Batches>>);

#[derive(Debug, Default)]
struct Batches {
    next: u64,
    hashes: BTreeMap<u64, Vec<u64>>,
}

/// The ids of one batch. They are no longer under way once it is dropped.
#[derive(Debug)]
pub(super) struct OneBatch {
    of: UnderWay,
    number: u64,
}

impl UnderWay {
    /// Adds a batch with the hashes of its ids.
    pub(super) fn add(&self, hashes: impl Iterator<Item = u64>) -> OneBatch {
        let mut batches = self.lock();
        let number = batches.next;
        batches.next += 1;
        batches.hashes.insert(number, hashes.collect());
        drop(batches);
        OneBatch {
            of: self.clone(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OneBatch {
    /// Adds further ids of this batch.
    pub(super) fn extend(&self, hashes: impl Iterator<Item = u64>) {
        if let Some(own) = self.of.lock().hashes.get_mut(&self.number) {
            own.extend(hashes);
        }
    }

    /// Whether another batch has one of these ids.
    pub(super) fn others_have(&self, is_one: impl Fn(&u64) -> bool) -> bool {
        let batches = self.of.lock();
        let others = batches
            .hashes
            .iter()
            .filter(|(number, _)| **number != self.number);
        others.flat_map(|(_, hashes)| hashes).any(is_one)
    }
}

impl Drop for OneBatch {
    fn drop(&mut self) {
        self.of.lock().hashes.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_under_way_until_their_batch_is_dropped() {
        let under_way = UnderWay::default();
        let first = under_way.add([1, 2].into_iter());
        let second = under_way.add([3].into_iter());
        first.extend([4].into_iter());
        assert!(second.others_have(|hash| *hash == 4));
        assert!(!second.others_have(|hash| *hash == 3), "its own");
        drop(first);
        assert!(!second.others_have(|hash| *hash < 10));
    }
}
