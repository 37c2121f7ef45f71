//! A walk as the store knows it, and the candidates of its sweep.

use uuid::Uuid;

use super::Time;

/// A walk as the store has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Its name in `sync.walk_seen`.
    pub id: Uuid,
    /// The database's time when it began.
    pub opened_at: Time,
    /// The increment's watermark when a full walk began: changes that the walk finds and that are dated before it are
    /// late. None: no row counts as late.
    pub passed: Option<Time>,
}

/// What may be removed by a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Rows of the table; not counted when there is no candidate.
    pub stored: u64,
    /// Rows that the walk did not see and that were not loaded since it began.
    pub unseen: u64,
}
