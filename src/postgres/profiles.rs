//! Merges a batch of profiles: rows, merges at the tenant (aliases and tombstones), returned profiles, refreshed
//! hashes. The first statement takes all locks on profiles, in order; aliases and tombstones of an id are changed only
//! under the lock on that id.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::postgres::PgQueryResult;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::model::Time;
use crate::model::batch::{Batch, Written};
use crate::model::children::ChildHash;
use crate::model::lease::Lease;
use crate::model::rows::Rows;
use crate::model::table::{ColumnKind, Table};
use crate::postgres::bigint::{from_length, to_count};
use crate::postgres::changes::{Changes, Reason};
use crate::postgres::children::WrittenRows;
use crate::postgres::columns::statements::BesideColumns;
use crate::postgres::error::{Doing, Error};
use crate::postgres::gone::{Tombstone, find_gone, forget_returned, record_aliases, write_tombstones};
use crate::postgres::leaving::{self, Leavers};
use crate::postgres::merge::{ADOPT_SOURCE_HASH, Statements};
use crate::postgres::merged_apart::{self, Apart, Merged};
use crate::postgres::recorded::recording::{Former, Recorded};
use crate::postgres::{children, copy, moving};

/// The context of a merge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MergeContext<'load> {
    /// The table.
    pub(crate) table: &'static Table,
    /// The table's statements.
    pub(crate) sql: &'load Statements,
    /// The lease of the run.
    pub(crate) lease: &'load Lease,
    /// An alias that was recorded after this time keeps its id out: the beginning of the walk.
    pub(crate) since: Time,
    /// The known content hashes of the rows whose `source_hash` is refreshed.
    pub(crate) contents: &'load HashMap<String, Contents>,
    /// Losers of merges into erased persons. Their rows leave as those of all losers, but without an alias or a tombstone.
    pub(crate) departing: &'load [String],
    /// The transaction's time.
    pub(crate) now: Time,
    /// The time that an increment has passed.
    pub(crate) passed: Option<Time>,
    /// While another walk is open, whose sweep may remove rows at this moment: ids whose rows existed when they were compared.
    pub(crate) compared: &'load [&'load str],
    /// What becomes of typed columns.
    pub(crate) columns: BesideColumns<'load>,
    /// The histories that are recorded.
    pub(crate) recorded: &'load Recorded,
    /// Whether profiles are distributed.
    pub(crate) is_apart: bool,
}

impl MergeContext<'_> {
    /// Whether a loser was merged into an erased person, so that nothing may name it.
    fn is_departing(&self, id: &str) -> bool {
        self.departing.iter().any(|departing| departing == id)
    }
}

/// The content hashes of an element's row and of its children at the comparison.
pub(crate) type Contents = ([u8; 16], ChildHash);

/// Merges the staged rows, and everything that comes with them.
pub(crate) async fn merge(
    connection: &mut PgConnection,
    batch: &Batch,
    context: MergeContext<'_>,
    changes: &mut Changes,
) -> Result<Written, Error> {
    let departures = Departures::of(batch, context);
    let locked = locked(batch, &departures.ids, context.compared);
    let mut written = Written::default();
    if batch.rows.is_empty() && locked.is_empty() {
        return Ok(written);
    }
    let Merged {
        inserted,
        updated,
        kept,
        former,
    } = merge_rows(connection, batch, &locked, context, &mut written).await?;
    // The children are written before losers leave, so that their history moves along.
    let rows = inserted.iter().chain(&updated).map(String::as_str);
    let ids: Vec<&str> = rows.clone().collect();
    context.columns.merge(connection, &ids, context.now).await?;
    let (recorded, now) = (context.recorded, context.now);
    let new: Vec<&str> = inserted.iter().map(String::as_str).collect();
    let returned = recorded.record_new(connection, &new, now).await?;
    let fresh: BTreeSet<&str> = new.into_iter().collect();
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    recorded.record(connection, &former, &kept, now).await?;
    let into = (&mut written, &mut *changes);
    let with = (context.sql, recorded);
    let rows = WrittenRows {
        all: rows.collect(),
        inserted: &fresh,
        returned: &returned,
    };
    children::merge(connection, with, batch, now, &rows, into).await?;
    changes.inserted(context.sql.changed, inserted.iter().map(String::as_str));
    changes.updated(context.sql.changed, None, updated);
    departures
        .apply(connection, batch, context, &fresh, (&mut written, changes))
        .await?;
    refresh_hashes(connection, batch, context, &mut written).await?;
    if !batch.rehash.is_empty() || !context.compared.is_empty() || batch.children.alone() > 0 {
        let rows = remove_placeholders(connection, &locked).await?;
        if rows > 0 && !context.compared.is_empty() {
            return Err(Error::Gone { rows });
        }
    }
    Ok(written)
}

