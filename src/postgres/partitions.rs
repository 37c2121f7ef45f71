//! Monthly partitions, ahead of time and for every month of a batch. Made in transactions of their own, before the
//! one that needs them.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::Time;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;

/// Makes this month's partition and the next two.
pub(crate) async fn ahead(connection: &mut PgConnection, table: &str) -> Result<(), Error> {
    let make = sqlx::query!(
        "select sync.make_month_partitions($1, sync.clock(), sync.clock() + interval '2 months')",
        table
    )
    .fetch_one(connection);
    boundary::cross("partitions/ahead", "making partitions ahead", make).await?;
    Ok(())
}

/// Makes a partition for every month that is staged.
pub(crate) async fn for_staged(
    connection: &mut PgConnection,
    table: &str,
    sql: &Statements,
) -> Result<(), Error> {
    let Some(months) = &sql.staged_months else {
        return Ok(());
    };
    let months: Vec<Time> = sqlx::query_scalar(AssertSqlSafe(months.as_str()))
        .fetch_all(&mut *connection)
        .await
        .doing("looking for the months of a batch")?;
    for month in months {
        let make = sqlx::query!("select sync.make_month_partitions($1, $2, $2)", table, month)
            .fetch_one(&mut *connection);
        boundary::cross("partitions/staged", "making partitions", make).await?;
    }
    Ok(())
}
