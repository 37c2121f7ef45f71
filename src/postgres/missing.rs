//! `sync.walk_missing`: candidates of sweeps that no look-up has decided about, kept across walks. Those that two complete walks in a row
//! missed may go on a random sample.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::lease::Lease;
use crate::model::position::Slot;
use crate::model::table::Table;
use crate::model::walk::Walk;
use crate::postgres::bigint::to_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::load_lock;
use crate::postgres::sweep_sql::SweepStatements;
use crate::postgres::{boundary, leases, seen};

const DOING: &str = "keeping what complete walks missed";
const FORGETTING: &str = "forgetting what complete walks missed";

/// Writes down which candidates a complete walk missed, and takes out what is no candidate any more. Returns how many of them two walks
/// in a row missed. The lock against erasures keeps out the ids of persons who are being erased.
pub(crate) async fn note(
    connection: &mut PgConnection,
    table: &Table,
    lease: &Lease,
    walk: Walk,
) -> Result<u64, Error> {
    if is_nothing_missing(connection, table, walk).await? {
        return Ok(0);
    }
    let sql = SweepStatements::of(table);
    let mut transaction = connection.begin().await.doing(DOING)?;
    let now = load_lock::begin(&mut transaction).await?.now;
    sqlx::query!(
        "delete from sync.walk_missing as m
         where m.resource = $1
           and not exists (select from sync.walk_unseen as u where u.walk_id = $2 and u.id = m.id)",
        table.name,
        walk.id
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    sqlx::query(AssertSqlSafe(sql.missing.as_str()))
        .bind(walk.id)
        .bind(walk.opened_at)
        .bind(table.name)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    let again = sqlx::query_scalar!(
        r#"select count(*) as "again!" from sync.walk_missing
           where resource = $1 and walk_id = $2 and walks > 1 and not unclear"#,
        table.name,
        walk.id
    )
    .fetch_one(&mut *transaction)
    .await
    .doing(DOING)?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("missing", DOING, transaction.commit()).await?;
    Ok(to_count(again))
}

/// Whether neither this walk nor a former one missed anything, so that there is nothing to write.
async fn is_nothing_missing(connection: &mut PgConnection, table: &Table, walk: Walk) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"select not exists (select from sync.walk_missing where resource = $1)
             and not exists (select from sync.walk_unseen where walk_id = $2) as "nothing!""#,
        table.name,
        walk.id
    )
    .fetch_one(connection)
    .await
    .doing(DOING)
}

/// The next candidates that two walks in a row missed.
pub(crate) async fn again(
    connection: &mut PgConnection,
    table: &Table,
    walk: Walk,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, Error> {
    let sql = SweepStatements::of(table);
    seen::next_unprotected(connection, walk.id, after, |after| {
        sqlx::query_scalar(AssertSqlSafe(sql.missed_again.as_str()))
            .bind(walk.id)
            .bind(walk.opened_at)
            .bind(after)
            .bind(i64::from(limit))
            .bind(table.name)
    })
    .await
}

/// A random sample of the candidates that two walks in a row missed. Twice as many are drawn, since others may have protected some.
pub(crate) async fn sample(
    connection: &mut PgConnection,
    table: &Table,
    walk: Walk,
    size: u64,
) -> Result<Vec<String>, Error> {
    let sql = SweepStatements::of(table);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql.sample.as_str()))
        .bind(walk.id)
        .bind(walk.opened_at)
        .bind(i64::try_from(size.saturating_mul(2)).unwrap_or(i64::MAX))
        .bind(table.name)
        .fetch_all(&mut *connection)
        .await
        .doing(DOING)?;
    seen::keep_unprotected(connection, walk.id, &mut ids).await?;
    ids.truncate(size);
    Ok(ids)
}

/// Takes out ids that were removed or found, and marks those about which the answer was unclear.
pub(crate) async fn decide(
    connection: &mut PgConnection,
    table: &Table,
    decided: &[&str],
    unclear: &[&str],
) -> Result<(), Error> {
    if !decided.is_empty() {
        sqlx::query!(
            "delete from sync.walk_missing where resource = $1 and id = any ($2)",
            table.name,
            decided as &[&str]
        )
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    }
    if !unclear.is_empty() {
        sqlx::query!(
            "update sync.walk_missing set unclear = true where resource = $1 and id = any ($2)",
            table.name,
            unclear as &[&str]
        )
        .execute(connection)
        .await
        .doing(DOING)?;
    }
    Ok(())
}

/// Takes out the ids of erased persons, and returns their number.
pub(crate) async fn withdraw(connection: &mut PgConnection, ids: &[String]) -> Result<u64, Error> {
    let gone = sqlx::query!("delete from sync.walk_missing where id = any ($1)", ids)
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(gone.rows_affected())
}

/// Forgets what walks over another segment missed: it says nothing about this one.
pub(crate) async fn forget_of_another_segment(
    connection: &mut PgConnection,
    slot: Slot,
    segment: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "delete from sync.walk_missing as m
         where m.resource = $1 and exists (
           select from sync.cursors as c where c.resource = $1 and c.scope = $2 and c.segment <> $3
         )",
        slot.resource,
        slot.scope.as_str(),
        segment
    )
    .execute(connection)
    .await
    .doing(FORGETTING)?;
    Ok(())
}

/// Forgets what walks over a resource missed.
pub(crate) async fn forget_resource(connection: &mut PgConnection, resource: &str) -> Result<(), Error> {
    sqlx::query!("delete from sync.walk_missing where resource = $1", resource)
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(())
}

/// Forgets what all walks missed.
pub(crate) async fn forget_all(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("delete from sync.walk_missing")
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(())
}