/// Copies a batch of new ids directly into the table, with placeholders for losers of merges, in one order. An id that
/// exists aborts the transaction ([`Error::is_duplicate`]).
pub(crate) async fn insert(
    connection: &mut PgConnection,
    batch: &Batch,
    context: MergeContext<'_>,
    changes: &mut Changes,
) -> Result<Written, Error> {
    let departures = Departures::of(batch, context);
    let mut placeholders = Rows::default();
    for id in locked(batch, &departures.ids, &[]) {
        placeholder(&mut placeholders, context.table, id);
    }
    if batch.rows.is_empty() && placeholders.is_empty() {
        return Ok(Written::default());
    }
    copy::send_with_times(
        connection,
        &context.sql.copy_direct,
        batch.rows.tuples_with(&placeholders),
        Some(context.now),
    )
    .await
    .doing("copying profiles")?;
    let mut written = Written {
        inserted: from_length(batch.rows.len()),
        ..Written::default()
    };
    context
        .columns
        .insert(connection, &batch.rows, context.now)
        .await?;
    let ids: Vec<&str> = batch.rows.ids().collect();
    let (recorded, now) = (context.recorded, context.now);
    let returned = recorded.record_new(connection, &ids, now).await?;
    // The children are inserted before losers leave and take their children along.
    children::insert(connection, context.sql, batch, now, changes).await?;
    recorded
        .record_returned_stages(connection, &returned, now)
        .await?;
    let inserted = ids.into_iter().collect();
    changes.inserted(context.sql.changed, batch.rows.ids());
    departures
        .apply(connection, batch, context, &inserted, (&mut written, changes))
        .await?;
    Ok(written)
}

/// Adds a placeholder, as [`Statements::merge`] does: a row with its key and an empty value in every other column.
fn placeholder(rows: &mut Rows, table: &Table, id: &str) {
    let fields = u16::try_from(table.columns.len()).unwrap_or(u16::MAX);
    let mut row = rows.row(id.as_bytes(), None, fields);
    for column in table.columns {
        match column.kind {
            _ if column.name == table.key[0] => row.text(id),
            ColumnKind::TextArray => row.text_array::<&str>(&[]),
            ColumnKind::Jsonb => row.jsonb(b"{}"),
            ColumnKind::Bytea => row.bytea(b""),
            _ => row.null(),
        };
    }
}

/// The profiles that a batch removes.
struct Departures<'load> {
    /// Loser to survivor.
    losers: BTreeMap<&'load str, &'load str>,
    /// The losers, also those that were merged into erased persons.
    ids: Vec<&'load str>,
}

impl<'load> Departures<'load> {
    fn of(batch: &'load Batch, context: MergeContext<'load>) -> Self {
        let losers = losers(batch);
        let departing = context.departing.iter().map(String::as_str);
        let ids = losers.keys().copied().chain(departing).collect();
        Self { losers, ids }
    }

    /// Records aliases and tombstones of removed profiles, and removes those of returned profiles.
    async fn apply(
        self,
        connection: &mut PgConnection,
        batch: &Batch,
        context: MergeContext<'_>,
        inserted: &BTreeSet<&str>,
        (written, changes): (&mut Written, &mut Changes),
    ) -> Result<(), Error> {
        record_aliases(connection, &self.losers, context.now, changes).await?;
        let met = find_gone(connection, batch, context.since).await?;
        let merged = met
            .iter()
            .filter(|(_, merged)| *merged)
            .map(|(id, _)| id.as_str());
        let gone: BTreeSet<&str> = self.ids.iter().copied().chain(merged).collect();
        let leaving: Vec<&str> = gone.iter().copied().collect();
        let former = context.recorded.keep(connection, &leaving).await?;
        let into = (&mut *written, &mut *changes);
        let stored = drop_losers(connection, context, &gone, inserted, into).await?;
        write_merge_tombstones(connection, &self.losers, context, changes).await?;
        forget_returned(connection, &met, changes).await?;
        // An alias of a profile that returned is gone by now, so that no history follows it.
        let gone = leaving;
        let moves = &context.sql.moves;
        let unmoved = moving::to_survivors(connection, moves, &gone, context.now, changes).await?;
        let named = gone.iter().copied().filter(|id| !context.is_departing(id));
        let named: Vec<&str> = named.collect();
        let stored: Vec<&str> = stored.iter().map(String::as_str).collect();
        let ids = Leavers {
            stored: &stored,
            unmoved: &unmoved,
            all: &gone,
        };
        let below = leaving::delete_below(connection, &context.sql.deletes_below, ids, REMOVING).await?;
        leaving::note_below(changes, context.table, &below, &named, gone.len() > named.len());
        let (recorded, now) = (context.recorded, context.now);
        recorded.record_left(connection, &former, &named, now).await?;
        let departing: Vec<&str> = context.departing.iter().map(String::as_str).collect();
        recorded.forget(connection, &departing).await
    }
}

