//! `reset`: removes positions, so that the next run starts over, or moves a watermark back. Deletes no data, and does
//! nothing while a run is open.

use sqlx::{PgConnection, Postgres, Transaction};

use crate::model::Time;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;
use crate::postgres::{boundary, missing, seen};

const DOING: &str = "forgetting cursors";

/// Removes the cursors of a resource in all scopes, and the seen ids of its open walks.
pub async fn resource(store: &PostgresStore, resource: &str) -> Result<(), Error> {
    store.minutes(DOING, forget_resource(store, resource)).await
}

async fn forget_resource(store: &PostgresStore, resource: &str) -> Result<(), Error> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    refuse_if_held(&mut transaction, Some(resource)).await?;
    let walks = sqlx::query_scalar!(
        r#"delete from sync.cursors where resource = $1 returning (position ->> 'walk_id')::uuid as "walk_id?""#,
        resource
    )
    .fetch_all(&mut *transaction)
    .await
    .doing(DOING)?;
    for walk in walks.into_iter().flatten() {
        seen::forget_walk(&mut transaction, walk).await?;
    }
    missing::forget_resource(&mut transaction, resource).await?;
    boundary::cross("reset/resource", DOING, transaction.commit()).await
}

/// Moves the watermarks of a resource back to a time, in all scopes; an earlier watermark stays. An open increment is
/// closed, since it would not read from there. An open full walk continues, since it reads everything.
pub async fn to(store: &PostgresStore, resource: &str, time: Time) -> Result<(), Error> {
    const DOING: &str = "moving the watermark back";
    let mut transaction = store.control().begin().await.doing(DOING)?;
    refuse_if_held(&mut transaction, Some(resource)).await?;
    let latest = sqlx::query_scalar!(
        "select max(watermark) from sync.cursors where resource = $1",
        resource
    )
    .fetch_one(&mut *transaction)
    .await
    .doing(DOING)?;
    if latest.is_none_or(|latest| latest < time) {
        return Err(Error::NotBack {
            resource: resource.to_owned(),
            latest,
        });
    }
    let open = sqlx::query_scalar!(
        r#"select (position ->> 'walk_id')::uuid as "walk_id?" from sync.cursors
           where resource = $1 and scope = 'increment' and position is not null"#,
        resource
    )
    .fetch_all(&mut *transaction)
    .await
    .doing(DOING)?;
    sqlx::query!(
        "update sync.cursors set
           watermark = least(watermark, $2),
           position = case when scope = 'full' then position end,
           updated_at = sync.clock()
         where resource = $1 and watermark is not null",
        resource,
        time
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    for walk in open.into_iter().flatten() {
        seen::forget_walk(&mut transaction, walk).await?;
    }
    boundary::cross("reset/to", DOING, transaction.commit()).await
}

/// Forgets the tenant, all cursors and all tokens.
pub async fn tenant(store: &PostgresStore) -> Result<(), Error> {
    store.minutes(DOING, forget_tenant(store)).await
}

async fn forget_tenant(store: &PostgresStore) -> Result<(), Error> {
    let mut transaction: Transaction<'_, Postgres> = store.control().begin().await.doing(DOING)?;
    refuse_if_held(&mut transaction, None).await?;
    let connection: &mut PgConnection = &mut transaction;
    seen::forget_all(&mut *connection).await?;
    missing::forget_all(&mut *connection).await?;
    sqlx::query!("delete from sync.cursors")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.tokens")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.tenant_document")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.drift")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.probe")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.notifications")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.tenant")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    boundary::cross("reset/tenant", DOING, transaction.commit()).await
}

/// Refuses to reset during a run, which would write its cursor again. The locks keep new runs out until the commit, and
/// the raised fence ends a run that lost its lease without noticing.
async fn refuse_if_held(connection: &mut PgConnection, resource: Option<&str>) -> Result<(), Error> {
    let leases = sqlx::query!(
        r#"select name, holder, expires_at, expires_at > sync.clock() as "held!" from sync.leases
           where $1::text is null or split_part(name, '/', 1) = $1
           order by name for update"#,
        resource
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    if let Some(lease) = leases.iter().find(|lease| lease.held) {
        return Err(Error::Held {
            name: lease.name.clone(),
            holder: lease.holder.clone(),
            expires_at: lease.expires_at,
        });
    }
    sqlx::query!(
        "update sync.leases set fence = fence + 1
         where $1::text is null or split_part(name, '/', 1) = $1",
        resource
    )
    .execute(connection)
    .await
    .doing(DOING)?;
    Ok(())
}
