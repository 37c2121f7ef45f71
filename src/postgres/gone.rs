//! Aliases and tombstones: what is kept of profiles that are gone. They are changed only under the lock on the profile's id.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use crate::model::Time;
use crate::model::batch::Batch;
use crate::model::lease::Lease;
use crate::postgres::changes::{ChangedTable, Changes, Reason};
use crate::postgres::error::{Doing, Error};
use crate::postgres::merge::{FORGET_RETURNED, GONE_BEFORE};

/// Writes aliases in order. An alias with the same survivor keeps its time.
pub(crate) async fn record_aliases(
    connection: &mut PgConnection,
    losers: &BTreeMap<&str, &str>,
    now: Time,
    changes: &mut Changes,
) -> Result<(), Error> {
    if losers.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = losers.keys().copied().collect();
    let survivors: Vec<&str> = losers.values().copied().collect();
    let written = sqlx::query!(
        r#"insert into blueconic.profile_aliases as stored (profile_id, survivor_id, noticed_at)
           select merged.loser, merged.survivor, $3
           from unnest($1::text[], $2::text[]) as merged (loser, survivor)
           on conflict (profile_id) do update set
             survivor_id = excluded.survivor_id, noticed_at = excluded.noticed_at
           where stored.survivor_id <> excluded.survivor_id
           returning profile_id, xmax = 0 as "is_new!""#,
        &ids as &[&str],
        &survivors as &[&str],
        now
    )
    .fetch_all(connection)
    .await
    .doing("recording merged profiles")?;
    let (new, other): (Vec<_>, Vec<_>) = written.into_iter().partition(|row| row.is_new);
    changes.inserted(ChangedTable::ALIASES, new.into_iter().map(|row| row.profile_id));
    let other = other.into_iter().map(|row| row.profile_id);
    changes.updated(ChangedTable::ALIASES, Some(Reason::Merged), other);
    Ok(())
}

/// Loaded ids with an alias (true: noticed since the walk began) or a tombstone.
pub(crate) async fn find_gone(
    connection: &mut PgConnection,
    batch: &Batch,
    since: Time,
) -> Result<Vec<(String, bool)>, Error> {
    let ids: Vec<&str> = batch.rows.ids().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(GONE_BEFORE)
        .bind(ids)
        .bind(since)
        .fetch_all(connection)
        .await
        .doing("looking for profiles that were gone")
}

/// A row of `blueconic.profile_tombstones`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tombstone<'load> {
    /// The profile that is gone.
    pub(crate) id: &'load str,
    /// `deleted`, `merged` or `out_of_scope`.
    pub(crate) reason: &'static str,
    /// For `merged`.
    pub(crate) survivor: Option<&'load str>,
}

/// Writes tombstones. An equal tombstone stays as it is.
pub(crate) async fn write_tombstones(
    connection: &mut PgConnection,
    tombstones: &[Tombstone<'_>],
    lease: &Lease,
    now: Time,
    changes: &mut Changes,
) -> Result<(), Error> {
    if tombstones.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = tombstones.iter().map(|tombstone| tombstone.id).collect();
    let reasons: Vec<&str> = tombstones.iter().map(|tombstone| tombstone.reason).collect();
    let survivors: Vec<Option<&str>> = tombstones.iter().map(|tombstone| tombstone.survivor).collect();
    let written = sqlx::query!(
        r#"insert into blueconic.profile_tombstones as stored
             (profile_id, reason, survivor_id, noticed_at, run_id)
           select gone.id, gone.reason, gone.survivor, $4, $5
           from unnest($1::text[], $2::text[], $3::text[]) as gone (id, reason, survivor)
           on conflict (profile_id) do update set
             reason = excluded.reason, survivor_id = excluded.survivor_id,
             noticed_at = excluded.noticed_at, run_id = excluded.run_id
           where (stored.reason, stored.survivor_id) is distinct from (excluded.reason, excluded.survivor_id)
           returning profile_id, xmax = 0 as "is_new!""#,
        &ids as &[&str],
        &reasons as &[&str],
        &survivors as &[Option<&str>],
        now,
        lease.run_id
    )
    .fetch_all(connection)
    .await
    .doing("writing tombstones")?;
    let (new, other): (Vec<_>, Vec<_>) = written.into_iter().partition(|row| row.is_new);
    changes.inserted(
        ChangedTable::TOMBSTONES,
        new.into_iter().map(|row| row.profile_id),
    );
    let other = other.into_iter().map(|row| row.profile_id);
    changes.updated(ChangedTable::TOMBSTONES, None, other);
    Ok(())
}

/// Removes the tombstones and aliases of profiles that returned.
pub(crate) async fn forget_returned(
    connection: &mut PgConnection,
    met: &[(String, bool)],
    changes: &mut Changes,
) -> Result<(), Error> {
    if met.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<&str> = met.iter().map(|(id, _)| id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let returned: Vec<(String, bool)> = sqlx::query_as(FORGET_RETURNED)
        .bind(ids)
        .fetch_all(connection)
        .await
        .doing("taking back tombstones")?;
    let (aliases, tombstones): (Vec<_>, Vec<_>) = returned.into_iter().partition(|(_, is_alias)| *is_alias);
    let ids = |rows: Vec<(String, bool)>| rows.into_iter().map(|(id, _)| id);
    changes.removed(ChangedTable::ALIASES, Reason::Returned, ids(aliases));
    changes.removed(ChangedTable::TOMBSTONES, Reason::Returned, ids(tombstones));
    Ok(())
}
