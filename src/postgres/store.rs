//! The store of the engine: a handle over the pools that implements the ports. Each call goes to the file that knows
//! the table.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, PgPool};
use url::Url;
use uuid::Uuid;

use crate::model::description::Registry;
use crate::model::fault::Outcome;
use crate::model::position::Slot;
use crate::model::status::Run;
use crate::postgres::error::Error;
use crate::postgres::known_in_memory::WalksInMemory;
use crate::postgres::pool::{self, Limits, Pools};
use crate::postgres::reject_quota::RejectQuotas;
use crate::postgres::tenant::{self, Tenant};
use crate::postgres::waits::WaitLimit;
use crate::postgres::watched::WatchedConnection;
use crate::postgres::{feed, leases, resources, runs};

mod columns;
mod counting;
mod daily_facts;
mod housekeeping;
mod loading;
mod personal_data;
mod recorded;
mod running;
mod starting;
mod sweeping;

/// How long to wait for the end of all connections; a silent connection never ends by itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// The store over a database, used by all parts of the program.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pools: Pools,
    own: Arc<Own>,
}

/// The state that all clones share.
#[derive(Debug)]
struct Own {
    holder: String,
    lease_ttl: Duration,
    retention: Duration,
    changes_kept: Option<Duration>,
    rejects_kept: Duration,
    slots: Vec<Slot>,
    rejects: RejectQuotas,
    /// The hashes of stored profiles for full walks.
    known: WalksInMemory,
    /// Whether this process has set its rules about personal data.
    has_set_policy: AtomicBool,
}

impl PostgresStore {
    /// Connects. `slots` are the resources and scopes that this program knows, in the order in which they are shown.
    pub async fn connect(options: PgConnectOptions, limits: Limits, slots: Vec<Slot>) -> Result<Self, Error> {
        let (store, options) = Self::unconnected(options, limits, slots);
        store.pools.first(&options, limits).await?.close().await?;
        Ok(store)
    }

    /// A store without a connection yet, and how to open one.
    fn unconnected(options: PgConnectOptions, limits: Limits, slots: Vec<Slot>) -> (Self, PgConnectOptions) {
        let holder = holder();
        let options = options.application_name(&leases::session_name(&holder));
        let store = Self {
            pools: pool::pools(&options, limits),
            own: Arc::new(Own {
                holder,
                lease_ttl: limits.lease_ttl,
                retention: limits.retention,
                changes_kept: limits.changes_kept,
                rejects_kept: limits.rejects_kept,
                slots,
                rejects: RejectQuotas::default(),
                known: WalksInMemory::default(),
                has_set_policy: AtomicBool::new(false),
            }),
        };
        (store, options)
    }

    /// The name of this process in leases and claims: host, process id and a random part, since a container's process always has the
    /// id 1 and its host name may be reused.
    pub fn holder(&self) -> &str {
        &self.own.holder
    }

    /// The name of this host, as in [`PostgresStore::holder`].
    pub(crate) fn host(&self) -> &str {
        self.own.holder.split(':').next().unwrap_or_default()
    }

    /// Ends all connections, in bounded time.
    pub async fn disconnect(&self) {
        let ended = async { tokio::join!(self.pools.data.close(), self.pools.control.close()) };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::debug!("some connections to the database could not be closed cleanly");
        }
        // Now no task has a connection any more.
        self.pools.monitor.end_abandoned().await;
    }

    /// Waits for short work on the control pool, in bounded time.
    pub(crate) fn moment<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        let work = async {
            self.pools.await_given_back().await;
            work.await
        };
        self.pools.monitor.wait(doing, WaitLimit::Short, work)
    }

    /// Opens the loading connections in the background, before a run needs them.
    pub fn open_loading_connections(&self) {
        self.pools.open_loading();
    }

    /// Waits for work that a person requested and waits for.
    pub(crate) fn minutes<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.pools.monitor.wait(doing, WaitLimit::Minutes, work)
    }

    /// A control connection for work that may take long, and is watched.
    async fn watched(&self, doing: &'static str) -> Result<WatchedConnection, Error> {
        self.pools.await_given_back().await;
        WatchedConnection::of(&self.pools.control, &self.pools.monitor, doing).await
    }

    /// Waits for work on such a connection, without a limit of its own. After a failure the connection is not used again.
    pub(crate) async fn watch<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Outcome<T> {
        let mut session = self.watched(doing).await?;
        let watch = session.work();
        let done = watch.wait(doing, WaitLimit::None, work(&mut session)).await?;
        session.rest();
        Ok(done)
    }

    /// Why nothing can be loaded at present, if the last load failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.pools.monitor.trouble()
    }

    /// The tenant of this database, if a run has written it.
    pub async fn tenant(&self) -> Result<Option<Tenant>, Error> {
        self.moment(
            "reading the tenant of this database",
            tenant::read(self.control()),
        )
        .await
    }

    /// Refuses another tenant than this database's. Writes nothing.
    pub async fn verify_tenant(&self, url: &Url) -> Result<(), Error> {
        self.moment(
            "reading the tenant of this database",
            tenant::verify(self.control(), url),
        )
        .await
    }

    /// Claims the database for this tenant if it has none, and refuses another tenant.
    pub async fn claim_tenant(&self, url: &Url) -> Result<(), Error> {
        self.moment(
            "writing the tenant of this database",
            tenant::claim(self.control(), url),
        )
        .await
    }

    /// Records the resources, for the view `freshness`.
    pub async fn record_resources(&self, registry: Registry) -> Result<(), Error> {
        self.moment(
            "recording the resources",
            resources::record(self.control(), registry),
        )
        .await
    }

    /// Switches the feed of changes on or off, as this program is set.
    pub async fn switch_changes(&self) -> Result<(), Error> {
        let is_on = self.own.changes_kept.is_some();
        self.minutes(
            "switching the feed of changes",
            feed::switch(self.control(), is_on),
        )
        .await
    }

    /// A row of `sync.runs`.
    pub async fn run(&self, id: Uuid) -> Result<Run, Error> {
        self.moment("reading a run", runs::row(self.control(), id)).await
    }

    /// The pool for everything short.
    pub(crate) fn control(&self) -> &PgPool {
        &self.pools.control
    }

    /// How long the tenant keeps audit events.
    pub(crate) fn retention(&self) -> Duration {
        self.own.retention
    }

    /// The slots that this program knows.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.own.slots
    }
}

fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned());
    format!("{host}:{}:{:08x}", std::process::id(), rand::random::<u32>())
}
