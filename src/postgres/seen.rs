//! `sync.walk_seen`: the ids that the sweep of an open full walk must keep; and `sync.walk_unseen`, the sweep's candidates. The
//! first is the hot path of an unchanged walk, so ids are sent as one array and only appended, and the table is unlogged.

use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

use crate::model::batch::Batch;
use crate::model::lease::Lease;
use crate::model::position::Slot;
use crate::postgres::bigint::to_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, leases};

const FORGETTING: &str = "forgetting the ids that a walk saw";

/// The ids of a batch.
pub(crate) fn ids(batch: &Batch) -> Vec<&str> {
    let ids = batch.seen.iter().map(String::as_str);
    ids.filter(|id| !id.is_empty()).collect()
}

/// Records the ids that the walk read; returns the number of rows.
pub(crate) async fn read_by(
    connection: &mut PgConnection,
    walk_id: Uuid,
    ids: &[&str],
) -> Result<u64, Error> {
    let written = sqlx::query!(
        "insert into sync.walk_seen (walk_id, id, read) select $1, id, true from unnest($2::text[]) as id",
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
        "insert into sync.walk_seen (walk_id, id, read) select $1, id, false from unnest($2::text[]) as id",
        walk_id,
        ids as &[&str]
    )
    .execute(connection)
    .await
    .doing("protecting ids from an open walk's sweep")?;
    Ok(())
}

/// Rows of a walk: all, and those that it read itself.
pub(crate) async fn count(connection: &mut PgConnection, walk_id: Uuid) -> Result<(u64, u64), Error> {
    let row = sqlx::query!(
        r#"select count(*) as "seen!", count(*) filter (where read) as "read!"
           from sync.walk_seen where walk_id = $1"#,
        walk_id
    )
    .fetch_one(connection)
    .await
    .doing("counting the ids that a walk saw")?;
    Ok((to_count(row.seen), to_count(row.read)))
}

/// How many different ids the walk itself read.
pub(crate) async fn distinct(connection: &mut PgConnection, walk_id: Uuid) -> Result<u64, Error> {
    let ids = sqlx::query_scalar!(
        r#"select count(*) as "ids!" from (
             select distinct id from sync.walk_seen where walk_id = $1 and read
           ) as met"#,
        walk_id
    )
    .fetch_one(connection)
    .await
    .doing("counting the different ids that a walk read")?;
    Ok(to_count(ids))
}

/// Forgets the walk that a cursor names, unless it is this one.
pub(crate) async fn forget_former(
    connection: &mut PgConnection,
    slot: Slot,
    walk_id: Option<Uuid>,
) -> Result<(), Error> {
    let former = sqlx::query_scalar!(
        r#"select (position ->> 'walk_id')::uuid as "walk_id!" from sync.cursors
           where resource = $1 and scope = $2
             and (position ->> 'walk_id')::uuid is not null
             and (position ->> 'walk_id')::uuid is distinct from $3"#,
        slot.resource,
        slot.scope.as_str(),
        walk_id
    )
    .fetch_optional(&mut *connection)
    .await
    .doing(FORGETTING)?;
    match former {
        Some(former) => forget_walk(connection, former).await,
        None => Ok(()),
    }
}

/// Forgets what a walk saw, and what it did not see.
pub(crate) async fn forget_walk(connection: &mut PgConnection, walk_id: Uuid) -> Result<(), Error> {
    sqlx::query!("select sync.forget_walk($1)", walk_id)
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(())
}

/// Forgets what every walk saw, and what it did not see.
pub(crate) async fn forget_all(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("delete from sync.walk_seen")
        .execute(&mut *connection)
        .await
        .doing(FORGETTING)?;
    sqlx::query!("delete from sync.walk_notices")
        .execute(&mut *connection)
        .await
        .doing(FORGETTING)?;
    sqlx::query!("delete from sync.walk_unseen")
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(())
}

/// Takes ids from the candidates of every sweep; returns their number.
pub(crate) async fn withdraw(connection: &mut PgConnection, ids: &[String]) -> Result<u64, Error> {
    let gone = sqlx::query!("delete from sync.walk_unseen where id = any ($1)", ids)
        .execute(connection)
        .await
        .doing("taking ids from the candidates of sweeps")?;
    Ok(gone.rows_affected())
}

/// Renames recorded ids in all walks, `from[i]` to `to[i]`; returns their number.
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
pub(crate) async fn forget(connection: &mut PgConnection, lease: &Lease, walk_id: Uuid) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(FORGETTING)?;
    forget_walk(&mut transaction, walk_id).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("forget", FORGETTING, transaction.commit()).await
}
