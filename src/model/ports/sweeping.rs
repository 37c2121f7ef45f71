//! The port that sweeps: the ids that a walk saw, the rows that it did not see, and their removal.

use std::future::Future;

use uuid::Uuid;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::seen::IdHasher;
use crate::model::table::Table;
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};

/// Removes what a complete walk no longer saw.
pub trait SweepStore: Send + Sync + 'static {
    /// The ids at which a table is divided into parts of about so many rows, so that a sweep takes the same memory however
    /// large the table is. Empty for a table that is no larger than one part.
    fn divide(
        &self,
        table: &'static Table,
        part_rows: u64,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// How many different ids the walk itself read.
    fn distinct(&self, walk: &IdHasher) -> impl Future<Output = Outcome<u64>> + Send;
    /// At most so many ids that the walk itself read: things that the tenant had a while ago.
    fn witnesses(&self, walk_id: Uuid, limit: u32) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Forgets the seen ids of a walk.
    fn forget(&self, lease: &Lease, walk_id: Uuid) -> impl Future<Output = Outcome<()>> + Send;
    /// How many rows of the table a sweep of this walk would remove. They are stored for the steps of the sweep.
    fn candidates(
        &self,
        table: &'static Table,
        walk: Walk,
        seen: &IdHasher,
    ) -> impl Future<Output = Outcome<Candidates>> + Send;
    /// Removes the history of merged rows whose survivors this complete walk has not brought. Asserts the lease.
    fn forget_waiting(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// The ids of candidates after `after`, in order, at most `limit`.
    fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Writes down which candidates this complete walk missed, beside what complete walks before it missed. Returns how many of them at
    /// least two walks in a row missed, so that a sample may decide about them. Asserts the lease.
    fn note_missing(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
    ) -> impl Future<Output = Outcome<u64>> + Send;
    /// Of the candidates that two walks in a row missed: those after `after`, in order, at most `limit`.
    fn missed_again(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Of the candidates that two walks in a row missed: a random sample of `size`, in random order; fewer if there are not as many.
    fn sample(
        &self,
        table: &'static Table,
        walk: Walk,
        size: u64,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Stores the id up to which a sweep has looked up candidates; none if it looked up all. Asserts the lease.
    fn remember_asked(
        &self,
        lease: &Lease,
        through: Option<&str>,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Removes rows by verdict (with tombstones and aliases if the table has them), unless they were loaded meanwhile. `Missed`
    /// ids are marked as seen. Asserts the lease. Returns the number of removed rows.
    fn remove(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
        verdicts: &[(String, Verdict)],
    ) -> impl Future<Output = Outcome<u64>> + Send;
}
