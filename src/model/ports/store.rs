//! All of the database that the engine needs, as one bound.

use super::columns::ColumnStore;
use super::counting::CountStore;
use super::loading::LoadStore;
use super::running::RunStore;
use super::sweeping::SweepStore;

/// A database: keeps the state of runs, loads, sweeps and counts.
pub trait Store: RunStore + LoadStore + SweepStore + CountStore + ColumnStore + Clone {}

impl<T: RunStore + LoadStore + SweepStore + CountStore + ColumnStore + Clone> Store for T {}
