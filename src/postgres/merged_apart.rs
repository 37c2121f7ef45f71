//! Merges staged profiles into a distributed table. What a plain server reads in the merge itself, the rows as they were, is read
//! before it here, under locks where it matters.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::Time;
use crate::model::batch::{Batch, Written};
use crate::postgres::bigint::{from_length, to_count};
use crate::postgres::distributed::HOLD;
use crate::postgres::error::{Doing, Error};
use crate::postgres::recorded::recording::{Former, Recorded};

const DOING: &str = "merging profiles";
/// A new row with an older date came back, or came into the segment: it is not late.
const OLDEST_LATE: TimeDelta = TimeDelta::days(1);

/// What a merge of staged rows wrote.
pub(crate) struct Merged {
    pub(crate) inserted: Vec<String>,
    pub(crate) updated: Vec<String>,
    /// The updated ones that may differ in what a history is made from.
    pub(crate) kept: Vec<String>,
    /// What these were.
    pub(crate) former: Former,
}

/// What a merge over distributed rows needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Apart<'load> {
    /// The statement that merges.
    pub(crate) statement: &'load str,
    /// The staging table.
    pub(crate) staging: &'load str,
    /// The transaction's time.
    pub(crate) now: Time,
    /// The time that an increment has passed.
    pub(crate) passed: Option<Time>,
    /// The histories that are recorded.
    pub(crate) recorded: &'load Recorded,
}

/// Merges the staged rows, and locks the rows of further ids.
pub(crate) async fn merge_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    locked: &[&str],
    context: Apart<'_>,
    written: &mut Written,
) -> Result<Merged, Error> {
    let ids: Vec<&str> = batch.rows.ids().collect();
    let (held, former) = if context.recorded.has_rows() {
        let held: Vec<String> = sqlx::query_scalar(HOLD)
            .bind(&ids)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        (Some(held), context.recorded.keep_rows(connection, &ids).await?)
    } else {
        (None, Former::default())
    };
    let dates = match context.passed {
        Some(_) => dates(connection, &ids).await?,
        None => HashMap::new(),
    };
    let (inserted_rows, updated_rows, inserted, updated): (i64, i64, Vec<String>, Vec<String>) =
        sqlx::query_as(AssertSqlSafe(context.statement))
            .bind(context.now)
            .bind(locked)
            .fetch_one(&mut *connection)
            .await
            .doing(DOING)?;
    if let Some(held) = held {
        let held: HashSet<&String> = held.iter().collect();
        if updated.iter().any(|id| !held.contains(id)) {
            try_again(connection).await?;
        }
    }
    written.inserted = to_count(inserted_rows);
    written.updated = to_count(updated_rows);
    written.unchanged = from_length(batch.rows.len()).saturating_sub(written.inserted + written.updated);
    if let Some(passed) = context.passed {
        let staged = staged_until(connection, context.staging, passed).await?;
        let new: HashSet<&str> = inserted.iter().map(String::as_str).collect();
        let changed: HashSet<&str> = updated.iter().map(String::as_str).collect();
        let late = staged.iter().filter(|(id, at)| {
            (new.contains(id.as_str()) && *at > passed - OLDEST_LATE)
                || (changed.contains(id.as_str())
                    && dates.get(id).copied().flatten().is_none_or(|was| was < *at))
        });
        let by: Vec<i64> = late.map(|(_, at)| (passed - *at).num_seconds()).collect();
        written.late = from_length(by.len());
        written.late_by = by.into_iter().max().map(to_count);
    }
    Ok(Merged {
        inserted,
        kept: updated.clone(),
        updated,
        former,
    })
}

/// The dates of the stored rows.
async fn dates(connection: &mut PgConnection, ids: &[&str]) -> Result<HashMap<String, Option<Time>>, Error> {
    let rows: Vec<(String, Option<Time>)> =
        sqlx::query_as("select p.id, p.modified_at from blueconic.profiles as p where p.id = any ($1)")
            .bind(ids)
            .fetch_all(connection)
            .await
            .doing(DOING)?;
    Ok(rows.into_iter().collect())
}

/// The staged rows up to a date, with their dates.
async fn staged_until(
    connection: &mut PgConnection,
    staging: &str,
    until: Time,
) -> Result<Vec<(String, Time)>, Error> {
    sqlx::query_as(AssertSqlSafe(format!(
        "select id, modified_at from {staging} where modified_at <= $1"
    )))
    .bind(until)
    .fetch_all(connection)
    .await
    .doing(DOING)
}

/// A row that was inserted after the locks were taken has become another one unnoticed: the transaction fails as one that conflicted.
async fn try_again(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select sync.is_as_read('(0,0)', null)")
        .execute(connection)
        .await
        .doing(DOING)?;
    Ok(())
}
