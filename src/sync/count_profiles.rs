//! Counts the profiles that runs read, for the ledger of usage, and passes all events of runs on. The run's own counts are the source.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::description::{Reading, Registry};
use crate::model::ledger::{Counts, RunReport};
use crate::model::metrics::Traffic;
use crate::model::position::Slot;

use super::progress::RunListener;

/// Counts profiles into [`Traffic::profiles`].
pub struct CountProfiles {
    inner: Arc<dyn RunListener>,
    traffic: Arc<Traffic>,
    registry: Registry,
    /// What open runs have read so far.
    read: Mutex<HashMap<Slot, u64>>,
}

impl CountProfiles {
    /// Passes events to `inner`.
    pub fn new(inner: Arc<dyn RunListener>, traffic: Arc<Traffic>, registry: Registry) -> Self {
        Self {
            inner,
            traffic,
            registry,
            read: Mutex::default(),
        }
    }

    fn is_of_profiles(&self, slot: Slot) -> bool {
        let description = self.registry.named(slot.resource);
        description.is_some_and(|it| matches!(it.reading, Reading::Walk(())))
    }

    fn note(&self, slot: Slot, counts: &Counts) {
        if !self.is_of_profiles(slot) {
            return;
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let before = read.insert(slot, counts.read).unwrap_or(0);
        self.traffic.profiles.add(counts.read.saturating_sub(before));
    }
}

impl RunListener for CountProfiles {
    fn began(&self, slot: Slot, resumed: bool, read_before: u64) {
        self.inner.began(slot, resumed, read_before);
    }

    fn counts(&self, slot: Slot, counts: &Counts) {
        self.note(slot, counts);
        self.inner.counts(slot, counts);
    }

    fn notice(&self, slot: Slot, sentence: &str) {
        self.inner.notice(slot, sentence);
    }

    fn ended(&self, report: &RunReport) {
        self.note(report.slot, &report.ledger.counts);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.remove(&report.slot);
        drop(read);
        self.inner.ended(report);
    }

    fn counted(&self, segments: usize, of: usize) {
        self.inner.counted(segments, of);
    }
}
