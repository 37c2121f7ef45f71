//! Refreshes the planner's statistics after an erasure, since they hold samples of rows and readers can see them. This runs
//! outside the erasure's transaction, which must not hold its lock for that long.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::postgres::boundary;
use crate::postgres::columns;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "refreshing the planner's statistics";
/// How long other work on a table (an index build, another `analyze`) is waited for in all.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Refreshes the statistics of these tables, by their names with their schemas, and of the tables of typed columns; false if
/// that failed. The erasure holds in any case.
pub(super) async fn refresh(store: &PostgresStore, tables: &[&str]) -> bool {
    let typed = match typed_tables(store).await {
        Ok(typed) => typed,
        Err(error) => {
            tracing::warn!(%error, "the planner's statistics of the typed columns could not be refreshed");
            return false;
        }
    };
    let tables: BTreeSet<&str> = tables
        .iter()
        .copied()
        .chain(typed.iter().map(String::as_str))
        .collect();
    let mut all = true;
    for table in tables {
        if let Err(error) = patiently(store, table).await {
            tracing::warn!(table, %error, "the planner's statistics of `{table}` could not be refreshed");
            all = false;
        }
    }
    all
}

async fn typed_tables(store: &PostgresStore) -> Result<Vec<String>, Error> {
    let reading = async {
        let mut connection = store.control().acquire().await.doing(DOING)?;
        columns::tables(&mut connection).await
    };
    store.moment(DOING, reading).await
}

async fn patiently(store: &PostgresStore, table: &str) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match analyze(store, table).await {
            Err(error) if error.is_transient() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Runs `analyze` and gives up before the server detects a deadlock (after a second) and ends one side: a concurrent index
/// build waits for every older transaction, and so for this one, which would wait for the index build's lock on the table.
async fn analyze(store: &PostgresStore, table: &str) -> Result<(), Error> {
    let mut transaction = store.control().begin().await.doing(DOING)?;
    sqlx::query!("select set_config('lock_timeout', '300ms', true)")
        .fetch_one(&mut *transaction)
        .await
        .doing(DOING)?;
    sqlx::query(AssertSqlSafe(format!("analyze {table}")))
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    boundary::cross("erase/analyze", DOING, transaction.commit()).await
}
