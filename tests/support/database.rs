//! A database of a test's own, and queries on it.

use std::sync::atomic::{AtomicU32, Ordering};

use blueconic_sync::postgres::migrate;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection, PgPool};
use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::coordinator::Coordinator;
use super::pretended;

static COUNTER: AtomicU32 = AtomicU32::new(0);
static MIGRATED: OnceCell<String> = OnceCell::const_new();

/// Makes a database on a server, empty or a copy of another one.
pub(crate) async fn create(cluster: &Cluster, template: &str) -> String {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = format!("it_{}_{number}", std::process::id());
    let mut admin = PgConnection::connect_with(&cluster.options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create database {name} template {template}"
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    name
}

/// A database that the binary fills.
pub(crate) struct Database {
    pub(crate) name: String,
    /// For `DATABASE_URL`.
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

/// The migrated database on the shared server of which tests get copies: a copy takes a fraction of the time of all migrations.
pub(crate) async fn migrated() -> &'static str {
    MIGRATED
        .get_or_init(|| async {
            let database = Database::bare().await;
            migrate::apply(&options_of(&database)).await.unwrap();
            if pretended::is_wanted() {
                pretended::pretend(&database).await;
                database.pool.close().await;
            }
            database.name
        })
        .await
}

impl Database {
    /// A migrated database without rows; with `CITUS_URL` one whose tables are distributed.
    pub(crate) async fn empty() -> Self {
        if let Some(coordinator) = Coordinator::named() {
            return coordinator.distributed().await;
        }
        Self::copy(Cluster::shared(), migrated().await).await
    }

    /// A database in which nothing is.
    pub(crate) async fn bare() -> Self {
        Self::on(Cluster::shared()).await
    }

    /// A bare database on another server.
    pub(crate) async fn on(cluster: &Cluster) -> Self {
        Self::copy(cluster, "template0").await
    }

    /// A copy of a database without connections.
    pub(crate) async fn copy(cluster: &Cluster, template: &str) -> Self {
        let name = create(cluster, template).await;
        let options = cluster.options.clone().database(&name);
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
        Self {
            url: cluster.url_of(&name),
            name,
            pool,
        }
    }

    /// Its address for another role.
    pub(crate) fn url_as(&self, role: &str) -> String {
        format!("{}&user={role}", self.url)
    }

    /// Drops it, for a test that makes many.
    pub(crate) async fn remove(self, cluster: &Cluster) {
        self.pool.close().await;
        let mut admin = PgConnection::connect_with(&cluster.options).await.unwrap();
        let drop = format!("drop database {} with (force)", self.name);
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut admin)
            .await
            .unwrap();
    }

    /// The only value that a query returns.
    pub(crate) async fn one<T>(&self, sql: &str) -> T
    where
        (T,): for<'row> FromRow<'row, PgRow>,
        T: Send + Unpin,
    {
        let (value,): (T,) = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        value
    }

    /// How many rows a table or a condition on it has: `count("sync.gaps where closed_at is null")`.
    pub(crate) async fn count(&self, from: &str) -> i64 {
        self.one(&format!("select count(*) from {from}")).await
    }

    /// All rows of a query with columns of one type.
    pub(crate) async fn rows<R>(&self, sql: &str) -> Vec<R>
    where
        R: for<'row> FromRow<'row, PgRow> + Send + Unpin,
    {
        sqlx::query_as(AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The texts that a query returns.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let rows: Vec<(String,)> = self.rows(sql).await;
        rows.into_iter().map(|(text,)| text).collect()
    }

    /// Runs statements.
    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

/// A database as an older version left it. The sixth pending migration locks `profiles`.
pub(crate) async fn of_an_older_version(database: &Database) {
    let mut connection = PgConnection::connect_with(&options_of(database)).await.unwrap();
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_locking(false);
    migrator.dangerous_set_table_name("sync._sqlx_migrations");
    migrator.create_schema("sync");
    migrator
        .run_direct(Some(5), &mut connection, false)
        .await
        .unwrap();
}

fn options_of(database: &Database) -> PgConnectOptions {
    Cluster::shared().options.clone().database(&database.name)
}