/// Loser to survivor, in order; of several survivors, the last one.
fn losers(batch: &Batch) -> BTreeMap<&str, &str> {
    batch
        .aliases
        .iter()
        .map(|(loser, survivor)| (loser.as_str(), survivor.as_str()))
        .filter(|(loser, survivor)| loser != survivor)
        .collect()
}

/// Ids that the transaction touches without a staged row. They include ids that were only compared: a sweep with an earlier
/// verdict may remove their rows between the comparison and this transaction. The locks make one wait for the other, and an
/// element whose row is gone by then is read as new.
fn locked<'batch>(
    batch: &'batch Batch,
    leaving: &[&'batch str],
    compared: &[&'batch str],
) -> Vec<&'batch str> {
    let alone = batch.children.parents().iter().filter(|parent| !parent.has_row);
    let rehashed = batch.rehash.iter().map(|(id, _)| id.as_str());
    let ids: BTreeSet<&str> = leaving
        .iter()
        .copied()
        .chain(rehashed)
        .chain(compared.iter().copied())
        .chain(alone.map(|parent| parent.id.as_str()))
        .collect();
    let staged: BTreeSet<&[u8]> = if ids.is_empty() {
        BTreeSet::new()
    } else {
        batch.rows.keys().collect()
    };
    ids.into_iter()
        .filter(|id| !staged.contains(id.as_bytes()))
        .collect()
}

/// Merges the staged rows.
async fn merge_rows(
    connection: &mut PgConnection,
    batch: &Batch,
    locked: &[&str],
    context: MergeContext<'_>,
    written: &mut Written,
) -> Result<Merged, Error> {
    const DOING: &str = "merging profiles";
    if let Some(statement) = context.sql.merge_apart.as_ref().filter(|_| context.is_apart) {
        let apart = Apart {
            statement,
            staging: &context.sql.staging_name,
            now: context.now,
            passed: context.passed,
            recorded: context.recorded,
        };
        return merged_apart::merge_rows(connection, batch, locked, apart, written).await;
    }
    let records = context.recorded.has_rows();
    let recording = context.sql.merge_recorded.as_ref().filter(|_| records);
    let statement = recording.unwrap_or(&context.sql.merge);
    let row = sqlx::query(AssertSqlSafe(statement.as_str()))
        .bind(context.now)
        .bind(locked)
        .bind(context.passed)
        .fetch_one(connection)
        .await
        .doing(DOING)?;
    let column = |place: usize| row.try_get::<i64, _>(place).map(to_count).doing(DOING);
    written.inserted = column(0)?;
    written.updated = column(1)?;
    written.late = column(4)?;
    let late_by: Option<i64> = row.try_get(5).doing(DOING)?;
    written.late_by = late_by.map(to_count);
    written.unchanged = from_length(batch.rows.len()).saturating_sub(written.inserted + written.updated);
    let (kept, former) = if recording.is_some() {
        let former = row.try_get(7).doing(DOING)?;
        (row.try_get(6).doing(DOING)?, Former::of_rows(former))
    } else {
        (Vec::new(), Former::default())
    };
    Ok(Merged {
        inserted: row.try_get(2).doing(DOING)?,
        updated: row.try_get(3).doing(DOING)?,
        kept,
        former,
    })
}

const REFRESHING: &str = "refreshing hashes";
const REMOVING: &str = "removing merged profiles";

