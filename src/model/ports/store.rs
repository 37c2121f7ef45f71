//! All of the database that the engine needs, as one bound.

use super::columns::ColumnStore;
use super::counting::CountStore;
use super::daily_facts::FactStore;
use super::histories::HistoryStore;
use super::loading::LoadStore;
use super::personal_data::PersonalDataStore;
use super::running::RunStore;
use super::sweeping::SweepStore;

/// A database: keeps the state of runs, loads, sweeps and counts.
pub trait Store:
    RunStore
    + LoadStore
    + SweepStore
    + CountStore
    + ColumnStore
    + HistoryStore
    + FactStore
    + PersonalDataStore
    + Clone
{
}

impl<T> Store for T where
    T: RunStore
        + LoadStore
        + SweepStore
        + CountStore
        + ColumnStore
        + HistoryStore
        + FactStore
        + PersonalDataStore
        + Clone
{
}
