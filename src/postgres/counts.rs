//! Counts rows: exactly for `--verify`, roughly for the guards of a run.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::model::table::Table;
use crate::postgres::bigint::to_count;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge;

/// All rows of a table, counted.
pub(crate) async fn rows(connection: &mut PgConnection, table: &Table) -> Result<u64, Error> {
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(merge::count_of(table)))
        .fetch_one(connection)
        .await
        .doing("counting rows")?;
    Ok(to_count(count))
}

/// Whether a table has no row.
pub(crate) async fn is_empty(pool: &PgPool, table: &Table) -> Result<bool, Error> {
    sqlx::query_scalar(AssertSqlSafe(merge::emptiness_of(table)))
        .fetch_one(pool)
        .await
        .doing("looking for rows")
}

/// The ids of all rows of a table, in order.
pub(crate) async fn ids(pool: &PgPool, table: &Table) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(AssertSqlSafe(merge::ids_of(table)))
        .fetch_all(pool)
        .await
        .doing("reading ids")
}

/// The planner's estimate. A table without statistics is small or new, and is counted.
pub(crate) async fn rows_estimated(connection: &mut PgConnection, table: &Table) -> Result<u64, Error> {
    let believed = sqlx::query_scalar!(
        r#"select c.reltuples::bigint as "rows!" from pg_class as c
           where c.oid = to_regclass('blueconic.' || quote_ident($1))"#,
        table.name
    )
    .fetch_optional(&mut *connection)
    .await
    .doing("estimating rows")?;
    match believed {
        // The coordinator's own table is empty: its nodes count fast, and together.
        _ if table.name == "profiles" && distributed::is(connection).await? => rows(connection, table).await,
        Some(known @ 0..) => Ok(to_count(known)),
        _ => rows(connection, table).await,
    }
}

/// The members of each segment, in one pass over the table.
pub(crate) async fn memberships(connection: &mut PgConnection) -> Result<Vec<(String, u64)>, Error> {
    let rows = sqlx::query!(
        r#"select member.segment_id as "segment_id!", count(*) as "members!"
           from blueconic.profiles as p
           cross join lateral unnest(p.segment_ids) as member (segment_id)
           group by member.segment_id"#
    )
    .fetch_all(connection)
    .await
    .doing("counting the members of segments")?;
    Ok(rows
        .into_iter()
        .map(|row| (row.segment_id, to_count(row.members)))
        .collect())
}

/// Ids that were erased.
pub(crate) async fn erased(pool: &PgPool) -> Result<u64, Error> {
    let erased = sqlx::query_scalar!(r#"select count(*) as "erased!" from sync.erasures"#)
        .fetch_one(pool)
        .await
        .doing("counting erasures")?;
    Ok(to_count(erased))
}
