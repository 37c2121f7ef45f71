//! The port to the database: what keeps the state of runs, and what loads, sweeps and counts. `postgres` implements it.

use std::future::Future;

use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::{Advance, Batch, Fingerprint, Known, Landmark, Span, Written};
use crate::model::cursor::Cursor;
use crate::model::event::{EventIdentity, Rename};
use crate::model::fault::Outcome;
use crate::model::lease::{Acquired, Lease};
use crate::model::ledger::{Counts, Ledger};
use crate::model::position::Slot;
use crate::model::table::Table;
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};

/// Loading into the database.
pub trait Store: Clone + Send + Sync + 'static {
    /// A connection with its staging.
    type Loader: Loader;

    /// The database's clock (`sync.clock()`).
    fn now(&self) -> impl Future<Output = Outcome<Time>> + Send;
    /// Asks for the lease of a slot and opens a run with it.
    fn acquire(&self, slot: Slot) -> impl Future<Output = Outcome<Acquired>> + Send;
    /// Holds it for another time to live; [`crate::model::fault::Kind::Fenced`] when it went to somebody else.
    fn renew(&self, lease: &Lease) -> impl Future<Output = Outcome<()>> + Send;
    /// Writes the counts so far into the open run, for those who look on.
    fn progress(&self, lease: &Lease, counts: &Counts) -> impl Future<Output = Outcome<()>> + Send;
    /// Closes the run and gives the lease back.
    fn close(&self, lease: &Lease, ledger: &Ledger) -> impl Future<Output = Outcome<()>> + Send;

    /// The cursor of a slot.
    fn cursor(&self, slot: Slot) -> impl Future<Output = Outcome<Cursor>> + Send;
    /// Moves the cursor without a batch (a walk that opens, or closes after its sweep). Asserts the lease.
    fn advance(&self, lease: &Lease, advance: &Advance) -> impl Future<Output = Outcome<()>> + Send;
    /// A loading connection for one table. `walk` is the walk whose seen ids it records.
    fn loader(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Option<Walk>,
    ) -> impl Future<Output = Outcome<Self::Loader>> + Send;

    /// Rows of `sync.walk_seen` of a walk: `(all, read by the walk itself)`. An id may have more than one.
    fn seen(&self, walk_id: Uuid) -> impl Future<Output = Outcome<(u64, u64)>> + Send;
    /// Whether the table has no row.
    fn is_empty(&self, table: &'static Table) -> impl Future<Output = Outcome<bool>> + Send;
    /// How many different ids the walk itself read.
    fn distinct(&self, walk_id: Uuid) -> impl Future<Output = Outcome<u64>> + Send;
    /// At most so many ids that the walk itself read: things that the tenant had a while ago.
    fn witnesses(&self, walk_id: Uuid, limit: u32) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Forgets the seen ids of a walk.
    fn forget(&self, lease: &Lease, walk_id: Uuid) -> impl Future<Output = Outcome<()>> + Send;
    /// How many rows of the table a sweep of this walk would remove.
    fn candidates(
        &self,
        table: &'static Table,
        walk: Walk,
    ) -> impl Future<Output = Outcome<Candidates>> + Send;
    /// The ids of candidates after `after`, in order, at most `limit`.
    fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Remembers up to which id a sweep has asked; none when it asked for all. Asserts the lease.
    fn remember_asked(
        &self,
        lease: &Lease,
        through: Option<&str>,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Removes rows by verdict (with tombstones and aliases where the table has them), unless they were loaded
    /// meanwhile; `Missed` ids are marked as seen. Asserts the lease. Gives back the number of rows removed.
    fn remove(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
        verdicts: &[(String, Verdict)],
    ) -> impl Future<Output = Outcome<u64>> + Send;
    /// Builds what a first full load does without (the index of `segment_ids`) and refreshes the planner's statistics.
    /// Gives a sentence for each that somebody's transaction keeps from being done.
    fn after_full_walk(&self, table: &'static Table) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Makes up for what [`Store::after_full_walk`] put off; costs one look where there is nothing.
    fn make_up(&self, table: &'static Table) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// How many rows the table has, counted.
    fn rows(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many rows the table has, as the planner believes: at no cost, and counted where it believes nothing yet.
    fn rows_estimated(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many ids were erased and are kept out.
    fn erased(&self) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many profiles each segment has in the tables, by segment id; segments without any are left out.
    fn memberships(&self) -> impl Future<Output = Outcome<Vec<(String, u64)>>> + Send;
    /// The open gaps of a resource.
    fn open_gaps(&self, resource: &'static str) -> impl Future<Output = Outcome<Vec<Span>>> + Send;
    /// What is stored of audit events up to a date, and what is in doubt.
    fn landmark(&self, up_to: Time) -> impl Future<Output = Outcome<Landmark>> + Send;
    /// The values of audit events that the tenant renamed, in the order in which that was noticed.
    fn renames(&self) -> impl Future<Output = Outcome<Vec<Rename>>> + Send;
}

/// One connection with its staging.
pub trait Loader: Send + 'static {
    /// What the table knows of each, in the order asked.
    fn known(&mut self, prints: &[Fingerprint]) -> impl Future<Output = Outcome<Vec<Known>>> + Send;
    /// The stored events at the dates at which both are: one of these that is not stored, and a stored one that is not
    /// among these.
    fn alike(&mut self, events: &[EventIdentity])
    -> impl Future<Output = Outcome<Vec<EventIdentity>>> + Send;
    /// Records values that the tenant renamed. Asserts the lease.
    fn record_renames(&mut self, renames: &[Rename]) -> impl Future<Output = Outcome<()>> + Send;
    /// Stages and merges a batch, and with it moves the cursor, in one transaction that asserts the lease last.
    fn load(
        &mut self,
        batch: Batch,
        advance: Option<Advance>,
    ) -> impl Future<Output = Outcome<Written>> + Send;
}
