//! A lease: who may write for a slot, and who has it when it could not be had.

use uuid::Uuid;

use super::Time;
use super::position::Slot;

/// A held lease: proof that this process may write for a slot, until the fence moves on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub slot: Slot,
    /// The number that every data transaction asserts.
    pub fence: i64,
    /// The run that was opened with it.
    pub run_id: Uuid,
}

/// Who has a lease that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Host, process and a random part.
    pub name: String,
    /// Its run.
    pub run_id: Option<Uuid>,
    /// Until when it holds without renewing, by the database's clock.
    pub expires_at: Time,
    /// The database's clock now.
    pub now: Time,
}

/// What asking for a lease gives.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours, and a run is open.
    Lease(Lease),
    /// Somebody has it.
    Held(Holder),
}
