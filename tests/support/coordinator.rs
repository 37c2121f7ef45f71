//! A cluster of Citus that somebody has made: `CITUS_URL` names its coordinator, for a superuser. Each test gets a database of its
//! own on all of its nodes, in which the program has distributed its tables.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};

use super::database::Database;
use super::eventually;
use super::program::Program;

static COUNTER: AtomicU32 = AtomicU32::new(0);
static NAMED: OnceLock<Option<Coordinator>> = OnceLock::new();

pub(crate) struct Coordinator {
    url: url::Url,
}

impl Coordinator {
    /// The one of `CITUS_URL`.
    pub(crate) fn named() -> Option<&'static Self> {
        let read = || {
            let url = std::env::var("CITUS_URL").ok()?;
            Some(Self {
                url: url.parse().unwrap(),
            })
        };
        NAMED.get_or_init(read).as_ref()
    }

    fn url_of(&self, name: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(name);
        url.to_string()
    }

    fn options(&self) -> PgConnectOptions {
        self.url.as_str().parse().unwrap()
    }

    /// A database with distributed tables and no rows.
    pub(crate) async fn distributed(&self) -> Database {
        let database = self.bare().await;
        let program = Program::new("http://127.0.0.1:9", &database.url);
        program.expect(0, &["migrate"]).await;
        program.expect(0, &["distribute", "--yes"]).await;
        database
    }

    /// A database with the extension, that knows all nodes which that of `CITUS_URL` knows.
    pub(crate) async fn bare(&self) -> Database {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("it_{}_{number}", std::process::id());
        let mut known = self.options().connect().await.unwrap();
        let nodes: Vec<(String, i32, i32)> = sqlx::query_as(
            "select nodename, nodeport, groupid from pg_dist_node where isactive and noderole = 'primary' order by groupid",
        )
        .fetch_all(&mut known)
        .await
        .unwrap();
        for (host, port, _) in &nodes {
            let node = self.options().host(host).port(u16::try_from(*port).unwrap());
            run(
                &mut node.connect().await.unwrap(),
                &format!("create database {name}"),
            )
            .await;
            run(
                &mut node.database(&name).connect().await.unwrap(),
                "create extension citus",
            )
            .await;
        }
        let mut own = self.options().database(&name).connect().await.unwrap();
        for (host, port, group) in &nodes {
            let join = if *group == 0 {
                "citus_set_coordinator_host"
            } else {
                "citus_add_node"
            };
            let join = format!("select {join}('{host}', {port})");
            // A node whose database was just made may not answer Citus at once.
            eventually("the node answers", Duration::from_secs(30), async || {
                let joined = sqlx::raw_sql(AssertSqlSafe(join.clone())).execute(&mut own).await;
                match joined {
                    Err(error) if error.to_string().contains("failure on connection") => None,
                    joined => Some(joined.unwrap()),
                }
            })
            .await;
        }
        let options = self.options().database(&name);
        Database {
            url: self.url_of(&name),
            name,
            pool: PgPoolOptions::new().max_connections(4).connect_lazy_with(options),
        }
    }
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}
