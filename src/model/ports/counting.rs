//! The port that counts rows.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::table::Table;

/// Counts what the tables hold.
pub trait CountStore: Send + Sync + 'static {
    /// Whether the table has no row.
    fn is_empty(&self, table: &'static Table) -> impl Future<Output = Outcome<bool>> + Send;
    /// How many rows the table has, counted.
    fn rows(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many rows the table has, as the planner believes: at no cost, and counted where it believes nothing yet.
    fn rows_estimated(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many ids were erased and are kept out.
    fn erased(&self) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many profiles each segment has in the tables, by segment id; segments without any are left out.
    fn memberships(&self) -> impl Future<Output = Outcome<Vec<(String, u64)>>> + Send;
}
