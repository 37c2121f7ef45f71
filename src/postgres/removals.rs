//! Checks the removals by merges in a batch: within its transaction, when the number of removed rows is known, before
//! the commit.

use sqlx::PgConnection;

use crate::model::batch::{Batch, Written};
use crate::postgres::bigint::{from_count, to_count};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::HAS_ROWS;

/// Deducts a batch's removals from the run's bound and returns their number. After an error nothing of the batch may be
/// committed.
pub(crate) async fn take(
    connection: &mut PgConnection,
    batch: &Batch,
    written: Written,
) -> Result<u64, Error> {
    let Some(removals) = &batch.removals else {
        return Ok(0);
    };
    let rows = written.removed;
    if rows > 0 {
        let allowed = match removals.take(rows) {
            Some(needed) => has_rows(connection, needed).await,
            None => Ok(false),
        };
        if !matches!(allowed, Ok(true)) {
            removals.give_back(rows);
            allowed?;
            removals.refuse(rows);
            return Err(Error::TooManyRemovals { rows });
        }
    }
    removals.inserted(written.inserted);
    Ok(rows)
}

/// Whether the table has at least `rows` profiles; counts no further.
async fn has_rows(connection: &mut PgConnection, rows: u64) -> Result<bool, Error> {
    if rows == 0 {
        return Ok(true);
    }
    let found: i64 = sqlx::query_scalar(HAS_ROWS)
        .bind(from_count(rows))
        .fetch_one(connection)
        .await
        .doing("counting profiles before some of them are removed")?;
    Ok(to_count(found) >= rows)
}
