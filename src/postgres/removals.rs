//! Whether what a batch removes by merges may go: asked within its transaction, when it is known which of the losers were
//! really there, and before anything is committed.

use sqlx::PgConnection;

use crate::model::batch::{Batch, Written};
use crate::postgres::bigint::{from_count, to_count};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::HAS_ROWS;

/// Takes what a batch removed from what its run may remove, and gives how much that was; nothing of the batch may be
/// committed if it is refused.
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

/// Whether so many profiles are there; no more of them are counted.
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
