//! The counts of an open run. The lanes write them; the ledger, the row in `sync.runs` and the progress bar read them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::batch::{ReadCounts, Written};
use crate::model::drift::UnknownCounts;
use crate::model::ledger::{Counts, RunReport};
use crate::model::page::Meter;
use crate::model::position::Slot;

/// Receives the events of runs, for a progress bar or log lines.
pub trait RunListener: Send + Sync + 'static {
    /// A run has started; `resumed`: it continues an open walk, of which `read_before` elements were read already. Comes again where
    /// a walk begins its listing anew.
    fn began(&self, slot: Slot, resumed: bool, read_before: u64);
    /// The counts of a run have changed.
    fn counts(&self, slot: Slot, counts: &Counts);
    /// A sentence for the person who watches.
    fn notice(&self, slot: Slot, sentence: &str);
    /// A run has ended.
    fn ended(&self, report: &RunReport);
    /// `--verify` has counted `segments` of `of` segments.
    fn counted(&self, segments: usize, of: usize);
}

/// Ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoListener;

impl RunListener for NoListener {
    fn began(&self, _slot: Slot, _resumed: bool, _read_before: u64) {}
    fn counts(&self, _slot: Slot, _counts: &Counts) {}
    fn notice(&self, _slot: Slot, _sentence: &str) {}
    fn ended(&self, _report: &RunReport) {}
    fn counted(&self, _segments: usize, _of: usize) {}
}

/// The counts of one run, shared by all that take part in it.
#[derive(Clone)]
pub(super) struct Progress {
    slot: Slot,
    counts: Arc<Mutex<Counts>>,
    /// The hint of a run that ends without a fault.
    advice: Arc<Mutex<Option<String>>>,
    meter: Arc<Meter>,
    listener: Arc<dyn RunListener>,
    /// The number of current waits that may be long and end by themselves.
    waits: Arc<AtomicUsize>,
}

/// Marks a wait that may be long and ends by itself; the wait is over when this is dropped.
pub(super) struct WaitGuard(Arc<AtomicUsize>);

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Progress {
    pub(super) fn new(slot: Slot, listener: Arc<dyn RunListener>) -> Self {
        Self {
            slot,
            counts: Arc::default(),
            advice: Arc::default(),
            meter: Arc::default(),
            listener,
            waits: Arc::default(),
        }
    }

    /// Marks a wait that does not count as a standstill: for the tenant, which may have asked for an hour's pause, or
    /// for a statement that the database works on.
    pub(super) fn waiting(&self) -> WaitGuard {
        self.waits.fetch_add(1, Ordering::Relaxed);
        WaitGuard(Arc::clone(&self.waits))
    }

    /// Whether such a wait is going on.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed) > 0
    }

    /// The meter of the run's requests and bytes.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Adds the counts of a loaded batch.
    pub(super) fn loaded(&self, read_counts: ReadCounts, written: &Written) {
        if written.unrecorded > 0 && self.lock().unrecorded == 0 {
            self.notice("so many elements are rejected that `sync.rejects` takes no more of them: they are counted only");
        }
        self.change(|counts| {
            counts.read += read_counts.read;
            counts.unchanged += read_counts.unchanged + written.unchanged;
            counts.replaced_characters += read_counts.replaced_characters;
            counts.unreadable_dates += read_counts.unreadable_dates;
            counts.distinct += read_counts.new_ids;
            counts.inserted += written.inserted;
            counts.updated += written.updated;
            counts.removed += written.removed;
            counts.rejected += written.rejected;
            counts.unrecorded += written.unrecorded;
            counts.rehashed += written.rehashed;
            counts.suppressed += written.suppressed;
            counts.repeated += written.repeated;
            counts.late += written.late;
            counts.late_by = counts.late_by.max(written.late_by);
            counts.elsewhere += read_counts.elsewhere;
        });
    }

    /// Adds what elements had that is not known.
    pub(super) fn unknown(&self, unknown: &UnknownCounts) {
        if !unknown.is_empty() {
            self.lock().unknown.merge(unknown);
        }
    }

    /// Changes the counts and notifies the listener.
    pub(super) fn change(&self, change: impl FnOnce(&mut Counts)) {
        let counts = {
            let mut counts = self.lock();
            change(&mut counts);
            self.with_wire(&counts)
        };
        self.listener.counts(self.slot, &counts);
    }

    /// The counts so far.
    pub(super) fn read(&self) -> Counts {
        let counts = self.lock();
        self.with_wire(&counts)
    }

    /// Passes a sentence to the listener.
    pub(super) fn notice(&self, sentence: &str) {
        self.listener.notice(self.slot, sentence);
    }

    /// Passes a sentence to the listener. The first one becomes the run's hint, unless the run has another hint; a repeated
    /// sentence is not passed again.
    pub(super) fn advise(&self, sentence: &str) {
        let mut advice = self.advice.lock().unwrap_or_else(PoisonError::into_inner);
        if advice.as_deref() == Some(sentence) {
            return;
        }
        advice.get_or_insert_with(|| sentence.to_owned());
        drop(advice);
        self.notice(sentence);
    }

    /// The first advice.
    pub(super) fn advice(&self) -> Option<String> {
        self.advice.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with_wire(&self, counts: &Counts) -> Counts {
        let (requests, retries, bytes_read) = self.meter.read();
        Counts {
            requests,
            retries,
            bytes_read,
            ..counts.clone()
        }
    }

    /// The counts stay valid even if another holder of the lock panicked.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
