//! The port to the state of runs: leases, rows of `sync.runs`, cursors, gaps, and renamed values.

use std::future::Future;

use crate::model::Time;
use crate::model::batch::{Advance, ScanEvidence, TimeRange};
use crate::model::cursor::{Cursor, Standing};
use crate::model::event::Rename;
use crate::model::fault::Outcome;
use crate::model::lease::{Acquired, Lease};
use crate::model::ledger::{Counts, Ledger};
use crate::model::position::Slot;

/// Keeps the state of runs.
pub trait RunStore: Send + Sync + 'static {
    /// The database's clock (`sync.clock()`).
    fn now(&self) -> impl Future<Output = Outcome<Time>> + Send;
    /// Acquires the lease of a slot and opens a run with it.
    fn acquire(&self, slot: Slot) -> impl Future<Output = Outcome<Acquired>> + Send;
    /// Renews the lease for another time to live; [`crate::model::fault::Kind::Fenced`] if another process has it.
    fn renew(&self, lease: &Lease) -> impl Future<Output = Outcome<()>> + Send;
    /// Writes the current counts into the open run.
    fn progress(&self, lease: &Lease, counts: &Counts) -> impl Future<Output = Outcome<()>> + Send;
    /// Closes the run and releases the lease.
    fn close(&self, lease: &Lease, ledger: &Ledger) -> impl Future<Output = Outcome<()>> + Send;
    /// The cursor of a slot.
    fn cursor(&self, slot: Slot) -> impl Future<Output = Outcome<Cursor>> + Send;
    /// Both cursors of a resource and the database's clock, by one query.
    fn standing(&self, resource: &'static str) -> impl Future<Output = Outcome<Standing>> + Send;
    /// Moves the cursor without a batch (a walk that opens, or closes after its sweep). Asserts the lease.
    fn advance(&self, lease: &Lease, advance: &Advance) -> impl Future<Output = Outcome<()>> + Send;
    /// Goes on with a lease after [`crate::model::fault::Kind::CommitsLost`]: the server may have lost commits of the run, and every
    /// write for the lease fails. What is stored now is the state from which the run goes on.
    /// [`crate::model::fault::Kind::Fenced`] if another process has the lease.
    fn regain(&self, lease: &Lease) -> impl Future<Output = Outcome<()>> + Send;
    /// The open gaps of a resource.
    fn open_gaps(&self, resource: &'static str) -> impl Future<Output = Outcome<Vec<TimeRange>>> + Send;
    /// The stored facts about audit events up to a date, and the open doubt.
    fn scan_evidence(&self, up_to: Time) -> impl Future<Output = Outcome<ScanEvidence>> + Send;
    /// The values of audit events that the tenant renamed, in the order of their discovery.
    fn renames(&self) -> impl Future<Output = Outcome<Vec<Rename>>> + Send;
}
