//! A primary that is lost for good, and the standby that takes its place: in step with it, or behind.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::cluster::Cluster;
use super::database::Database;
use super::discarded::Discarded;
use super::eventually;
use super::gateway::Gateway;
use super::program::LONG;

/// A primary with a standby, and the address by which programs reach either.
pub(crate) struct Servers {
    primary: Cluster,
    standby: Cluster,
    pub(crate) gateway: Gateway,
    pub(crate) database: Database,
}

impl Servers {
    pub(crate) async fn new() -> Self {
        let primary = tokio::task::block_in_place(Cluster::start);
        let standby = tokio::task::block_in_place(|| primary.standby());
        Self {
            gateway: Gateway::before(primary.socket()).await,
            database: Database::on(&primary).await,
            primary,
            standby,
        }
    }

    /// The database as the standby has it.
    pub(crate) fn replica(&self) -> Database {
        let options = self.standby.options.clone().database(&self.database.name);
        Database {
            name: self.database.name.clone(),
            url: self.standby.url_of(&self.database.name),
            pool: sqlx::PgPool::connect_lazy_with(options),
            discarded: Discarded::never(),
        }
    }

    /// Waits until the standby has all that is committed.
    pub(crate) async fn in_step(&self) {
        let committed: String = self.database.one("select pg_current_wal_flush_lsn()::text").await;
        let replica = self.replica();
        let replayed = format!("select pg_last_wal_replay_lsn() >= '{committed}'::pg_lsn");
        eventually("the standby has replayed everything", LONG, async || {
            replica.one::<bool>(&replayed).await.then_some(())
        })
        .await;
        replica.pool.close().await;
    }

    /// From now on the standby receives nothing.
    pub(crate) async fn part(&self) {
        let mut admin = PgConnection::connect_with(&self.standby.options).await.unwrap();
        for statement in [
            "alter system set primary_conninfo = ''",
            "select pg_reload_conf()",
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        eventually("the standby receives nothing", LONG, async || {
            let receivers: i64 = sqlx::query_scalar("select count(*) from pg_stat_wal_receiver")
                .fetch_one(&mut admin)
                .await
                .unwrap();
            (receivers == 0).then_some(())
        })
        .await;
    }

    /// The primary is lost, and the standby takes its place. Returns the database there.
    pub(crate) async fn fail_over(&self) -> Database {
        self.database.pool.close().await;
        tokio::task::block_in_place(|| self.primary.crash());
        let mut admin = PgConnection::connect_with(&self.standby.options).await.unwrap();
        let promoted: bool = sqlx::query_scalar("select pg_promote()")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert!(promoted);
        self.gateway.point_at(self.standby.socket());
        self.replica()
    }
}
