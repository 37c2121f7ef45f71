//! The store that the engine sees: one handle over the pools, which implements the ports by handing each call to the
//! file that knows its table.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};
use url::Url;
use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::{Advance, Landmark, Span};
use crate::model::event::Rename;
use crate::model::fault::Outcome;
use crate::model::ledger::{Counts, Ledger};
use crate::model::ports::{Acquired, Candidates, Cursor, Lease, Store, Verdict, Walk};
use crate::model::position::Slot;
use crate::model::table::{Merge, Table};
use crate::postgres::allowance::Allowances;
use crate::postgres::error::{Doing, Error};
use crate::postgres::loader::PostgresLoader;
use crate::postgres::pool::{self, Limits, Pools};
use crate::postgres::retry::Attempts;
use crate::postgres::tenant::{self, Tenant};
use crate::postgres::{boundary, counts, cursors, gaps, leases, renames, runs, seen, sweep};

/// The index that makes membership fast; a first full load is three times as fast without it.
const MEMBERSHIP_INDEX: &str = "profiles_segment_ids";

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

    /// Ends all connections.
    pub async fn disconnect(&self) {
        self.pools.data.close().await;
        self.pools.control.close().await;
    }

    /// The tenant of this database, if a run has written it.
    pub async fn tenant(&self) -> Result<Option<Tenant>, Error> {
        tenant::read(self.control()).await
    }

    /// Refuses another tenant than this database's. Writes nothing.
    pub async fn verify_tenant(&self, url: &Url) -> Result<(), Error> {
        tenant::verify(self.control(), url).await
    }

    /// Makes the database this tenant's if it is nobody's, and refuses another.
    pub async fn claim_tenant(&self, url: &Url) -> Result<(), Error> {
        tenant::claim(self.control(), url).await
    }

    /// A run as it stands in `sync.runs`.
    pub async fn run(&self, id: Uuid) -> Result<serde_json::Value, Error> {
        runs::row(self.control(), id).await
    }

    /// The pool for everything short.
    pub(crate) fn control(&self) -> &PgPool {
        &self.pools.control
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
        Ok(clock(self.control()).await?)
    }

    async fn acquire(&self, slot: Slot) -> Outcome<Acquired> {
        Ok(leases::acquire(self.control(), slot, &self.own.holder, self.own.lease_ttl).await?)
    }

    async fn renew(&self, lease: &Lease) -> Outcome<()> {
        Ok(leases::renew(self.control(), lease, self.own.lease_ttl).await?)
    }

    async fn progress(&self, lease: &Lease, counts: &Counts) -> Outcome<()> {
        Ok(runs::progress(self.control(), lease, counts).await?)
    }

    async fn close(&self, lease: &Lease, ledger: &Ledger) -> Outcome<()> {
        self.own.rejects.forget(lease.run_id);
        Ok(leases::close(self.control(), lease, ledger).await?)
    }

    async fn cursor(&self, slot: Slot) -> Outcome<Cursor> {
        Ok(cursors::read(self.control(), slot).await?)
    }

    async fn advance(&self, lease: &Lease, advance: &Advance) -> Outcome<()> {
        let mut attempts = Attempts::default();
        loop {
            match move_cursor(self.control(), lease, advance).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.again(error).await?,
            }
        }
    }

    async fn loader(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Option<Walk>,
    ) -> Outcome<PostgresLoader> {
        let connection = self
            .pools
            .data
            .acquire()
            .await
            .doing("getting a loading connection")?;
        let allowance = self.own.rejects.of(self.control(), lease.run_id).await?;
        Ok(PostgresLoader::open(connection, table, lease.clone(), walk, allowance).await?)
    }

    async fn seen(&self, walk_id: Uuid) -> Outcome<(u64, u64)> {
        Ok(seen::count(self.control(), walk_id).await?)
    }

    async fn is_empty(&self, table: &'static Table) -> Outcome<bool> {
        Ok(counts::is_empty(self.control(), table).await?)
    }

    async fn distinct(&self, walk_id: Uuid) -> Outcome<u64> {
        Ok(seen::distinct(self.control(), walk_id).await?)
    }

    async fn forget(&self, lease: &Lease, walk_id: Uuid) -> Outcome<()> {
        Ok(seen::forget(self.control(), lease, walk_id).await?)
    }

    async fn witnesses(&self, walk_id: Uuid, limit: u32) -> Outcome<Vec<String>> {
        Ok(seen::witnesses(self.control(), walk_id, limit).await?)
    }

    async fn candidates(&self, table: &'static Table, walk: Walk) -> Outcome<Candidates> {
        Ok(sweep::candidates(self.control(), table, walk).await?)
    }

    async fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<String>> {
        Ok(sweep::unseen(self.control(), table, walk, after, limit).await?)
    }

    async fn remove(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
        verdicts: &[(String, Verdict)],
    ) -> Outcome<u64> {
        Ok(sweep::remove(self.control(), table, lease, walk, verdicts).await?)
    }

    async fn remember_asked(&self, lease: &Lease, through: Option<&str>) -> Outcome<()> {
        Ok(cursors::remember_asked(self.control(), lease, through).await?)
    }

    async fn after_full_walk(&self, table: &'static Table) -> Outcome<()> {
        if table.merge == Merge::Profile {
            index_memberships(self.control()).await?;
        }
        Ok(analyze(self.control(), table).await?)
    }

    async fn rows(&self, table: &'static Table) -> Outcome<u64> {
        Ok(counts::rows(self.control(), table).await?)
    }

    async fn rows_estimated(&self, table: &'static Table) -> Outcome<u64> {
        Ok(counts::rows_estimated(self.control(), table).await?)
    }

    async fn erased(&self) -> Outcome<u64> {
        Ok(counts::erased(self.control()).await?)
    }

    async fn memberships(&self) -> Outcome<Vec<(String, u64)>> {
        Ok(counts::memberships(self.control()).await?)
    }

    async fn open_gaps(&self, resource: &'static str) -> Outcome<Vec<Span>> {
        Ok(gaps::open(self.control(), resource).await?)
    }

    async fn landmark(&self, up_to: Time) -> Outcome<Landmark> {
        Ok(gaps::landmark(self.control(), up_to).await?)
    }

    async fn renames(&self) -> Outcome<Vec<Rename>> {
        Ok(renames::read(self.control()).await?)
    }
}

