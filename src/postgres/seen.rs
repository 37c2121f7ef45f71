//! `sync.walk_seen`: which ids the sweep of an open full walk must leave alone. The hot path of an unchanged walk, so
//! ids go as one array, and the table is unlogged.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::model::batch::Batch;
use crate::model::ports::Lease;
use crate::model::position::Slot;
use crate::postgres::bigint::to_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, leases};

/// The ids of a batch, in order and once each, so that two transactions lock them in one order.
pub(crate) fn ordered(batch: &Batch) -> Vec<&str> {
    let mut ids: Vec<&str> = batch
        .seen
        .iter()
        .map(String::as_str)
        .filter(|id| !id.is_empty())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Records what the walk itself read, and says how many of the ids it had not read before.
pub(crate) async fn read_by(
    connection: &mut PgConnection,
    walk_id: Uuid,
    ids: &[&str],
) -> Result<u64, Error> {
    let written = sqlx::query!(
        "insert into sync.walk_seen as stored (walk_id, id, read)
         select $1, id, true from unnest($2::text[]) as id
         on conflict (walk_id, id) do update set read = true where not stored.read",
        walk_id,
        ids as &[&str]
    )
    .execute(connection)
    .await
    .doing("recording the ids that were read")?;
    Ok(written.rows_affected())
}

/// Protects ids from the sweep of another walk that is open.
pub(crate) async fn protect(connection: &mut PgConnection, walk_id: Uuid, ids: &[&str]) -> Result<(), Error> {
    sqlx::query!(
        "insert into sync.walk_seen (walk_id, id, read)
         select $1, id, false from unnest($2::text[]) as id
         on conflict (walk_id, id) do nothing",
        walk_id,
        ids as &[&str]
    )
    .execute(connection)
    .await
    .doing("protecting ids from an open walk's sweep")?;
    Ok(())
}

/// Rows of a walk: all, and those that it read itself.
pub(crate) async fn count(pool: &PgPool, walk_id: Uuid) -> Result<(u64, u64), Error> {
    let row = sqlx::query!(
        r#"select count(*) as "seen!", count(*) filter (where read) as "read!"
           from sync.walk_seen where walk_id = $1"#,
        walk_id
    )
    .fetch_one(pool)
    .await
    .doing("counting the ids that a walk saw")?;
    Ok((to_count(row.seen), to_count(row.read)))
}

/// Forgets the walk that a cursor names, unless it is this one.
pub(crate) async fn forget_former(
    connection: &mut PgConnection,
    slot: Slot,
    walk_id: Option<Uuid>,
) -> Result<(), Error> {
    sqlx::query!(
        "delete from sync.walk_seen as seen using sync.cursors as c
         where c.resource = $1 and c.scope = $2 and seen.walk_id = (c.position ->> 'walk_id')::uuid
           and (c.position ->> 'walk_id')::uuid is distinct from $3",
        slot.resource,
        slot.scope.as_str(),
        walk_id
    )
    .execute(connection)
    .await
    .doing("forgetting the ids that a walk saw")?;
    Ok(())
}

/// Gives recorded ids other names, each the one in the same place, in every walk. Gives how many there were.
pub(crate) async fn rename(
    connection: &mut PgConnection,
    ids: &[String],
    names: &[String],
) -> Result<u64, Error> {
    let renamed = sqlx::query!(
        "update sync.walk_seen as seen set id = renamed.name
         from unnest($1::text[], $2::text[]) as renamed (id, name)
         where seen.id = renamed.id",
        ids,
        names
    )
    .execute(connection)
    .await
    .doing("renaming ids that walks saw")?;
    Ok(renamed.rows_affected())
}

/// A few ids that the walk itself read, if there are any.
pub(crate) async fn witnesses(pool: &PgPool, walk_id: Uuid, limit: u32) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        "select id from sync.walk_seen where walk_id = $1 and read limit $2",
        walk_id,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .doing("looking for ids that a walk saw")
}

/// Forgets a walk.
pub(crate) async fn forget(pool: &PgPool, lease: &Lease, walk_id: Uuid) -> Result<(), Error> {
    const DOING: &str = "forgetting the ids that a walk saw";
    let mut transaction = pool.begin().await.doing(DOING)?;
    sqlx::query!("delete from sync.walk_seen where walk_id = $1", walk_id)
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("forget", DOING, transaction.commit()).await
}
