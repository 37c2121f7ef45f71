//! The port that loads: connections with their staging, and the upkeep of a table after a full walk.

use std::future::Future;

use crate::model::batch::{Advance, Batch, Fingerprint, Known, Written};
use crate::model::event::{EventIdentity, Rename};
use crate::model::fault::Outcome;
use crate::model::known_set::KnownRows;
use crate::model::lease::Lease;
use crate::model::table::Table;
use crate::model::walk::Walk;

/// Loads into the database.
pub trait LoadStore: Send + Sync + 'static {
    /// A loading connection.
    type Loader: Loader;

    /// A loading connection for one table. `walk` is the walk whose seen ids it records.
    fn loader(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Option<Walk>,
    ) -> impl Future<Output = Outcome<Self::Loader>> + Send;
    /// The factor by which batches of profiles should be larger than usual, at least 1. Where profiles are distributed, each
    /// transaction costs statements on every node, whatever it loads.
    fn batch_factor(&self) -> impl Future<Output = Outcome<usize>> + Send;
    /// Announces [`LoadStore::read_known`]: from now on the loaders of this full walk note which profiles they meet.
    fn expect_known(&self, walk: Walk);
    /// Reads the hashes of stored profiles, about `rows`, into memory, as many as fit into `bytes`. The loaders of this full walk,
    /// open already or not, then compare elements with them ([`Loader::same_in_memory`]). They are held until [`LoadStore::forget_known`].
    fn read_known(
        &self,
        walk: Walk,
        rows: u64,
        bytes: usize,
    ) -> impl Future<Output = Outcome<KnownRows>> + Send;
    /// Whether the loaders of this full walk have certainly met every stored profile, so that a sweep would find no candidate. False: not
    /// known.
    fn all_known_met(&self, walk: Walk) -> bool;
    /// Frees what [`LoadStore::read_known`] holds for this walk.
    fn forget_known(&self, walk: Walk);
    /// Builds the index of `segment_ids`, which a first full load leaves out, and refreshes the planner's statistics.
    /// `loaded`: the profiles that the walk brought into an empty table; none if the table had rows. Returns a sentence for each
    /// step that another transaction blocked.
    fn after_full_walk(
        &self,
        table: &'static Table,
        loaded: Option<u64>,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Repeats steps that [`LoadStore::after_full_walk`] postponed; costs one query if there are none.
    fn retry_upkeep(&self, table: &'static Table) -> impl Future<Output = Outcome<Vec<String>>> + Send;
}

/// A connection with its staging tables.
pub trait Loader: Send + 'static {
    /// Whether each element is certainly stored unchanged, by the hashes in memory ([`LoadStore::read_known`]); false: not known. None
    /// if there are no hashes, so that [`Loader::known`] has to be asked.
    fn same_in_memory(
        &mut self,
        prints: &[Fingerprint],
    ) -> impl Future<Output = Outcome<Option<Vec<bool>>>> + Send;
    /// Compares each element with the table; returns the answers in the same order.
    fn known(&mut self, prints: &[Fingerprint]) -> impl Future<Output = Outcome<Vec<Known>>> + Send;
    /// The stored events at dates with differences: one of `events` is not stored, and a stored event is not among
    /// `events`.
    fn similar_events(
        &mut self,
        events: &[EventIdentity],
    ) -> impl Future<Output = Outcome<Vec<EventIdentity>>> + Send;
    /// Records values that the tenant renamed. Asserts the lease.
    fn record_renames(&mut self, renames: &[Rename]) -> impl Future<Output = Outcome<()>> + Send;
    /// Stages and merges a batch, and with it moves the cursor, in one transaction that asserts the lease last.
    fn load(
        &mut self,
        batch: Batch,
        advance: Option<Advance>,
    ) -> impl Future<Output = Outcome<Written>> + Send;
}
