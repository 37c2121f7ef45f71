//! Finds and removes rows that a complete walk did not see. The engine decides whether they may be removed.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::Time;
use crate::model::lease::Lease;
use crate::model::seen::IdHasher;
use crate::model::table::{Merge, Table};
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};
use crate::postgres::bigint::from_length;
use crate::postgres::changes::{ChangedTable, Changes, Reason};
use crate::postgres::erasures::suppress::{self, Erased};
use crate::postgres::error::{Doing, Error};
use crate::postgres::gone::{Tombstone, record_aliases, write_tombstones};
use crate::postgres::leaving::{self, Leavers};
use crate::postgres::load_lock::{self, Opened};
use crate::postgres::recorded::recording::{Former, Recorded};
use crate::postgres::retry::Attempts;
use crate::postgres::seen::HashRange;
use crate::postgres::sweep_sql::SweepStatements;
use crate::postgres::{boundary, distributed, leases, missing, moving, seen};

const DOING: &str = "looking for rows that the walk did not see";
const REMOVING: &str = "removing rows that the walk did not see";
/// Stored ids that are compared at once.
const IDS_AT_ONCE: i64 = 20_000;

/// Finds the rows that a sweep may remove, and writes them down for its steps: each stored id is looked for among the hashes that
/// the walk recorded, part by part of the table.
pub(crate) async fn candidates(
    connection: &mut PgConnection,
    table: &Table,
    walk: Walk,
    seen: &IdHasher,
) -> Result<Candidates, Error> {
    let mut transaction = connection.begin().await.doing(DOING)?;
    sqlx::query!("delete from sync.walk_unseen where walk_id = $1", walk.id)
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    let sql = SweepStatements::of(table);
    let mut candidates = Candidates::default();
    for part in 0..seen.parts() {
        let ranges = seen::ranges(&mut transaction, walk.id, part).await?;
        for (number, range) in ranges.into_iter().enumerate() {
            let found = within_range(&mut transaction, &sql, walk, seen, (part, range)).await?;
            candidates.unseen += found.unseen;
            if number == 0 {
                candidates.stored += found.stored;
            }
        }
    }
    boundary::cross("candidates", DOING, transaction.commit()).await?;
    Ok(candidates)
}

/// The candidates whose hashes lie in a range, and all rows of its part.
async fn within_range(
    connection: &mut PgConnection,
    sql: &SweepStatements,
    walk: Walk,
    seen: &IdHasher,
    (part, range): (usize, HashRange),
) -> Result<Candidates, Error> {
    let hashes = seen::within(connection, walk.id, &range, false).await?;
    let (mut after, end) = seen.bounds(part);
    let mut found = Candidates::default();
    loop {
        let mut ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql.ids.as_str()))
            .bind(&after)
            .bind(end)
            .bind(IDS_AT_ONCE)
            .fetch_one(&mut *connection)
            .await
            .doing(DOING)?;
        let Some(last) = ids.last().cloned() else {
            return Ok(found);
        };
        found.stored += from_length(ids.len());
        after = last;
        ids.retain(|id| {
            let hash = seen.hash(id);
            range.holds(hash) && !hashes.holds(hash)
        });
        if !ids.is_empty() {
            let written = sqlx::query(AssertSqlSafe(sql.candidates.as_str()))
                .bind(walk.id)
                .bind(walk.opened_at)
                .bind(&ids)
                .execute(&mut *connection)
                .await
                .doing(DOING)?;
            found.unseen += written.rows_affected();
        }
    }
}

/// The next ids that would go.
pub(crate) async fn unseen(
    connection: &mut PgConnection,
    table: &Table,
    walk: Walk,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, Error> {
    let sql = SweepStatements::of(table);
    seen::next_unprotected(connection, walk.id, after, |after| {
        sqlx::query_scalar(AssertSqlSafe(sql.unseen.as_str()))
            .bind(walk.id)
            .bind(walk.opened_at)
            .bind(after)
            .bind(i64::from(limit))
    })
    .await
}

/// Removes by verdict, and gives back how many rows went.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    table: &Table,
    lease: &Lease,
    walk: Walk,
    verdicts: &[(String, Verdict)],
) -> Result<u64, Error> {
    let sql = SweepStatements::of(table);
    let mut attempts = Attempts::default();
    loop {
        match remove_once(connection, table, &sql, lease, walk, verdicts).await {
            Ok(removed) => return Ok(removed),
            Err(error) => attempts.again(error).await?,
        }
    }
}

