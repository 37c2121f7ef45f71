//! A walk as the store knows it, and the candidates of its sweep.

use uuid::Uuid;

use super::Time;

/// A walk as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Its id in `sync.walk_seen`.
    pub id: Uuid,
    /// The database's time when it began.
    pub opened_at: Time,
    /// For a full walk, the increment's watermark at its start: changes with an earlier date are late. None: no row counts as
    /// late.
    pub passed: Option<Time>,
}

/// The candidates of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Rows of the table; not counted if there is no candidate.
    pub stored: u64,
    /// Rows that the walk did not see and that were not loaded since its start.
    pub unseen: u64,
}
