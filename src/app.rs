//! The composition root: connects implementations with ports, and turns settings into bounds.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use embedded_postgres::Cluster;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::blueconic::client::Client;
use crate::clock::SystemClock;
use crate::config::settings::{Order, Settings};
use crate::config::units::Removals;
use crate::model::Time;
use crate::model::description::{Description, Reading};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::metrics::Traffic;
use crate::model::ports::{AnyResource, Clock};
use crate::model::position::{Scope, Slot};
use crate::model::sampling::SAMPLE;
use crate::model::window::DailyWindow;
use crate::postgres::address;
use crate::postgres::embedded;
use crate::postgres::migrate::{self, Pending};
use crate::postgres::pool;
use crate::postgres::rights;
use crate::postgres::store::PostgresStore;
use crate::resources::registry::{self, Entry};
use crate::schedule::plan;
use crate::sync::count_profiles::CountProfiles;
use crate::sync::engine::Engine;
use crate::sync::progress::RunListener;
use crate::sync::run_spec::{
    Bounds, EventOrder, EventsReading, ProfilesReading, RemovalBound, RunSpec, WhenHeld,
};
use crate::sync::usage::UsageWriter;

/// The share of `limits.memory` for reading, loading and the program itself; measured (docs/benchmarks.md).
const WORKING_BYTES: usize = 45 * 1024 * 1024;
/// The most elements of a batch, if its bytes do not end it earlier.
const BATCH_ELEMENTS: usize = 4000;
/// How often an embedded cluster is checked. Loading waits two minutes for an unreachable database.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How long the end of a command waits for a token request: a lost answer may mean a lost authorization.
pub const TOKEN_ON_ITS_WAY: Duration = Duration::from_secs(5);
/// How often the ledger of usage is written at least while requests are sent. A process that is killed loses as much of it.
const WRITE_USAGE_AFTER: Duration = Duration::from_secs(10);
/// Look-ups by id that each sweep may make, also where the next full walk is close. At half of the default rate: about an hour.
const LOOKUPS: u64 = 10_000;
/// The share of the rate that a sweep looks up at: half of it is left to increments and lists.
const LOOKUP_SHARE: u32 = 2;

/// The engine of the service.
pub type SyncEngine = Engine<Client<PostgresStore>, PostgresStore>;

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
    async fn store_of(&self, settings: &Settings, url: &Url) -> Outcome<PostgresStore> {
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
    let fault = Fault::new(Kind::Final, error.to_string());
    let fault = match causes(error) {
        Some(why) => fault.because(why),
        None => fault,
    };
    fault.hint(embedded::hint(error))
}

/// The causes of an error, on one line.
pub fn causes(error: &dyn std::error::Error) -> Option<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.dedup();
    (!causes.is_empty()).then(|| causes.join(": "))
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
            bounds(settings, approved),
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
    let fault = Fault::new(Kind::Settings, error.to_string()).hint(error.hint());
    match error.source().map(ToString::to_string) {
        Some(why) => fault.because(why),
        None => fault,
    }
}

fn bounds(settings: &Settings, approved: Option<u64>) -> Bounds {
    Bounds {
        batch_bytes: settings.limits.batch_size_for(settings.database.loading()),
        batch_elements: BATCH_ELEMENTS,
        lanes: settings.database.loading() as usize,
        known_bytes: settings.limits.memory.saturating_sub(WORKING_BYTES),
        full_window: full_window(settings),
        lease_ttl: settings.schedule.lease_ttl,
        removals: match settings.resources.profiles.max_removals {
            None => RemovalBound::Default,
            Some(Removals::Rows(rows)) => RemovalBound::Rows(rows),
            Some(Removals::Percent(share)) => RemovalBound::Percent(share),
        },
        approved_removals: approved,
        // Approved removals are not bounded by the number of look-ups.
        lookups: approved.map_or(LOOKUPS, |approved| approved.max(LOOKUPS)),
        // Whoever approved removals waits for them.
        lookups_per_second: match approved {
            Some(_) => 0,
            None => (settings.limits.requests_per_second.get() / LOOKUP_SHARE).max(1),
        },
        sample: SAMPLE,
        lookups_at_once: settings.limits.concurrent_requests.get() as usize,
    }
}

/// Flags that override the settings of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Full or increment, for profiles.
    pub scope: Option<Scope>,
    /// The start of reading, in place of the watermark.
    pub since: Option<Time>,
    /// How far audit events reach back before the watermark.
    pub overlap: Option<Duration>,
    /// Whether the resource was named.
    pub is_named: bool,
}

/// The run spec for the engine.
pub fn run_spec(settings: &Settings, entry: &Entry, overrides: Overrides, when_held: WhenHeld) -> RunSpec {
    let wanted = match &entry.resource {
        AnyResource::List(list) => Reading::List(Arc::clone(list)),
        AnyResource::Walk(walk) => Reading::Walk((Arc::clone(walk), profiles(settings, overrides))),
        AnyResource::Feed(feed) => Reading::Feed((Arc::clone(feed), events(settings, overrides))),
    };
    let settings = &settings.resources;
    let given = entry
        .description
        .as_list()
        .map(|list| settings.list(entry.description, list));
    RunSpec {
        wanted,
        when_held,
        is_named: overrides.is_named || given.is_some_and(|given| given.is_named),
    }
}

fn profiles(settings: &Settings, overrides: Overrides) -> ProfilesReading {
    ProfilesReading {
        scope: overrides.scope,
        overlap: settings.resources.profiles.overlap,
        since: overrides.since,
        next_full_at: plan::next_run(
            &settings.resources.profiles.full_schedule,
            settings.schedule.time_zone,
            SystemClock.now(),
        )
        .ok(),
    }
}

/// The hours between which full walks over profiles read.
pub fn full_window(settings: &Settings) -> Option<DailyWindow> {
    let hours = settings.resources.profiles.full_window?;
    Some(DailyWindow::new(hours, settings.schedule.time_zone))
}

fn events(settings: &Settings, overrides: Overrides) -> EventsReading {
    let events = &settings.resources.audit_events;
    EventsReading {
        overlap: overrides.overlap.unwrap_or(events.overlap),
        settle: events.settle,
        retention: events.retention,
        order: match events.order {
            Order::Auto => None,
            Order::OldestFirst => Some(EventOrder::OldestFirst),
            Order::NewestFirst => Some(EventOrder::NewestFirst),
        },
        since: overrides.since,
    }
}