/// Removes losers. Returns those that had a row. One that this transaction inserted does not count as removed.
async fn drop_losers(
    connection: &mut PgConnection,
    context: MergeContext<'_>,
    losers: &BTreeSet<&str>,
    inserted: &BTreeSet<&str>,
    (written, changes): (&mut Written, &mut Changes),
) -> Result<Vec<String>, Error> {
    if losers.is_empty() {
        return Ok(Vec::new());
    }
    let losers: Vec<&str> = losers.iter().copied().collect();
    let gone: Vec<String> = sqlx::query_scalar(AssertSqlSafe(context.sql.drop_losers.as_str()))
        .bind(&losers)
        .fetch_one(&mut *connection)
        .await
        .doing(REMOVING)?;
    let ids = gone.iter().map(String::as_str);
    let (fresh, stored): (HashSet<&str>, HashSet<&str>) = ids.partition(|id| inserted.contains(id));
    written.inserted -= from_length(fresh.len());
    written.unchanged += from_length(fresh.len());
    written.removed = from_length(stored.len());
    changes.not_inserted(context.sql.changed, &fresh);
    let (departing, named): (Vec<&str>, Vec<&str>) =
        stored.into_iter().partition(|id| context.is_departing(id));
    changes.removed(context.sql.changed, Reason::Merged, named);
    if !departing.is_empty() {
        changes.erased(context.table.name);
        changes.withdraw(&departing);
    }
    Ok(gone)
}

async fn write_merge_tombstones(
    connection: &mut PgConnection,
    losers: &BTreeMap<&str, &str>,
    context: MergeContext<'_>,
    changes: &mut Changes,
) -> Result<(), Error> {
    let tombstones: Vec<Tombstone<'_>> = losers
        .iter()
        .map(|(loser, survivor)| Tombstone {
            id: loser,
            reason: "merged",
            survivor: Some(survivor),
        })
        .collect();
    write_tombstones(connection, &tombstones, context.lease, context.now, changes).await
}

/// Refreshes hashes of rows whose content is still the one that was compared, since another run may have changed it.
async fn refresh_hashes(
    connection: &mut PgConnection,
    batch: &Batch,
    context: MergeContext<'_>,
    written: &mut Written,
) -> Result<(), Error> {
    // For a table with children, a row that another run loaded says nothing about its children.
    if written.unchanged > 0 && context.sql.hashes.is_none() {
        let adopted = sqlx::query(ADOPT_SOURCE_HASH)
            .execute(&mut *connection)
            .await
            .doing(REFRESHING)?;
        written.rehashed += adopted.rows_affected();
    }
    // The last hash of an id counts; a statement with several hashes would take any of them.
    let wanted: BTreeMap<&str, (&[u8], &Contents)> = batch
        .rehash
        .iter()
        .filter_map(|(id, source)| Some((id.as_str(), (source.as_slice(), context.contents.get(id)?))))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = wanted.keys().copied().collect();
    let sources: Vec<&[u8]> = wanted.values().map(|(source, _)| *source).collect();
    let meanings: Vec<&[u8]> = wanted.values().map(|(_, known)| known.0.as_slice()).collect();
    let refreshed = match &context.sql.hashes {
        Some(hashes) => {
            let children = wanted.values().map(|(_, known)| known.1.as_slice());
            let refresh = sqlx::query(AssertSqlSafe(hashes.refresh.as_str()))
                .bind(ids)
                .bind(sources)
                .bind(meanings)
                .bind(children.collect::<Vec<&[u8]>>());
            refresh.execute(connection).await.doing(REFRESHING)?
        }
        None => refresh_rows(connection, &ids, &sources, &meanings).await?,
    };
    written.rehashed += refreshed.rows_affected();
    Ok(())
}

async fn refresh_rows(
    connection: &mut PgConnection,
    ids: &[&str],
    sources: &[&[u8]],
    meanings: &[&[u8]],
) -> Result<PgQueryResult, Error> {
    sqlx::query!(
        "update blueconic.profiles as stored set source_hash = fresh.source_hash
         from unnest($1::text[], $2::bytea[], $3::bytea[]) as fresh (id, source_hash, content_hash)
         where stored.id = fresh.id
           and stored.content_hash = fresh.content_hash
           and stored.source_hash <> fresh.source_hash",
        ids as &[&str],
        sources as &[&[u8]],
        meanings as &[&[u8]]
    )
    .execute(connection)
    .await
    .doing(REFRESHING)
}

/// Deletes inserted placeholders and returns their number. A placeholder was inserted if a row was gone whose hash should be
/// refreshed, or which should not change.
async fn remove_placeholders(connection: &mut PgConnection, locked: &[&str]) -> Result<u64, Error> {
    let removed = sqlx::query!(
        "delete from blueconic.profiles where id = any ($1) and source_hash = ''::bytea",
        locked as &[&str]
    )
    .execute(connection)
    .await
    .doing("removing placeholders")?;
    Ok(removed.rows_affected())
}
