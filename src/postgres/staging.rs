//! The staging table of a loading connection, in `pg_temp`: no WAL, and invisible to others. Created once per
//! connection and table, filled outside the data transaction, emptied after it.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::rows::Rows;
use crate::postgres::copy;
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;

/// Creates the staging tables, or empties those of an earlier loader on this connection.
pub(crate) async fn prepare(connection: &mut PgConnection, sql: &Statements) -> Result<(), Error> {
    for one in sql.and_children() {
        prepare_one(connection, &one.staging_name, &one.create_staging).await?;
    }
    Ok(())
}

/// Creates a staging table by its name, or empties it.
pub(crate) async fn prepare_one(
    connection: &mut PgConnection,
    name: &str,
    create: &str,
) -> Result<(), Error> {
    const DOING: &str = "making the staging table";
    let exists = sqlx::query_scalar::<_, bool>("select to_regclass($1) is not null")
        .bind(name)
        .fetch_one(&mut *connection)
        .await
        .doing(DOING)?;
    if exists {
        return run(connection, &format!("truncate {name}")).await;
    }
    sqlx::query(AssertSqlSafe(create))
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}

/// Copies the rows into staging.
pub(crate) async fn fill(connection: &mut PgConnection, sql: &Statements, rows: &Rows) -> Result<u64, Error> {
    let sent = if sql.asked {
        copy::send_with_times(connection, &sql.copy, rows.tuples_asked(), None).await
    } else {
        copy::send(connection, &sql.copy, rows.tuples()).await
    };
    sent.doing("copying rows into staging")
}

/// The most deleted rows of a staging table before it is truncated.
const MOST_DELETED_ROWS: usize = 5_000;

/// Empties the staging tables. `truncate` frees their space, while after `delete` they would grow, since autovacuum skips
/// temporary tables.
pub(crate) async fn empty(connection: &mut PgConnection, sql: &Statements) -> Result<(), Error> {
    for one in sql.and_children() {
        run(connection, &one.empty_staging).await?;
    }
    Ok(())
}

/// Deletes the rows of a small batch, which costs less than the new file of a `truncate`. `deleted_rows` counts the deleted rows
/// since the last `truncate`.
pub(crate) async fn clear(
    connection: &mut PgConnection,
    sql: &Statements,
    rows: usize,
    deleted_rows: &mut usize,
) -> Result<(), Error> {
    *deleted_rows += rows;
    if *deleted_rows > MOST_DELETED_ROWS {
        *deleted_rows = 0;
        return empty(connection, sql).await;
    }
    for one in sql.and_children() {
        run(connection, &one.clear_staging).await?;
    }
    Ok(())
}

/// Runs a statement over staging tables.
pub(crate) async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), Error> {
    sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .doing("emptying staging")?;
    Ok(())
}
