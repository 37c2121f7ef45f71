//! A pooled connection whose server process id is known, so that its work can be observed.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::postgres::error::{Doing, Error};
use crate::postgres::waits::{SessionMonitor, WaitLimit};

/// A pooled connection whose server process id is known. A connection whose work did not end is closed, not returned to
/// the pool, since the server may still send results on it; [`SessionMonitor::end_abandoned`] ends its session.
#[derive(Debug)]
pub(crate) struct WatchedConnection {
    connection: PoolConnection<Postgres>,
    watch: SessionWatch,
    at_work: bool,
}

/// Observes one session.
#[derive(Debug, Clone)]
pub(crate) struct SessionWatch {
    monitor: SessionMonitor,
    pid: i32,
}

impl WatchedConnection {
    /// Takes a connection out of the pool.
    pub(crate) async fn of(
        pool: &PgPool,
        monitor: &SessionMonitor,
        doing: &'static str,
    ) -> Result<Self, Error> {
        let opening = async {
            let mut connection = pool.acquire().await.doing(doing)?;
            let pid = sqlx::query_scalar!(r#"select pg_catalog.pg_backend_pid() as "pid!""#)
                .fetch_one(&mut *connection)
                .await
                .doing(doing)?;
            Ok((connection, pid))
        };
        let (connection, pid) = monitor.wait(doing, WaitLimit::Short, opening).await?;
        Ok(Self {
            connection,
            watch: SessionWatch {
                monitor: monitor.clone(),
                pid,
            },
            at_work: false,
        })
    }

    /// Starts work, which [`WatchedConnection::rest`] ends. If the work is dropped in between, the connection is closed.
    pub(crate) fn work(&mut self) -> SessionWatch {
        self.at_work = true;
        self.watch.clone()
    }

    /// Marks the work as done, so that the connection can be used again.
    pub(crate) fn rest(&mut self) {
        self.at_work = false;
    }
}

impl SessionWatch {
    /// Waits for work on this session.
    pub(crate) fn wait<T>(
        &self,
        doing: &'static str,
        limit: WaitLimit,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        self.monitor.watch(doing, limit, Some(self.pid), work)
    }

    /// The same for loads; `readyz` reports if loading fails.
    pub(crate) fn wait_to_load<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> impl Future<Output = Result<T, Error>> {
        let work = self.wait(doing, WaitLimit::Minutes, work);
        async {
            let done = work.await;
            self.monitor.note_load(&done);
            done
        }
    }
}

impl std::ops::Deref for WatchedConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl std::ops::DerefMut for WatchedConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for WatchedConnection {
    fn drop(&mut self) {
        if self.at_work {
            self.watch.monitor.abandon(self.watch.pid);
            self.connection.close_on_drop();
        }
    }
}

/// Whether a connection answers in time. A pool checks this before it hands out a connection, and when it takes one back from
/// work that may have been dropped halfway; a connection that does not answer is closed.
pub(crate) async fn answers(connection: &mut PgConnection, within: Duration) -> bool {
    timeout(within, connection.ping())
        .await
        .is_ok_and(|answer| answer.is_ok())
}
