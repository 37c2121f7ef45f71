//! The port that counts and lists rows.

use std::future::Future;

use crate::model::batch::Fingerprint;
use crate::model::fault::Outcome;
use crate::model::table::Table;

/// Counts and lists rows of the tables.
pub trait CountStore: Send + Sync + 'static {
    /// Whether the table has no row.
    fn is_empty(&self, table: &'static Table) -> impl Future<Output = Outcome<bool>> + Send;
    /// Counts the rows of the table.
    fn rows(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// The planner's estimate of the table's rows, which costs nothing; counted if there is no estimate yet.
    fn rows_estimated(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// The ids of all rows of a small table, in order.
    fn ids(&self, table: &'static Table) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// The profiles after the id `after` of which `table` has no row with their current hash, at most `limit`, in order.
    fn changed_profiles(
        &self,
        table: &'static Table,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Outcome<Vec<Fingerprint>>> + Send;
    /// How many such profiles there are in all.
    fn count_changed_profiles(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// The number of erased ids, which are kept out.
    fn erased(&self) -> impl Future<Output = Outcome<u64>> + Send;
    /// The number of profiles in the tables by segment id; segments without profiles are left out.
    fn memberships(&self) -> impl Future<Output = Outcome<Vec<(String, u64)>>> + Send;
}
