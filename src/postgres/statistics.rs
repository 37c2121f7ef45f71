//! Refreshes the planner's statistics after an erasure or a scrub, since they hold samples of rows and readers can see them. This runs
//! outside of their transactions, which must not hold their locks for that long.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::postgres::boundary;
use crate::postgres::columns;
use crate::postgres::columns::statements::IDENTIFIERS;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "refreshing the planner's statistics";
/// `analyze` keeps the former samples of a table that is empty by now, as this one is once the last of its properties is dropped. So it
/// gets a row that nobody sees.
const PLACEHOLDER: &str =
    "insert into blueconic.profile_identifiers (property_id, value, profile_id, synced_at)
    select '', '', '', now() where not exists (select from blueconic.profile_identifiers)";
const NO_PLACEHOLDER: &str = "delete from blueconic.profile_identifiers where profile_id = ''";
/// How long other work on a table (an index build, another `analyze`) is waited for in all.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Refreshes the statistics of these tables, by their names with their schemas, and of the tables of typed columns; false if
/// that failed. What was removed is gone in any case.
pub(crate) async fn refresh(store: &PostgresStore, tables: &[&str]) -> bool {
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
    let script = if table == IDENTIFIERS {
        format!("{PLACEHOLDER}; analyze {table}; {NO_PLACEHOLDER}")
    } else {
        format!("analyze {table}")
    };
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    boundary::cross("erase/analyze", DOING, transaction.commit()).await
}
