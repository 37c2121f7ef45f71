//! Divides a large table into parts by its ids, so that the ids that a walk saw fit into memory part by part.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::seen::{SAMPLED, bounds_of};
use crate::model::table::Table;
use crate::postgres::counts;
use crate::postgres::error::{Doing, Error};
use crate::postgres::sql::{quoted, relation};

/// The ids at which a table is divided into parts of about so many rows; none for a table that is one part.
pub(crate) async fn of(
    connection: &mut PgConnection,
    table: &Table,
    part_rows: u64,
) -> Result<Vec<String>, Error> {
    let rows = counts::rows_estimated(&mut *connection, table).await?;
    let parts = rows.div_ceil(part_rows);
    if parts < 2 {
        return Ok(Vec::new());
    }
    let sample = sample(connection, table, rows, parts * SAMPLED).await?;
    Ok(bounds_of(&sample, parts))
}

/// About so many ids of rows of a table, in order.
async fn sample(
    connection: &mut PgConnection,
    table: &Table,
    rows: u64,
    wanted: u64,
) -> Result<Vec<String>, Error> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a sample: roughly is enough"
    )]
    let percent = (wanted as f64 / rows as f64 * 100.0).min(100.0);
    let id = quoted(table.key[0]);
    let statement = format!(
        "select {id} from {} tablesample system ($1) order by {id}",
        relation(table)
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(percent)
        .fetch_all(connection)
        .await
        .doing("dividing a table into parts")
}
