//! The database of the settings: another server's, or an embedded cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use embedded_postgres::Cluster;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::config::settings::Settings;
use crate::model::description::Description;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::position::Slot;
use crate::postgres::migrate::{self, Pending};
use crate::postgres::store::PostgresStore;
use crate::postgres::{address, embedded, pool, rights};

/// How often an embedded cluster is checked. Loading waits two minutes for an unreachable database.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// The database of the settings; an embedded cluster lives as long as this.
pub struct Database {
    embedded: Option<Arc<Cluster>>,
    /// Restarts the embedded cluster when it was killed; only for long-running commands.
    keeper: Option<AbortOnDropHandle<()>>,
    options: PgConnectOptions,
}

impl Database {
    /// Finds the database. An embedded cluster is started or joined; nothing is written to another database.
    pub async fn open(settings: &Settings) -> Outcome<Self> {
        if !settings.database.is_embedded() {
            let url = SecretString::from(settings.database.url.expose());
            return Ok(Self {
                embedded: None,
                keeper: None,
                options: pool::parse(&url)?,
            });
        }
        if embedded::is_in_image() {
            return Err(
                Fault::new(Kind::Settings, "the container image has no embedded database")
                    .because("its data would be gone with the container")
                    .hint("set DATABASE_URL to a PostgreSQL server, as compose.yaml does"),
            );
        }
        let folder = data_dir(settings)?;
        let cluster = Cluster::start(&embedded::CONFIG, &folder)
            .await
            .map_err(|error| embedded_fault(&error))?;
        Self::of_embedded(cluster)
    }

    /// A database in a cluster that is held already.
    pub fn of_embedded(cluster: Cluster) -> Outcome<Self> {
        let options = pool::parse(&SecretString::from(cluster.url()))?;
        Ok(Self {
            embedded: Some(Arc::new(cluster)),
            keeper: None,
            options,
        })
    }

    /// Restarts an embedded cluster from now on whenever its server was killed. The address stays, so the pools
    /// reconnect.
    pub fn keep_alive(&mut self) {
        self.keeper = self
            .embedded
            .clone()
            .filter(|cluster| cluster.is_persistent())
            .map(|cluster| AbortOnDropHandle::new(tokio::spawn(keep_alive(cluster))));
    }

    /// The options to connect to it.
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Its cluster, if it is an embedded one.
    pub fn embedded(&self) -> Option<&Cluster> {
        self.embedded.as_deref()
    }

    /// Its address for messages, without secrets.
    pub fn address(&self) -> String {
        match &self.embedded {
            Some(cluster) => format!("embedded in {}", cluster.data_dir().display()),
            None => address::shown(&self.options),
        }
    }

    /// Warns if a machine between this one and the database could impersonate the database.
    fn warn_of_exposure(&self) {
        if let Some(exposure) = address::exposure(&self.options) {
            tracing::warn!(hint = address::EXPOSURE_HINT, "{exposure}");
        }
    }

    /// Applies pending migrations, records the resources, and switches the feed of changes.
    pub async fn migrate(&self, settings: &Settings) -> Outcome<Vec<Pending>> {
        self.warn_of_exposure();
        let applied = migrate::apply(&self.options).await?;
        let store = self.store(settings).await?;
        let recorded = async {
            store.record_resources(settings.registry).await?;
            store.switch_changes().await?;
            rights::renew(&store).await
        };
        let recorded = recorded.await;
        store.disconnect().await;
        recorded?;
        Ok(applied)
    }

    /// Connects.
    pub async fn store(&self, settings: &Settings) -> Outcome<PostgresStore> {
        Ok(PostgresStore::connect(self.options.clone(), limits(settings), slots(settings)).await?)
    }

    /// Connects for a tenant, after pending migrations. Refuses another tenant's database.
    pub(super) async fn store_of(&self, settings: &Settings, url: &Url) -> Outcome<PostgresStore> {
        let (limits, slots) = (limits(settings), slots(settings));
        let registry = settings.registry;
        let (store, is_ready) =
            PostgresStore::connect_and_look(self.options.clone(), limits, slots, registry, url).await?;
        if is_ready {
            self.warn_of_exposure();
        } else {
            migrate(self, settings).await?;
            store.claim_tenant(url).await?;
        }
        Ok(store)
    }

    /// Releases an embedded cluster.
    pub async fn close(self) -> Outcome<()> {
        if let Some(keeper) = self.keeper {
            keeper.abort();
            // The aborted task drops the other reference to the cluster.
            let _aborted = keeper.await;
        }
        match self.embedded.and_then(Arc::into_inner) {
            Some(cluster) => cluster.stop().await.map_err(|error| embedded_fault(&error)),
            None => Ok(()),
        }
    }
}

/// Checks and restarts a cluster until dropped.
async fn keep_alive(cluster: Arc<Cluster>) {
    loop {
        tokio::time::sleep(LOOK_AFTER).await;
        if cluster.is_ready() {
            continue;
        }
        tracing::warn!(data_dir = %cluster.data_dir().display(), "the embedded PostgreSQL is gone; starting it again");
        if let Err(error) = cluster.revive().await {
            let fault = embedded_fault(&error);
            tracing::error!(%fault, hint = fault.hint, "the embedded PostgreSQL could not be started; trying again");
        }
    }
}

/// The data directory of the embedded cluster.
pub fn data_dir(settings: &Settings) -> Outcome<PathBuf> {
    match &settings.database.data_dir {
        Some(folder) => Ok(folder.clone()),
        None => embedded::CONFIG
            .default_data_dir()
            .map_err(|error| embedded_fault(&error)),
    }
}

/// An embedded cluster's error as a fault.
pub fn embedded_fault(error: &embedded_postgres::Error) -> Fault {
    Fault::new(Kind::Final, error.to_string())
        .because_of(error)
        .hint(embedded::hint(error))
}

fn limits(settings: &Settings) -> pool::Limits {
    pool::Limits {
        max_connections: settings.database.max_connections.get(),
        load_connections: settings.database.loading(),
        lease_ttl: settings.schedule.lease_ttl,
        retention: settings.resources.audit_events.retention,
        changes_kept: settings.changes.enabled.then_some(settings.changes.keep),
        rejects_kept: settings.retention.rejects,
    }
}

/// The slots to show, in order: those of all resources, except resources that are off by default and not enabled.
fn slots(settings: &Settings) -> Vec<Slot> {
    let is_shown = |it: &&Description| it.is_by_default() || settings.resources.is_enabled(it);
    let shown = settings.registry.iter().filter(is_shown);
    shown.flat_map(Description::slots).collect()
}

/// Applies pending migrations, and logs each.
pub(crate) async fn migrate(database: &Database, settings: &Settings) -> Outcome<()> {
    for migration in database.migrate(settings).await? {
        tracing::info!(
            version = migration.version,
            "applied migration {} ({})",
            migration.version,
            migration.description
        );
    }
    Ok(())
}
