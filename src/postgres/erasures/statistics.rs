//! The planner's statistics hold samples of what rows said, and readers may look at them: they are made anew when a person
//! has left a table. Outside the erasure's transaction, which must not hold its lock for so long.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "refreshing the planner's statistics";
/// How long other work on a table (the building of an index, another `analyze`) is waited for in all.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes the statistics of these tables anew; false when that could not be done. The erasure stands all the same.
pub(super) async fn refresh(store: &PostgresStore, tables: impl Iterator<Item = &str>) -> bool {
    let mut all = true;
    for table in tables {
        if let Err(error) = patiently(store, table).await {
            tracing::warn!(table, %error, "the planner's statistics of `{table}` could not be refreshed");
            all = false;
        }
    }
    all
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

/// Whoever builds an index concurrently waits for every older transaction, this one included, which would wait for its
/// lock on the table: give up before the server calls that a deadlock (after a second) and ends either.
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