/// The database's clock.
pub(crate) async fn clock(pool: &PgPool) -> Result<Time, Error> {
    sqlx::query_scalar!(r#"select sync.clock() as "now!""#)
        .fetch_one(pool)
        .await
        .doing("reading the database's clock")
}

async fn move_cursor(pool: &PgPool, lease: &Lease, advance: &Advance) -> Result<(), Error> {
    const DOING: &str = "storing the cursor";
    let now = clock(pool).await?;
    let mut transaction = pool.begin().await.doing(DOING)?;
    gaps::apply(&mut transaction, lease, advance, now).await?;
    cursors::advance(&mut transaction, lease.slot, advance, now).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("advance", DOING, transaction.commit()).await
}

/// Concurrently, so that an increment can load meanwhile; what a failed attempt left is made anew.
async fn index_memberships(pool: &PgPool) -> Result<(), Error> {
    const DOING: &str = "indexing memberships";
    let valid = sqlx::query_scalar!(
        "select i.indisvalid from pg_index as i where i.indexrelid = to_regclass('blueconic.' || $1)",
        MEMBERSHIP_INDEX
    )
    .fetch_optional(pool)
    .await
    .doing(DOING)?;
    if valid == Some(true) {
        return Ok(());
    }
    let drop = sqlx::query("drop index concurrently if exists blueconic.profiles_segment_ids").execute(pool);
    boundary::cross("index/drop", DOING, drop).await?;
    let make = sqlx::query(
        "create index concurrently profiles_segment_ids on blueconic.profiles using gin (segment_ids)",
    )
    .execute(pool);
    boundary::cross("index/make", DOING, make).await?;
    Ok(())
}

/// Whether a table has changed enough since its statistics were made, as autovacuum judges it (50 rows and a tenth).
const STATISTICS_ARE_OLD: &str = "
select coalesce(greatest(last_analyze, last_autoanalyze) is null
  or n_mod_since_analyze > 50 + n_live_tup / 10, true)
from pg_stat_user_tables where relid = to_regclass('blueconic.' || quote_ident($1))";

/// Reading a sample of wide rows takes longer than a walk that changes nothing, and the usual sample is the whole table
/// where it has some ten thousand pages: a tenth of it will do until autovacuum comes.
async fn analyze(pool: &PgPool, table: &Table) -> Result<(), Error> {
    const DOING: &str = "refreshing the planner's statistics";
    let old: Option<bool> = sqlx::query_scalar(STATISTICS_ARE_OLD)
        .bind(table.name)
        .fetch_optional(pool)
        .await
        .doing(DOING)?;
    if old == Some(false) {
        return Ok(());
    }
    let mut transaction = pool.begin().await.doing(DOING)?;
    sqlx::query!("select set_config('default_statistics_target', '10', true)")
        .fetch_one(&mut *transaction)
        .await
        .doing(DOING)?;
    sqlx::query(AssertSqlSafe(format!("analyze blueconic.\"{}\"", table.name)))
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    boundary::cross("analyze", DOING, transaction.commit()).await
}