async fn remove_once(
    connection: &mut PgConnection,
    table: &Table,
    sql: &SweepStatements,
    lease: &Lease,
    walk: Walk,
    verdicts: &[(String, Verdict)],
) -> Result<u64, Error> {
    let mut transaction = connection.begin().await.doing(REMOVING)?;
    let Opened {
        now,
        hasher,
        mut changes,
        recorded,
    } = load_lock::begin(&mut transaction).await?;
    let erased = match hasher {
        Some(hasher) => Erased::among(&mut transaction, &hasher, suppress::judged(verdicts)).await?,
        None => Erased::default(),
    };
    let leaving: Vec<&str> = ids(verdicts, |verdict| {
        matches!(
            verdict,
            Verdict::Deleted | Verdict::Merged { .. } | Verdict::OutOfScope
        )
    });
    let is_apart = table.merge == Merge::Profile && distributed::is(&mut transaction).await?;
    let recorded = Some(recorded).filter(|_| table.merge == Merge::Profile);
    let recorded = recorded.unwrap_or_default();
    let (removed, former) = delete(&mut transaction, sql, &recorded, walk, (&leaving, is_apart)).await?;
    let named = note_removed(&mut changes, table, &removed, verdicts, &erased);
    let gone: Vec<String> = removed.into_iter().map(|(id, _)| id).collect();
    if table.merge == Merge::Profile {
        let tombstones = tombstones(verdicts, &gone, &erased);
        write_sweep_tombstones(&mut transaction, &tombstones, lease, now, &mut changes).await?;
        let losers = tombstones.iter().filter(|tombstone| tombstone.survivor.is_some());
        let losers: Vec<&str> = losers.map(|tombstone| tombstone.id).collect();
        moving::to_survivors(&mut transaction, &sql.moves, &losers, now, &mut changes).await?;
    }
    if !sql.deletes_below.is_empty() {
        let left: Vec<&str> = gone.iter().map(String::as_str).collect();
        let ids = Leavers {
            stored: &left,
            unmoved: &left,
            all: &left,
        };
        let below = leaving::delete_below(&mut transaction, &sql.deletes_below, ids, REMOVING).await?;
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        leaving::note_below(&mut changes, table, &below, &named, left.len() > named.len());
    }
    record_removed(
        &mut transaction,
        (&recorded, &former),
        &gone,
        verdicts,
        &named,
        now,
    )
    .await?;
    let mut missed = ids(verdicts, |verdict| matches!(verdict, Verdict::Missed(_)));
    missed.retain(|id| !erased.has(id));
    if !missed.is_empty() {
        seen::protect(&mut transaction, walk.id, &missed).await?;
    }
    let unclear = ids(verdicts, |verdict| matches!(verdict, Verdict::Kept));
    let mut decided = missed;
    decided.extend(gone.iter().map(String::as_str));
    missing::decide(&mut transaction, table, &decided, &unclear).await?;
    changes.record(&mut transaction, now).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("sweep", REMOVING, transaction.commit()).await?;
    Ok(from_length(gone.len()))
}

