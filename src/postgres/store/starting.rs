//! The start of a command that reads a tenant. Nearly always the database is as the last command left it: one session sees
//! that, and nothing is written.

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::model::description::Registry;
use crate::model::position::Slot;
use crate::postgres::error::Error;
use crate::postgres::pool::Limits;
use crate::postgres::waits::WaitLimit;
use crate::postgres::{feed, migrate, resources, tenant};

use super::PostgresStore;

const LOOKING: &str = "looking at the database";

impl PostgresStore {
    /// Connects, and tells whether the database is ready: it can be loaded, no migration is pending, the resources and this
    /// tenant are recorded, and the feed of changes is on or off as the settings say. Refuses another tenant's database.
    pub async fn connect_and_look(
        options: PgConnectOptions,
        limits: Limits,
        slots: Vec<Slot>,
        registry: Registry,
        url: &Url,
    ) -> Result<(Self, bool), Error> {
        let (store, options) = Self::unconnected(options, limits, slots);
        match store.is_ready(&options, limits, registry, url).await {
            // Migrating tries again over new connections.
            Err(error) if error.is_silence() => {
                tracing::warn!("{error}; trying again");
                Ok((store, false))
            }
            is_ready => Ok((store, is_ready?)),
        }
    }

    async fn is_ready(
        &self,
        options: &PgConnectOptions,
        limits: Limits,
        registry: Registry,
        url: &Url,
    ) -> Result<bool, Error> {
        let mut first = self.pools.first(options, limits).await?;
        first.server.refuse_unwritable(options)?;
        let looking = is_recorded(&mut first.inner, registry, url, limits.changes_kept.is_some());
        let is_ready = first
            .monitor
            .watch(LOOKING, WaitLimit::Short, Some(first.pid), looking)
            .await?;
        first.close().await?;
        Ok(is_ready)
    }
}

async fn is_recorded(
    connection: &mut PgConnection,
    registry: Registry,
    url: &Url,
    has_changes: bool,
) -> Result<bool, Error> {
    Ok(migrate::pending(connection).await?.is_empty()
        && resources::are_recorded(&mut *connection, registry).await?
        && feed::is_as_set(&mut *connection, has_changes).await?
        && tenant::is_recorded(&mut *connection, url).await?)
}
