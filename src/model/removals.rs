//! The bound on rows that a run may remove without approval. Merges and the sweep of a run count together, so that thousands of
//! ids in `replaces` remove no more rows than profiles that vanish from the listing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The bound on removals without approval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RemovalBound {
    /// The larger of 100 rows and 2% of the table.
    Default,
    /// A number of rows.
    Rows(u64),
    /// A share of the table, 0 to 100.
    Percent(f64),
}

impl RemovalBound {
    /// The bound in rows, for a table with `stored` rows.
    pub fn rows(self, stored: u64) -> u64 {
        match self {
            Self::Default => (stored / 50).max(100),
            Self::Rows(rows) => rows,
            Self::Percent(share) => share_of(stored, share),
        }
    }

    /// Whether `removed` of `stored` rows may be removed: within the bound, and never more than half.
    pub fn allows(self, removed: u64, stored: u64) -> bool {
        removed <= self.rows(stored) && removed.saturating_mul(2) <= stored
    }

    /// The rows that a table needs so that `removed` rows may be removed; none if no table is large enough.
    fn needs(self, removed: u64) -> Option<u64> {
        let half = removed.saturating_mul(2);
        match self {
            Self::Default if removed > 100 => Some(removed.saturating_mul(50)),
            Self::Rows(rows) if removed > rows => None,
            Self::Default | Self::Rows(_) => Some(half),
            Self::Percent(share) => {
                // Bisection, since a share is rounded down. No table has a billion times as many rows as are removed.
                let (mut low, mut high) = (half, removed.saturating_mul(1_000_000_000));
                if !self.allows(removed, high) {
                    return None;
                }
                while low < high {
                    let middle = low + (high - low) / 2;
                    if share_of(middle, share) >= removed {
                        high = middle;
                    } else {
                        low = middle + 1;
                    }
                }
                Some(high)
            }
        }
    }
}

/// A share of a count of rows, rounded down. Counts of rows lie far below 2^52, so floats carry them exactly.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of rows are small and not negative"
)]
fn share_of(stored: u64, share: f64) -> u64 {
    (stored as f64 * share / 100.0).floor() as u64
}

/// The removals by merges of one run, and the rest of its bound. Shared by all loading connections of the run.
#[derive(Debug, Clone)]
pub struct Removals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bound: RemovalBound,
    approved: Option<u64>,
    /// Whether the table was empty at the run's start; then its current rows count.
    began_empty: AtomicBool,
    inserted: AtomicU64,
    removed: AtomicU64,
    refused: AtomicU64,
}

impl Removals {
    /// The removals of a new run; `approved` is the number that a person approved.
    pub fn new(bound: RemovalBound, approved: Option<u64>) -> Self {
        Self(Arc::new(Inner {
            bound,
            approved,
            began_empty: AtomicBool::new(false),
            inserted: AtomicU64::new(0),
            removed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Notes that the table was empty at the run's start.
    pub fn begins_empty(&self) {
        self.0.began_empty.store(true, Ordering::Relaxed);
    }

    /// Notes inserted rows, which must not widen the bound.
    pub fn inserted(&self, rows: u64) {
        self.0.inserted.fetch_add(rows, Ordering::Relaxed);
    }

    /// Deducts rows from the bound, and returns how many rows the table must hold for that; none if they may not be removed at
    /// all.
    pub fn take(&self, rows: u64) -> Option<u64> {
        let total = self.0.removed.fetch_add(rows, Ordering::Relaxed) + rows;
        if let Some(approved) = self.0.approved {
            return (total <= approved).then_some(0);
        }
        let came_since = if self.0.began_empty.load(Ordering::Relaxed) {
            0
        } else {
            self.0.inserted.load(Ordering::Relaxed)
        };
        let needed = self.0.bound.needs(total)?;
        Some(needed.saturating_add(came_since).saturating_sub(total))
    }

    /// Returns deducted rows, whose removal was not committed.
    pub fn give_back(&self, rows: u64) {
        self.0.removed.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Notes rows that were not removed because a person must approve it.
    pub fn refuse(&self, rows: u64) {
        self.0.refused.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows that the run removed by merges.
    pub fn removed(&self) -> u64 {
        self.0.removed.load(Ordering::Relaxed)
    }

    /// Rows whose removal was refused.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Whether a sweep may remove `unseen` of `stored` rows in addition to those that merges removed.
    pub fn allows_sweep(&self, unseen: u64, stored: u64) -> bool {
        let removed = unseen + self.removed();
        match self.0.approved {
            Some(approved) => removed <= approved,
            None => self.0.bound.allows(removed, stored + self.removed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_needs_is_the_least_that_allows_it() {
        let bounds = [
            RemovalBound::Default,
            RemovalBound::Rows(0),
            RemovalBound::Rows(7),
            RemovalBound::Rows(5_000),
            RemovalBound::Percent(0.0),
            RemovalBound::Percent(0.3),
            RemovalBound::Percent(2.0),
            RemovalBound::Percent(33.3),
            RemovalBound::Percent(100.0),
        ];
        for bound in bounds {
            for removed in [1, 2, 3, 7, 8, 99, 100, 101, 102, 4_999, 5_001] {
                match bound.needs(removed) {
                    Some(needed) => {
                        assert!(bound.allows(removed, needed), "{bound:?} {removed} of {needed}");
                        assert!(
                            !bound.allows(removed, needed - 1),
                            "{bound:?} {removed} of {needed} - 1"
                        );
                    }
                    None => assert!(!bound.allows(removed, 1 << 40), "{bound:?} {removed}"),
                }
            }
        }
    }

    #[test]
    fn all_that_a_run_removes_counts_together_and_what_comes_in_does_not_widen_the_bound() {
        let removals = Removals::new(RemovalBound::Default, None);
        assert_eq!(removals.take(60), Some(60), "120 rows, 60 of them gone");
        assert_eq!(removals.take(40), Some(100));
        assert_eq!(removals.take(1), Some(101 * 50 - 101));
        removals.give_back(1);
        removals.inserted(5);
        assert_eq!(removals.take(0), Some(105));
        assert_eq!(removals.removed(), 100);
        assert!(!removals.allows_sweep(1, 4_000), "101 of 4,100");
        assert!(removals.allows_sweep(1, 4_950), "101 of 5,050");
    }

    #[test]
    fn an_approval_counts_for_merges_and_the_sweep_together() {
        let removals = Removals::new(RemovalBound::Rows(0), Some(10));
        assert_eq!(removals.take(8), Some(0));
        assert_eq!(removals.take(3), None);
        removals.give_back(3);
        assert!(removals.allows_sweep(2, 0));
        assert!(!removals.allows_sweep(3, 1_000_000));
    }

    #[test]
    fn a_first_load_is_judged_by_what_it_has_brought() {
        let removals = Removals::new(RemovalBound::Default, None);
        removals.begins_empty();
        removals.inserted(1_000);
        assert_eq!(removals.take(3), Some(3));
    }
}
