//! Creates monthly partitions, in advance and for each month of a batch, in transactions before the one that needs
//! them. Attaching a partition waits for sessions that alter the table or build an index. Each attempt waits briefly,
//! so that no queue forms.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::Time;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;

const AHEAD: &str = "making partitions ahead";
const STAGED: &str = "making partitions";
/// How long one try waits for a lock.
const TRY: &str = "5s";
/// The pause between two attempts, in which other sessions proceed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a partition that a batch needs is tried for.
const PATIENCE: Duration = Duration::from_secs(45);

/// Creates the partitions of this month and the next two. A blocked attempt is postponed: a batch creates the partition
/// that it needs.
pub(crate) async fn ahead(connection: &mut PgConnection, table: &str) -> Result<(), Error> {
    let now = sqlx::query_scalar!(r#"select sync.clock() as "now!""#)
        .fetch_one(&mut *connection)
        .await
        .doing(AHEAD)?;
    let until = now.checked_add_months(chrono::Months::new(2)).unwrap_or(now);
    let mut transaction = patient(connection, AHEAD).await?;
    let made = make(&mut transaction, table, (now, until), AHEAD).await;
    match made {
        Ok(()) => boundary::cross("partitions/ahead", AHEAD, transaction.commit()).await,
        Err(error) if error.is_lock_not_had() => {
            tracing::info!(
                "partitions of the coming months are postponed: somebody holds a lock on `{table}`"
            );
            transaction.rollback().await.doing(AHEAD)
        }
        Err(error) => Err(error),
    }
}

/// Makes a partition for every month that is staged.
pub(crate) async fn for_staged(
    connection: &mut PgConnection,
    table: &str,
    sql: &Statements,
) -> Result<(), Error> {
    let Some(months) = &sql.staged_months else {
        return Ok(());
    };
    let months: Vec<Time> = sqlx::query_scalar(AssertSqlSafe(months.as_str()))
        .fetch_all(&mut *connection)
        .await
        .doing("looking for the months of a batch")?;
    let began = Instant::now();
    for month in months {
        loop {
            let mut transaction = patient(connection, STAGED).await?;
            match make(&mut transaction, table, (month, month), STAGED).await {
                Ok(()) => {
                    boundary::cross("partitions/staged", STAGED, transaction.commit()).await?;
                    break;
                }
                Err(error) if error.is_lock_not_had() && began.elapsed() < PATIENCE => {
                    transaction.rollback().await.doing(STAGED)?;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// A transaction that waits for no lock for long.
async fn patient<'connection>(
    connection: &'connection mut PgConnection,
    doing: &'static str,
) -> Result<sqlx::PgTransaction<'connection>, Error> {
    let mut transaction = connection.begin().await.doing(doing)?;
    sqlx::query!("select set_config('lock_timeout', $1, true)", TRY)
        .fetch_one(&mut *transaction)
        .await
        .doing(doing)?;
    Ok(transaction)
}

async fn make(
    connection: &mut PgConnection,
    table: &str,
    (first, last): (Time, Time),
    doing: &'static str,
) -> Result<(), Error> {
    sqlx::query!(
        "select sync.make_month_partitions($1, $2, $3)",
        table,
        first,
        last
    )
    .fetch_one(connection)
    .await
    .doing(doing)?;
    Ok(())
}
