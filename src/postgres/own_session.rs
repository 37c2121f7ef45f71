//! A connection outside of the pools whose session on the server is known by its process id, so that each wait on it can be
//! ended.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::postgres::error::{Doing, Error};
use crate::postgres::session::{self, Purpose, Server};
use crate::postgres::waits::{SessionMonitor, WaitLimit};

/// The connection, and what its server said of itself.
pub(crate) struct OwnSession {
    pub(crate) inner: PgConnection,
    pub(crate) pid: i32,
    pub(crate) server: Server,
    pub(crate) monitor: SessionMonitor,
}

impl OwnSession {
    /// Opens it, and refuses an unsuitable server.
    pub(crate) async fn open(
        options: &PgConnectOptions,
        monitor: &SessionMonitor,
        purpose: Purpose,
    ) -> Result<Self, Error> {
        const DOING: &str = "opening a connection";
        let opening = async {
            let (mut inner, server) = session::open_and_ask(options, purpose).await?;
            let pid = sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#)
                .fetch_one(&mut inner)
                .await
                .doing(DOING)?;
            Ok(Self {
                inner,
                pid,
                server,
                monitor: monitor.clone(),
            })
        };
        monitor.wait(DOING, WaitLimit::Short, opening).await
    }

    /// Waits for a short statement, or one that ends a transaction.
    pub(crate) async fn moment<T>(
        &mut self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Error> {
        let Self {
            inner, pid, monitor, ..
        } = self;
        let work = async { work(inner).await.doing(doing) };
        monitor.watch(doing, WaitLimit::Short, Some(*pid), work).await
    }

    /// Closes it.
    pub(crate) async fn close(self) -> Result<(), Error> {
        const DOING: &str = "closing a connection";
        let Self {
            inner, pid, monitor, ..
        } = self;
        let closing = async { inner.close().await.doing(DOING) };
        monitor.watch(DOING, WaitLimit::Short, Some(pid), closing).await
    }
}