/// The ids with such a verdict, in order and once each.
fn ids(verdicts: &[(String, Verdict)], wanted: fn(&Verdict) -> bool) -> Vec<&str> {
    let mut ids: Vec<&str> = verdicts
        .iter()
        .filter(|(_, verdict)| wanted(verdict))
        .map(|(id, _)| id.as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Locks in order, then looks again in a statement of its own: what was loaded or seen while the lock was waited for
/// stays. Returns the ids with the names of their rows, and what rows were that may have been removed.
async fn delete(
    connection: &mut PgConnection,
    sql: &SweepStatements,
    recorded: &Recorded,
    walk: Walk,
    (leaving, is_apart): (&[&str], bool),
) -> Result<(Vec<(String, String)>, Former), Error> {
    if leaving.is_empty() {
        return Ok((Vec::new(), Former::default()));
    }
    let candidates = still_candidates(connection, walk, leaving).await?;
    let lock = if is_apart { &sql.lock_apart } else { &sql.lock };
    let mut locked: Vec<String> = sqlx::query_scalar(AssertSqlSafe(lock.as_str()))
        .bind(&candidates)
        .bind(walk.opened_at)
        .fetch_all(&mut *connection)
        .await
        .doing(REMOVING)?;
    seen::keep_unprotected(connection, walk.id, &mut locked).await?;
    let ids: Vec<&str> = locked.iter().map(String::as_str).collect();
    let former = recorded.keep(connection, &ids).await?;
    let removed = sqlx::query_as(AssertSqlSafe(sql.remove.as_str()))
        .bind(still_candidates(connection, walk, &ids).await?)
        .bind(walk.opened_at)
        .fetch_all(connection)
        .await
        .doing(REMOVING)?;
    Ok((removed, former))
}

/// Those ids that the walk still has among its candidates.
async fn still_candidates(
    connection: &mut PgConnection,
    walk: Walk,
    ids: &[&str],
) -> Result<Vec<String>, Error> {
    sqlx::query_scalar("select u.id from sync.walk_unseen as u where u.walk_id = $1 and u.id = any ($2)")
        .bind(walk.id)
        .bind(ids)
        .fetch_all(connection)
        .await
        .doing(REMOVING)
}

/// Ends what removed profiles were in the recorded histories. Of persons who may not be named nothing stays, of profiles that the tenant
/// deleted no value.
async fn record_removed(
    connection: &mut PgConnection,
    (recorded, former): (&Recorded, &Former),
    gone: &[String],
    verdicts: &[(String, Verdict)],
    named: &[String],
    now: Time,
) -> Result<(), Error> {
    let may_be_named: HashSet<&str> = named.iter().map(String::as_str).collect();
    let (named, unnamed): (Vec<&str>, Vec<&str>) = gone
        .iter()
        .map(String::as_str)
        .partition(|id| may_be_named.contains(id));
    recorded.record_left(connection, former, &named, now).await?;
    let deleted: HashSet<&str> = ids(verdicts, |verdict| matches!(verdict, Verdict::Deleted))
        .into_iter()
        .collect();
    let deleted: Vec<&str> = named.into_iter().filter(|id| deleted.contains(id)).collect();
    recorded.forget_values(connection, &deleted).await?;
    recorded.forget(connection, &unnamed).await
}

/// Notes removed rows with the reason, as their tombstones have it. Returns the ids that may be named: nothing may name an erased person,
/// nor who was merged into one.
fn note_removed(
    changes: &mut Changes,
    table: &Table,
    removed: &[(String, String)],
    verdicts: &[(String, Verdict)],
    erased: &Erased,
) -> Vec<String> {
    let by_id: HashMap<&str, &Verdict> = verdicts
        .iter()
        .map(|(id, verdict)| (id.as_str(), verdict))
        .collect();
    let mut named = Vec::with_capacity(removed.len());
    let mut unnamed = Vec::new();
    let mut by_reason: BTreeMap<Reason, Vec<&str>> = BTreeMap::new();
    for (id, key) in removed {
        let verdict = by_id.get(id.as_str());
        let survivor = verdict.and_then(|verdict| match verdict {
            Verdict::Merged { survivor } => Some(survivor),
            _ => None,
        });
        if erased.has(id) || survivor.is_some_and(|survivor| erased.has(survivor)) {
            unnamed.push(id.as_str());
            continue;
        }
        let reason = match verdict {
            _ if table.merge != Merge::Profile => Reason::NotListed,
            Some(Verdict::Merged { .. }) => Reason::Merged,
            Some(Verdict::OutOfScope) => Reason::OutOfScope,
            _ => Reason::Deleted,
        };
        by_reason.entry(reason).or_default().push(key);
        named.push(id.clone());
    }
    for (reason, keys) in by_reason {
        changes.removed(ChangedTable::of(table), reason, keys);
    }
    if !unnamed.is_empty() {
        changes.erased(table.name);
        changes.withdraw(&unnamed);
    }
    named
}

/// The tombstones of the rows that went, in order; none that would name an erased person.
fn tombstones<'sweep>(
    verdicts: &'sweep [(String, Verdict)],
    gone: &'sweep [String],
    erased: &Erased,
) -> Vec<Tombstone<'sweep>> {
    let by_id: HashMap<&str, &Verdict> = verdicts
        .iter()
        .map(|(id, verdict)| (id.as_str(), verdict))
        .collect();
    let mut gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    gone.sort_unstable();
    gone.iter()
        .filter_map(|id| tombstone(id, by_id.get(id)?))
        .filter(|tombstone| {
            !erased.has(tombstone.id) && !tombstone.survivor.is_some_and(|survivor| erased.has(survivor))
        })
        .collect()
}

/// Writes tombstones, and aliases for merges.
async fn write_sweep_tombstones(
    connection: &mut PgConnection,
    tombstones: &[Tombstone<'_>],
    lease: &Lease,
    now: Time,
    changes: &mut Changes,
) -> Result<(), Error> {
    let losers = tombstones
        .iter()
        .filter_map(|tombstone| Some((tombstone.id, tombstone.survivor?)))
        .filter(|(loser, survivor)| loser != survivor)
        .collect();
    record_aliases(connection, &losers, now, changes).await?;
    write_tombstones(connection, tombstones, lease, now, changes).await
}

fn tombstone<'sweep>(id: &'sweep str, verdict: &'sweep Verdict) -> Option<Tombstone<'sweep>> {
    let (reason, survivor) = match verdict {
        Verdict::Deleted => ("deleted", None),
        Verdict::Merged { survivor } => ("merged", Some(survivor.as_str())),
        Verdict::OutOfScope => ("out_of_scope", None),
        Verdict::Redirected { .. } | Verdict::Missed(_) | Verdict::Kept => return None,
    };
    Some(Tombstone { id, reason, survivor })
}
