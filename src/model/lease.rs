//! A lease: the right to write for a slot, and the holder of a lease that could not be acquired.

use uuid::Uuid;

use super::Time;
use super::position::Slot;

/// A held lease: proof that this process may write for a slot, until the fence moves on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The slot that it is for.
    pub slot: Slot,
    /// The number that every data transaction asserts.
    pub fence: i64,
    /// The run that was opened with it.
    pub run_id: Uuid,
}

/// The holder of a lease that could not be acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Host, process and a random part.
    pub name: String,
    /// Its run.
    pub run_id: Option<Uuid>,
    /// The end of the lease without a renewal, by the database's clock.
    pub expires_at: Time,
    /// The database's clock now.
    pub now: Time,
}

/// The result of acquiring a lease.
#[derive(Debug)]
pub enum Acquired {
    /// The lease was acquired, and a run is open.
    Lease(Lease),
    /// Another process holds it.
    Held(Holder),
}
