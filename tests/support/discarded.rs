//! Databases are dropped when their tests have ended. Autovacuum visits every database of a server in turn, so that hundreds of them keep
//! a core busy, and they fill the disk.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::cluster::Cluster;

/// Drops a database of the shared server when it is dropped itself.
pub(crate) struct Discarded(Option<String>);

impl Discarded {
    pub(crate) fn with_its_test(database: &str) -> Self {
        Self(Some(database.to_owned()))
    }

    /// For a database that ends otherwise.
    pub(crate) fn never() -> Self {
        Self(None)
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        static DROPPING: OnceLock<Sender<String>> = OnceLock::new();
        let Some(name) = self.0.take() else { return };
        let dropping = DROPPING.get_or_init(|| {
            let (sender, names) = channel();
            std::thread::spawn(move || drop_all(&names));
            sender
        });
        // The thread ends with the process alone.
        let _ = dropping.send(name);
    }
}

/// One after the other, beside the tests. What the end of the process cuts off goes with the server.
#[expect(clippy::print_stderr, reason = "a person should see it")]
fn drop_all(names: &Receiver<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for name in names {
        let dropped = runtime.block_on(async {
            let mut admin = PgConnection::connect_with(&Cluster::shared().options).await?;
            let statement = format!("drop database if exists {name} with (force)");
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut admin)
                .await?;
            admin.close().await
        });
        if let Err(error) = dropped {
            eprintln!("the database {name} of a test stays: {error}");
        }
    }
}
