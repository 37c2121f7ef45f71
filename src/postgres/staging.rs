//! The staging table of a loading connection: `pg_temp`, so that it needs no WAL and nobody else sees it. Made once
//! for each connection and table; filled outside the data transaction, emptied after it.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::rows::Rows;
use crate::postgres::copy;
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;

/// Makes the staging table, or empties the one that an earlier loader on this connection left.
pub(crate) async fn prepare(connection: &mut PgConnection, sql: &Statements) -> Result<(), Error> {
    const DOING: &str = "making the staging table";
    let exists = sqlx::query_scalar::<_, bool>("select to_regclass($1) is not null")
        .bind(&sql.staging_name)
        .fetch_one(&mut *connection)
        .await
        .doing(DOING)?;
    if exists {
        return empty(connection, sql).await;
    }
    sqlx::query(AssertSqlSafe(sql.create_staging.as_str()))
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}

/// Copies the rows into staging.
pub(crate) async fn fill(connection: &mut PgConnection, sql: &Statements, rows: &Rows) -> Result<u64, Error> {
    copy::send(connection, &sql.copy, rows)
        .await
        .doing("copying rows into staging")
}

/// Empties staging. Truncating gives the space back, where deleting would let the table grow: autovacuum does not
/// come to temporary tables.
pub(crate) async fn empty(connection: &mut PgConnection, sql: &Statements) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(sql.empty_staging.as_str()))
        .execute(connection)
        .await
        .doing("emptying staging")?;
    Ok(())
}
