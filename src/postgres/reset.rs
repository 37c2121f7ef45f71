//! `reset`: forgetting positions, so that the next run starts over. Deletes no data, and nothing while a run is on.

use sqlx::{PgConnection, Postgres, Transaction};

use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "forgetting cursors";

/// Forgets the cursors of a resource, of all its scopes, and the ids that its open walks saw.
pub async fn resource(store: &PostgresStore, resource: &str) -> Result<(), Error> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    refuse_if_held(&mut transaction, Some(resource)).await?;
    sqlx::query!(
        "with forgotten as (
           delete from sync.cursors where resource = $1 returning (position ->> 'walk_id')::uuid as walk_id
         ),
         unseen as (
           delete from sync.walk_unseen as unseen using forgotten as f where unseen.walk_id = f.walk_id
         )
         delete from sync.walk_seen as seen using forgotten as f where seen.walk_id = f.walk_id",
        resource
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    boundary::cross("reset/resource", DOING, transaction.commit()).await
}

/// Forgets the tenant, all cursors and all tokens.
pub async fn tenant(store: &PostgresStore) -> Result<(), Error> {
    let mut transaction: Transaction<'_, Postgres> = store.control().begin().await.doing(DOING)?;
    refuse_if_held(&mut transaction, None).await?;
    let connection: &mut PgConnection = &mut transaction;
    sqlx::query!("delete from sync.walk_seen")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.walk_unseen")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.cursors")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.tokens")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    sqlx::query!("delete from sync.tenant")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    boundary::cross("reset/tenant", DOING, transaction.commit()).await
}

/// A run would write its cursor again at its next page. The locks keep new runs out until the commit; raising the
/// fence ends a run that lost its lease without knowing.
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
