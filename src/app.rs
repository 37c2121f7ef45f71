//! The composition root: connects implementations with ports. What a run reads and is bound to follows from the settings in `runs`.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::blueconic::client::Client;
use crate::clock::SystemClock;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::metrics::Traffic;
use crate::model::ports::Clock;
use crate::postgres::store::PostgresStore;
use crate::resources::registry::{self, Entry};
use crate::sync::count_profiles::CountProfiles;
use crate::sync::engine::Engine;
use crate::sync::progress::RunListener;
use crate::sync::usage::UsageWriter;

pub(crate) use database::migrate;
pub use database::{Database, data_dir, embedded_fault};
pub use runs::{Overrides, full_window, run_spec};

mod database;
mod runs;

/// How long the end of a command waits for a token request: a lost answer may mean a lost authorization.
pub const TOKEN_ON_ITS_WAY: Duration = Duration::from_secs(5);
/// How often the ledger of usage is written at least while requests are sent. A process that is killed loses as much of it.
const WRITE_USAGE_AFTER: Duration = Duration::from_secs(10);

/// The engine of the service.
pub type SyncEngine = Engine<Client<PostgresStore>, PostgresStore>;

/// Everything that reads a tenant into a database.
pub struct App {
    /// The tenant's address.
    pub url: Url,
    /// The database.
    pub database: Database,
    /// The store over it.
    pub store: PostgresStore,
    /// The client of the tenant.
    pub client: Arc<Client<PostgresStore>>,
    /// What can be read.
    pub entries: Vec<Entry>,
    /// Writes what is sent and received into the ledger.
    usage: UsageWriter<PostgresStore>,
    /// Does so from time to time.
    usage_keeper: AbortOnDropHandle<()>,
    clock: Arc<dyn Clock>,
}

fn tenant_url(settings: &Settings) -> Outcome<Url> {
    let access = settings.tenant.access();
    Ok(access.map_err(|error| settings_fault(&error))?.url)
}

impl App {
    /// Opens the database, applies migrations, verifies the tenant, and creates a client. Sends nothing to the tenant.
    pub async fn start(settings: &Settings) -> Outcome<Self> {
        Self::start_counting(settings, Arc::default()).await
    }

    /// Like [`App::start`]; what the client sends and receives is counted in `traffic`, also after [`App::renew`].
    pub async fn start_counting(settings: &Settings, traffic: Arc<Traffic>) -> Outcome<Self> {
        let url = tenant_url(settings)?;
        let database = Database::open(settings).await?;
        Self::over_counting(settings, url, database, traffic).await
    }

    /// Like [`App::start`], over an open database.
    pub async fn over(settings: &Settings, url: Url, database: Database) -> Outcome<Self> {
        Self::over_counting(settings, url, database, Arc::default()).await
    }

    async fn over_counting(
        settings: &Settings,
        url: Url,
        mut database: Database,
        traffic: Arc<Traffic>,
    ) -> Outcome<Self> {
        database.keep_alive();
        let store = database.store_of(settings, &url).await?;
        Self::assemble(settings, url, database, store, traffic)
    }

    /// Opens the database without changing its schema, and verifies that it is not another tenant's.
    pub async fn look(settings: &Settings) -> Outcome<Self> {
        let url = tenant_url(settings)?;
        let database = Database::open(settings).await?;
        let store = database.store(settings).await?;
        store.verify_schema().await?;
        store.verify_tenant(&url).await?;
        Self::assemble(settings, url, database, store, Arc::default())
    }

    /// Replaces the connections and the client by those of other settings, over the same database and for the same tenant. After an
    /// error everything is as it was.
    pub async fn renew(&mut self, settings: &Settings) -> Outcome<()> {
        let store = self.database.store_of(settings, &self.url).await?;
        let (clock, traffic) = (Arc::clone(&self.clock), self.client.traffic());
        let client = Client::counting(settings, store.clone(), clock, traffic)?;
        let former = std::mem::replace(&mut self.store, store);
        let former_client = std::mem::replace(&mut self.client, Arc::new(client));
        self.entries = registry::entries(settings, &self.clock);
        // A write that is under way is waited for, so that no count is written twice.
        self.usage.close(TOKEN_ON_ITS_WAY).await;
        self.usage = self.usage.over(self.store.clone(), settings.limits.budget());
        self.usage_keeper = keep_usage(&self.usage, settings);
        if !former_client.close_token(TOKEN_ON_ITS_WAY).await {
            tracing::warn!("a token request was under way; its result is lost");
        }
        former.disconnect().await;
        Ok(())
    }

    fn assemble(
        settings: &Settings,
        url: Url,
        database: Database,
        store: PostgresStore,
        traffic: Arc<Traffic>,
    ) -> Outcome<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = Client::counting(settings, store.clone(), Arc::clone(&clock), Arc::clone(&traffic))?;
        let entries = registry::entries(settings, &clock);
        let usage = UsageWriter::new(store.clone(), traffic, settings.limits.budget());
        Ok(Self {
            url,
            database,
            store,
            client: Arc::new(client),
            entries,
            usage_keeper: keep_usage(&usage, settings),
            usage,
            clock,
        })
    }

    /// An engine that reports to `listener`.
    pub fn engine(
        &self,
        settings: &Settings,
        approved: Option<u64>,
        listener: Arc<dyn RunListener>,
    ) -> SyncEngine {
        Engine::new(
            Arc::clone(&self.client),
            self.store.clone(),
            Arc::clone(&self.clock),
            runs::bounds(settings, approved),
            Arc::new(CountProfiles::new(
                listener,
                self.client.traffic(),
                settings.registry,
            )),
        )
    }

    /// Closes all connections and releases an embedded cluster.
    pub async fn close(self) -> Outcome<()> {
        self.close_within(TOKEN_ON_ITS_WAY).await
    }

    /// Like [`App::close`], within `patience`.
    pub async fn close_within(self, patience: Duration) -> Outcome<()> {
        let (is_stored, ()) = tokio::join!(self.client.close_token(patience), self.usage.close(patience));
        if !is_stored {
            tracing::warn!("a token request was under way; its result is lost");
        }
        drop(self.usage_keeper);
        self.store.disconnect().await;
        self.database.close().await
    }
}

/// Writes the ledger of usage from time to time, until dropped.
fn keep_usage(usage: &UsageWriter<PostgresStore>, settings: &Settings) -> AbortOnDropHandle<()> {
    let (usage, every) = (usage.clone(), settings.schedule.heartbeat.min(WRITE_USAGE_AFTER));
    AbortOnDropHandle::new(tokio::spawn(async move { usage.keep(every).await }))
}

/// A settings error as a fault.
pub fn settings_fault(error: &crate::config::error::SettingsError) -> Fault {
    Fault::new(Kind::Settings, error.to_string())
        .because_of(error)
        .hint(error.hint())
}
