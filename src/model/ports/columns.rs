//! The port to the typed columns of profile properties.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::property_columns::{Brought, FillRange, PropertyColumns, WantedColumns};
use crate::model::rows::Rows;

/// Keeps the typed columns in line with the stored catalogue of properties.
pub trait ColumnStore: Send + Sync + 'static {
    /// Brings tables and views in line with the stored catalogue, or switches them off. Loads by another version of the columns fail from
    /// then on with [`crate::model::fault::Kind::ColumnsChanged`].
    fn bring_columns(&self, wanted: &WantedColumns) -> impl Future<Output = Outcome<Brought>> + Send;
    /// The next profiles that were stored before these columns were there; none: there are none left.
    fn range_to_fill(
        &self,
        columns: &PropertyColumns,
    ) -> impl Future<Output = Outcome<Option<FillRange>>> + Send;
    /// Writes the columns of such profiles: what stands beside `rows`. A profile that a load has changed meanwhile stays as it is. Asserts
    /// the lease.
    fn fill_columns(
        &self,
        lease: &Lease,
        columns: &PropertyColumns,
        range: &FillRange,
        rows: &Rows,
    ) -> impl Future<Output = Outcome<()>> + Send;
}
