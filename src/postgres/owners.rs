//! The profiles to which rows of other tables belong, for [`Merge::OfProfile`].
//!
//! [`Merge::OfProfile`]: crate::model::table::Merge::OfProfile

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::batch::{Batch, Fingerprint};
use crate::model::table::Table;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leaving;
use crate::postgres::merge::Statements;
use crate::postgres::sql::{key, relation};

const HOLDING: &str = "looking for the profiles of rows";
const CHANGED: &str = "looking for profiles that have changed";

/// Locks the profiles to which the staged rows of a batch belong, in the order of all locks, so that none of them leaves before the
/// commit. Rows of a profile that is not stored leave the staging tables.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    sql: &Statements,
    batch: &Batch,
    is_apart: bool,
) -> Result<(), Error> {
    let ids: Vec<&str> = batch.rows.ids().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let statement = if is_apart {
        distributed::HOLD
    } else {
        "select id from blueconic.profiles where id = any ($1) order by id for key share"
    };
    let held: Vec<String> = sqlx::query_scalar(statement)
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await
        .doing(HOLDING)?;
    let held: HashSet<&str> = held.iter().map(String::as_str).collect();
    let gone: Vec<&str> = ids.into_iter().filter(|id| !held.contains(id)).collect();
    leaving::delete(connection, &sql.unstage, &gone, HOLDING).await?;
    Ok(())
}

/// The profiles after the id `after` of which `table` has no row with their current hash, at most `limit`, in order.
pub(crate) async fn changed(
    connection: &mut PgConnection,
    table: &Table,
    after: &str,
    limit: u32,
) -> Result<Vec<Fingerprint>, Error> {
    let statement = format!(
        "select p.id, p.source_hash {} and p.id > $1 order by p.id limit $2",
        changed_ones(table)
    );
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .doing(CHANGED)?;
    let rows = rows.into_iter();
    Ok(rows
        .filter_map(|(id, hash)| {
            let source = hash.try_into().ok()?;
            Some(Fingerprint { id, source })
        })
        .collect())
}

/// How many profiles [`changed`] finds in all.
pub(crate) async fn count_changed(connection: &mut PgConnection, table: &Table) -> Result<i64, Error> {
    let statement = format!("select count(*) {}", changed_ones(table));
    sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await
        .doing(CHANGED)
}

/// Both tables are read by their keys alone, which include the hashes.
fn changed_ones(table: &Table) -> String {
    format!(
        "from blueconic.profiles as p
         left join {relation} as own on own.{key} = p.id
         where own.source_hash is distinct from p.source_hash and length(p.source_hash) = 16",
        relation = relation(table),
        key = key(table),
    )
}
