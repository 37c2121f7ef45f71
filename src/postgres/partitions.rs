//! Creates monthly partitions, in advance and for each month of a batch, in transactions before the one that needs
//! them. Attaching a partition waits for sessions that alter the table or build an index. Each attempt waits briefly,
//! so that no queue forms.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use chrono::{Datelike as _, NaiveDate, NaiveTime};
use sqlx::{Connection as _, PgConnection};

use crate::model::Time;
use crate::model::rows::{Rows, timestamp_at};
use crate::model::table::{ColumnKind, Merge, Table};
use crate::postgres::boundary;
use crate::postgres::clock;
use crate::postgres::error::{Doing, Error};

const AHEAD: &str = "making partitions ahead";
const STAGED: &str = "making partitions";
/// How long one try waits for a lock.
const TRY: &str = "5s";
/// The pause between two attempts, in which other sessions proceed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a partition that a batch needs is tried for.
const PATIENCE: Duration = Duration::from_secs(45);
/// The years whose months have partitions of their own in a table of history. Its migration made one partition for all earlier dates
/// and one for all later ones, since a tenant's dates may be wrong, and each month would take a partition.
const YEARS: Range<i32> = 2010..2050;

/// A month, as it is passed to the database: its first moment.
type Month = Time;

/// How the rows of a table are divided into partitions: by month of the timestamp in the table's key.
#[derive(Debug)]
pub(crate) struct Months {
    table: &'static str,
    /// The index of the timestamp among the columns.
    column: usize,
    /// The years whose months have partitions of their own; none: all.
    years: Option<Range<i32>>,
}

impl Months {
    /// Those of a table; none if it has no partitions.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let years = match table.merge {
            Merge::Occurrence => None,
            Merge::ChildHistory | Merge::ListedHistory => Some(YEARS),
            Merge::Upsert | Merge::Profile | Merge::OfProfile | Merge::Child => return None,
        };
        let mut columns = table.columns.iter();
        let column = columns
            .position(|column| column.kind == ColumnKind::Timestamptz && table.key.contains(&column.name))?;
        Some(Self {
            table: table.name,
            column,
            years,
        })
    }

    /// The months of rows that need partitions of their own.
    fn of_rows(&self, rows: &Rows) -> BTreeSet<Month> {
        let moments = rows.tuples().filter_map(|tuple| timestamp_at(tuple, self.column));
        let moments = moments.filter(|moment| {
            let years = self.years.as_ref();
            years.is_none_or(|years| years.contains(&moment.year()))
        });
        let months: BTreeSet<(i32, u32)> = moments.map(|moment| (moment.year(), moment.month())).collect();
        let first = |(year, month)| NaiveDate::from_ymd_opt(year, month, 1);
        let months = months.into_iter().filter_map(first);
        months.map(|day| day.and_time(NaiveTime::MIN).and_utc()).collect()
    }
}

/// The partitions that a loading connection has found or made.
pub(crate) type KnownPartitions = HashSet<(&'static str, Month)>;

/// Creates the partitions of this month and the next two. A blocked attempt is postponed: a batch creates the partition
/// that it needs.
pub(crate) async fn ahead(connection: &mut PgConnection, table: &str) -> Result<(), Error> {
    let now = clock::now(&mut *connection, AHEAD).await?;
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

/// Makes a partition for every month of these rows, unless it is known.
pub(crate) async fn for_rows(
    connection: &mut PgConnection,
    months: Option<&Months>,
    rows: &Rows,
    known: &mut KnownPartitions,
) -> Result<(), Error> {
    let Some(months) = months else {
        return Ok(());
    };
    let began = Instant::now();
    for month in months.of_rows(rows) {
        if known.contains(&(months.table, month)) {
            continue;
        }
        loop {
            let mut transaction = patient(connection, STAGED).await?;
            match make(&mut transaction, months.table, (month, month), STAGED).await {
                Ok(()) => {
                    boundary::cross("partitions/staged", STAGED, transaction.commit()).await?;
                    known.insert((months.table, month));
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
