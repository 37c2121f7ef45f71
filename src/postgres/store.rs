//! The store that the engine sees: one handle over the pools, which implements the ports by handing each call to the
//! file that knows its table.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgExecutor, PgPool};
use url::Url;
use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::{Advance, Landmark, Span};
use crate::model::cursor::Cursor;
use crate::model::event::Rename;
use crate::model::fault::Outcome;
use crate::model::lease::{Acquired, Lease};
use crate::model::ledger::{Counts, Ledger};
use crate::model::ports::Store;
use crate::model::position::Slot;
use crate::model::table::{Merge, Table};
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};
use crate::postgres::allowance::Allowances;
use crate::postgres::error::{Doing, Error};
use crate::postgres::loader::PostgresLoader;
use crate::postgres::pool::{self, Limits, Pools};
use crate::postgres::retry::Attempts;
use crate::postgres::tenant::{self, Tenant};
use crate::postgres::waits::Longest;
use crate::postgres::watched::Watched;
use crate::postgres::{boundary, counts, cursors, gaps, leases, renames, runs, seen, sweep, upkeep};

const MOVING: &str = "storing the cursor";
const COUNTING_SEEN: &str = "counting the ids that a walk saw";
const FORGETTING: &str = "forgetting the ids that a walk saw";
const SWEEPING: &str = "looking for rows that the walk did not see";
const REMOVING: &str = "removing rows that the walk did not see";
const COUNTING: &str = "counting rows";
const OPENING: &str = "getting a loading connection";
/// How long the end of all connections is waited for: one that fell silent never says goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// A database, for everything that the program wants of one.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pools: Pools,
    own: Arc<Own>,
}

/// What all clones share.
#[derive(Debug)]
struct Own {
    holder: String,
    lease_ttl: Duration,
    retention: Duration,
    slots: Vec<Slot>,
    rejects: Allowances,
}

impl PostgresStore {
    /// Connects. `slots` are the resources and scopes that this program knows, in the order in which they are shown.
    pub async fn connect(options: PgConnectOptions, limits: Limits, slots: Vec<Slot>) -> Result<Self, Error> {
        let holder = holder();
        let options = options.application_name(&leases::session_name(&holder));
        Ok(Self {
            pools: pool::connect(options, limits).await?,
            own: Arc::new(Own {
                holder,
                lease_ttl: limits.lease_ttl,
                retention: limits.retention,
                slots,
                rejects: Allowances::default(),
            }),
        })
    }

    /// Who this process is in leases and claims: host, process and a random part, since a container's process is
    /// always number 1 and its host name may be another's tomorrow.
    pub fn holder(&self) -> &str {
        &self.own.holder
    }

