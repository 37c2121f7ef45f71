//! Loads children into their tables, after their parents and in the same transaction. Every writer of a parent's children holds
//! the lock on the parent's row, so the child tables need no lock order of their own.

use std::collections::{BTreeSet, HashSet};

use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::Time;
use crate::model::batch::{Batch, Written};
use crate::model::children::{CHILDLESS, Parent};
use crate::postgres::bigint::from_length;
use crate::postgres::changes::Changes;
use crate::postgres::child_hashes::HashStatements;
use crate::postgres::copy;
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::Statements;
use crate::postgres::recorded::recording::Recorded;
use crate::postgres::staging;

const DOING: &str = "merging children";

/// Copies the rows of all child tables into their staging tables.
pub(crate) async fn stage(
    connection: &mut PgConnection,
    sql: &Statements,
    batch: &Batch,
) -> Result<(), Error> {
    for (child, rows) in sql.children.iter().zip(batch.children.tables()) {
        if !rows.is_empty() {
            staging::fill(connection, child, rows).await?;
        }
    }
    Ok(())
}

/// The ids of the rows that this transaction wrote.
pub(crate) struct WrittenRows<'ids> {
    /// All.
    pub(crate) all: HashSet<&'ids str>,
    /// The new ones.
    pub(crate) inserted: &'ids BTreeSet<&'ids str>,
    /// Those of the new ones that had been there before.
    pub(crate) returned: &'ids HashSet<String>,
}

impl WrittenRows<'_> {
    /// Whether the recorded histories of a row begin with its arrival.
    fn has_arrived(&self, id: &str) -> bool {
        self.inserted.contains(id) && !self.returned.contains(id)
    }
}

/// Replaces differing children after their parents' rows were merged.
pub(crate) async fn merge(
    connection: &mut PgConnection,
    (sql, recorded): (&Statements, &Recorded),
    batch: &Batch,
    now: Time,
    rows: &WrittenRows<'_>,
    (written, changes): (&mut Written, &mut Changes),
) -> Result<(), Error> {
    let Some(hashes) = sql.hashes.as_ref().filter(|_| !batch.children.is_empty()) else {
        return Ok(());
    };
    let parents = batch.children.parents();
    let taken = judge(connection, hashes, parents, &rows.all, now).await?;
    let ids: Vec<&str> = taken.iter().map(String::as_str).collect();
    let recorded_ids = ids.iter().copied().filter(|id| !rows.has_arrived(id));
    let recorded_ids: Vec<&str> = recorded_ids.collect();
    let former = recorded.keep_stages(connection, &recorded_ids).await?;
    replace(connection, sql, &ids, now, changes).await?;
    recorded.record(connection, &former, &recorded_ids, now).await?;
    let taken: HashSet<&str> = ids.into_iter().collect();
    // An element without a row of its own in the batch is counted here and nowhere else.
    let alone = parents.iter().filter(|parent| !parent.has_row);
    let replaced = from_length(alone.filter(|parent| taken.contains(parent.id.as_str())).count());
    written.updated += replaced;
    written.unchanged += from_length(batch.children.alone()) - replaced;
    Ok(())
}

/// The parents whose children are replaced.
async fn judge(
    connection: &mut PgConnection,
    hashes: &HashStatements,
    parents: &[Parent],
    written_rows: &HashSet<&str>,
    now: Time,
) -> Result<Vec<String>, Error> {
    let ids: Vec<&str> = parents.iter().map(|parent| parent.id.as_str()).collect();
    let contents: Vec<&[u8]> = parents.iter().map(|parent| parent.content.as_slice()).collect();
    let sources: Vec<&[u8]> = parents.iter().map(|parent| parent.source.as_slice()).collect();
    let children: Vec<&[u8]> = parents.iter().map(|parent| parent.children.as_slice()).collect();
    let asked: Vec<Option<Time>> = parents.iter().map(|parent| parent.asked_at).collect();
    let differs: Vec<bool> = parents.iter().map(|parent| parent.differs).collect();
    let rows: Vec<bool> = ids.iter().map(|id| written_rows.contains(id)).collect();
    let judged: Vec<(String, bool)> = sqlx::query_as(AssertSqlSafe(hashes.judge.as_str()))
        .bind(ids)
        .bind(contents)
        .bind(sources)
        .bind(children)
        .bind(asked)
        .bind(differs)
        .bind(rows)
        .bind(now)
        .fetch_all(connection)
        .await
        .doing(DOING)?;
    let taken = judged.into_iter().filter(|(_, is_taken)| *is_taken);
    Ok(taken.map(|(id, _)| id).collect())
}

/// Replaces the children of these parents by the staged ones.
pub(crate) async fn replace(
    connection: &mut PgConnection,
    sql: &Statements,
    parents: &[&str],
    now: Time,
    changes: &mut Changes,
) -> Result<(), Error> {
    if parents.is_empty() {
        return Ok(());
    }
    for child in &sql.children {
        let differing: Vec<String> = sqlx::query_scalar(AssertSqlSafe(child.merge.as_str()))
            .bind(now)
            .bind(parents)
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
        changes.updated(child.changed, None, differing);
    }
    Ok(())
}

/// Copies the children of parents that are certainly new directly into their tables.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    sql: &Statements,
    batch: &Batch,
    now: Time,
    changes: &mut Changes,
) -> Result<(), Error> {
    let Some(hashes) = sql.hashes.as_ref().filter(|_| !batch.children.is_empty()) else {
        return Ok(());
    };
    for (child, rows) in sql.children.iter().zip(batch.children.tables()) {
        if !rows.is_empty() {
            let tuples = rows.tuples().map(|tuple| (tuple, Some(now)));
            let sent = copy::send_with_times(connection, &child.copy_direct, tuples, None);
            sent.await.doing("copying children")?;
        }
    }
    for (child, owners) in sql.children.iter().zip(batch.children.owners()) {
        changes.inserted(child.changed, owners);
    }
    let parents = batch.children.parents().iter();
    let parents: Vec<&Parent> = parents.filter(|parent| parent.children != CHILDLESS).collect();
    if parents.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = parents.iter().map(|parent| parent.id.as_str()).collect();
    let children: Vec<&[u8]> = parents.iter().map(|parent| parent.children.as_slice()).collect();
    let asked: Vec<Option<Time>> = parents.iter().map(|parent| parent.asked_at).collect();
    sqlx::query(AssertSqlSafe(hashes.insert.as_str()))
        .bind(ids)
        .bind(children)
        .bind(asked)
        .execute(connection)
        .await
        .doing("copying children")?;
    Ok(())
}
