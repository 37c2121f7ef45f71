//! The typed columns of profile properties, by the port [`ColumnStore`].

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::ColumnStore;
use crate::model::property_columns::{Brought, FillRange, PropertyColumns, WantedColumns};
use crate::model::rows::Rows;
use crate::postgres::columns;

use super::PostgresStore;

impl ColumnStore for PostgresStore {
    async fn bring_columns(&self, wanted: &WantedColumns) -> Outcome<Brought> {
        self.watch("bringing the typed columns in line", async |session| {
            columns::bring(session, wanted).await
        })
        .await
    }

    async fn range_to_fill(&self, columns: &PropertyColumns) -> Outcome<Option<FillRange>> {
        self.watch("reading profiles to fill typed columns", async |session| {
            columns::fill::next(session, columns).await
        })
        .await
    }

    async fn fill_columns(
        &self,
        lease: &Lease,
        columns: &PropertyColumns,
        range: &FillRange,
        rows: &Rows,
    ) -> Outcome<()> {
        self.watch("filling typed columns", async |session| {
            columns::fill::write(session, lease, columns, range, rows).await
        })
        .await
    }
}