    /// Ends all connections, in bounded time.
    pub async fn disconnect(&self) {
        let ended = async { tokio::join!(self.pools.data.close(), self.pools.control.close()) };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::debug!("some connections to the database could not be closed in order");
        }
    }

    /// Waits for short work on the control pool, in bounded time.
    pub(crate) fn moment<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.pools.lookout.wait(doing, Longest::Moment, work)
    }

    /// Waits for what a person asked for and looks on at.
    pub(crate) fn minutes<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.pools.lookout.wait(doing, Longest::Minutes, work)
    }

    /// A control connection for work that may take long, and is watched.
    async fn watched(&self, doing: &'static str) -> Result<Watched, Error> {
        Watched::of(&self.pools.control, &self.pools.lookout, doing).await
    }

    /// Why nothing can be loaded at present, if that was tried last.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.pools.lookout.trouble()
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

    /// Makes the database this tenant's if it is nobody's, and refuses another.
    pub async fn claim_tenant(&self, url: &Url) -> Result<(), Error> {
        self.moment(
            "writing the tenant of this database",
            tenant::claim(self.control(), url),
        )
        .await
    }

    /// A run as it stands in `sync.runs`.
    pub async fn run(&self, id: Uuid) -> Result<serde_json::Value, Error> {
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

impl Store for PostgresStore {
    type Loader = PostgresLoader;

    async fn now(&self) -> Outcome<Time> {
        Ok(self
            .moment("reading the database's clock", clock(self.control()))
            .await?)
    }

    async fn acquire(&self, slot: Slot) -> Outcome<Acquired> {
        Ok(self
            .moment(
                "taking the lease",
                leases::acquire(self.control(), slot, &self.own.holder, self.own.lease_ttl),
            )
            .await?)
    }

    async fn renew(&self, lease: &Lease) -> Outcome<()> {
        Ok(self
            .moment(
                "renewing the lease",
                leases::renew(self.control(), lease, self.own.lease_ttl),
            )
            .await?)
    }

    async fn progress(&self, lease: &Lease, counts: &Counts) -> Outcome<()> {
        Ok(self
            .moment(
                "writing the counts of a run",
                runs::progress(self.control(), lease, counts),
            )
            .await?)
    }

    async fn close(&self, lease: &Lease, ledger: &Ledger) -> Outcome<()> {
        self.own.rejects.forget(lease.run_id);
        Ok(self
            .moment("closing the run", leases::close(self.control(), lease, ledger))
            .await?)
    }

    async fn cursor(&self, slot: Slot) -> Outcome<Cursor> {
        Ok(self
            .moment("reading the cursor", cursors::read(self.control(), slot))
            .await?)
    }

    async fn advance(&self, lease: &Lease, advance: &Advance) -> Outcome<()> {
        let mut session = self.watched(MOVING).await?;
        let watch = session.work();
        let work = async {
            let mut attempts = Attempts::default();
            loop {
                match move_cursor(&mut session, lease, advance).await {
                    Ok(()) => return Ok(()),
                    Err(error) => attempts.again(error).await?,
                }
            }
        };
        watch.wait(MOVING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(())
    }

    async fn loader(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Option<Walk>,
    ) -> Outcome<PostgresLoader> {
        let Pools { data, lookout, .. } = &self.pools;
        let opening = async {
            let allowance = self.moment(OPENING, self.own.rejects.of(self.control(), lease.run_id));
            let allowance = allowance.await?;
            let mut session = Watched::of(data, lookout, OPENING).await?;
            let watch = session.work();
            let open = PostgresLoader::open(session, table, lease.clone(), walk, allowance);
            watch.wait(OPENING, Longest::Minutes, open).await
        };
        let opened = opening.await;
        lookout.note_opening(&opened);
        Ok(opened?)
    }

    async fn seen(&self, walk_id: Uuid) -> Outcome<(u64, u64)> {
        let mut session = self.watched(COUNTING_SEEN).await?;
        let watch = session.work();
        let work = seen::count(&mut session, walk_id);
        let done = watch.wait(COUNTING_SEEN, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn is_empty(&self, table: &'static Table) -> Outcome<bool> {
        Ok(self
            .moment("looking for rows", counts::is_empty(self.control(), table))
            .await?)
    }

    async fn distinct(&self, walk_id: Uuid) -> Outcome<u64> {
        let mut session = self.watched(COUNTING_SEEN).await?;
        let watch = session.work();
        let work = seen::distinct(&mut session, walk_id);
        let done = watch.wait(COUNTING_SEEN, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn forget(&self, lease: &Lease, walk_id: Uuid) -> Outcome<()> {
        let mut session = self.watched(FORGETTING).await?;
        let watch = session.work();
        let work = seen::forget(&mut session, lease, walk_id);
        watch.wait(FORGETTING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(())
    }

    async fn witnesses(&self, walk_id: Uuid, limit: u32) -> Outcome<Vec<String>> {
        Ok(self
            .moment(
                "looking for ids that a walk saw",
                seen::witnesses(self.control(), walk_id, limit),
            )
            .await?)
    }

    async fn candidates(&self, table: &'static Table, walk: Walk) -> Outcome<Candidates> {
        let mut session = self.watched(SWEEPING).await?;
        let watch = session.work();
        let work = sweep::candidates(&mut session, table, walk);
        let done = watch.wait(SWEEPING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<String>> {
        Ok(self
            .moment(
                "looking for rows that the walk did not see",
                sweep::unseen(self.control(), table, walk, after, limit),
            )
            .await?)
    }

    async fn remove(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
        verdicts: &[(String, Verdict)],
    ) -> Outcome<u64> {
        let mut session = self.watched(REMOVING).await?;
        let watch = session.work();
        let work = sweep::remove(&mut session, table, lease, walk, verdicts);
        let done = watch.wait(REMOVING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn remember_asked(&self, lease: &Lease, through: Option<&str>) -> Outcome<()> {
        Ok(self
            .moment(
                "storing how far a sweep has come",
                cursors::remember_asked(self.control(), lease, through),
            )
            .await?)
    }

    async fn after_full_walk(&self, table: &'static Table) -> Outcome<Vec<String>> {
        let mut put_off = self.make_up(table).await?;
        let session = self.watched(upkeep::REFRESHING).await?;
        put_off.extend(upkeep::refresh(session, table).await?);
        Ok(put_off)
    }

    async fn make_up(&self, table: &'static Table) -> Outcome<Vec<String>> {
        if table.merge != Merge::Profile {
            return Ok(Vec::new());
        }
        let session = self.watched(upkeep::INDEXING).await?;
        Ok(upkeep::index_memberships(session).await?.into_iter().collect())
    }

    async fn rows(&self, table: &'static Table) -> Outcome<u64> {
        let mut session = self.watched(COUNTING).await?;
        let watch = session.work();
        let work = counts::rows(&mut session, table);
        let done = watch.wait(COUNTING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn rows_estimated(&self, table: &'static Table) -> Outcome<u64> {
        let mut session = self.watched(COUNTING).await?;
        let watch = session.work();
        let work = counts::rows_estimated(&mut session, table);
        let done = watch.wait(COUNTING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn erased(&self) -> Outcome<u64> {
        Ok(self
            .moment("counting erasures", counts::erased(self.control()))
            .await?)
    }

    async fn memberships(&self) -> Outcome<Vec<(String, u64)>> {
        let mut session = self.watched(COUNTING).await?;
        let watch = session.work();
        let work = counts::memberships(&mut session);
        let done = watch.wait(COUNTING, Longest::AsItTakes, work).await?;
        session.rest();
        Ok(done)
    }

    async fn open_gaps(&self, resource: &'static str) -> Outcome<Vec<Span>> {
        Ok(self
            .moment("reading the gaps", gaps::open(self.control(), resource))
            .await?)
    }

    async fn landmark(&self, up_to: Time) -> Outcome<Landmark> {
        Ok(self
            .moment("reading the gaps", gaps::landmark(self.control(), up_to))
            .await?)
    }

    async fn renames(&self) -> Outcome<Vec<Rename>> {
        Ok(self
            .moment("reading renamed values", renames::read(self.control()))
            .await?)
    }
}

/// The database's clock.
pub(crate) async fn clock(of: impl PgExecutor<'_>) -> Result<Time, Error> {
    sqlx::query_scalar!(r#"select sync.clock() as "now!""#)
        .fetch_one(of)
        .await
        .doing("reading the database's clock")
}

/// May forget the ids that a walk saw, which takes its time where they are many.
async fn move_cursor(connection: &mut PgConnection, lease: &Lease, advance: &Advance) -> Result<(), Error> {
    let now = clock(&mut *connection).await?;
    let mut transaction = connection.begin().await.doing(MOVING)?;
    gaps::apply(&mut transaction, lease, advance, now).await?;
    cursors::advance(&mut transaction, lease.slot, advance, now).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("advance", MOVING, transaction.commit()).await
}
