//! `sync.rejects`: elements that could not be loaded, one open row each, until they load or 30 days are over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Time;
use crate::model::batch::Reject;
use crate::model::lease::Lease;
use crate::model::sanitize;
use crate::postgres::bigint::{from_count, from_length, to_count};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};

/// The most ids of open rejects that a loading connection caches; with more, it looks up each loaded id.
const KEPT: i64 = 100_000;

/// A loading connection's cache of elements with open rejects, which saves a look-up per loaded id. It only grows
/// ([`OpenRejects::learn`]). A reject that another run records meanwhile may be missed; it is closed when the element
/// is read again.
#[derive(Debug)]
pub(crate) struct OpenRejects {
    /// The last number of `sync.rejects` that is known.
    pub(crate) through: i64,
    /// Hashes of ids; none when there are too many.
    ids: Option<HashSet<u64>>,
}

impl OpenRejects {
    /// Reads all open rejects.
    pub(crate) async fn read(connection: &mut PgConnection, resource: &str) -> Result<Self, Error> {
        let row = sqlx::query!(
            r#"select
                 coalesce((select max(id) from sync.rejects), 0) as "through!",
                 array(
                   select element_id from sync.rejects
                   where resource = $1 and resolved_at is null and element_id is not null
                   limit $2
                 ) as "ids!""#,
            resource,
            KEPT + 1
        )
        .fetch_one(connection)
        .await
        .doing("looking for open rejects")?;
        let mut open = Self {
            through: 0,
            ids: Some(HashSet::new()),
        };
        open.learn(row.through, &row.ids);
        Ok(open)
    }

    /// Adds the rejects up to a sequence number.
    pub(crate) fn learn(&mut self, through: i64, ids: &[String]) {
        self.through = through;
        if let Some(known) = &mut self.ids {
            known.extend(ids.iter().map(|id| xxh3_64(id.as_bytes())));
        }
        if self
            .ids
            .as_ref()
            .is_some_and(|known| from_length(known.len()) > to_count(KEPT))
        {
            self.ids = None;
        }
    }

    /// The loaded ids that may have an open reject.
    pub(crate) fn among<'id>(&self, loaded: impl Iterator<Item = &'id str>) -> BTreeSet<&'id str> {
        match &self.ids {
            Some(known) if known.is_empty() => BTreeSet::new(),
            Some(known) => loaded
                .filter(|id| known.contains(&xxh3_64(id.as_bytes())))
                .collect(),
            None => loaded.collect(),
        }
    }
}

/// Records rejects. An open reject is updated once in a run: repeated bytes change nothing, and connections that meet
/// the same element do not wait for each other.
pub(crate) async fn record(
    connection: &mut PgConnection,
    lease: &Lease,
    rejects: &[Reject],
    now: Time,
) -> Result<(), Error> {
    // The last reject of each key, in order of keys: a statement must not touch a row twice, and transactions lock in
    // one order.
    let ordered: BTreeMap<String, &Reject> = rejects.iter().map(|reject| (key(reject), reject)).collect();
    if ordered.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Reject) -> &str| {
        ordered
            .values()
            .map(|reject| of(reject).to_owned())
            .collect::<Vec<_>>()
    };
    // The detail may be shown and is sanitized; the element itself is stored unchanged.
    let details: Vec<String> = ordered
        .values()
        .map(|reject| sanitize::line(&reject.detail).into_owned())
        .collect();
    let ids: Vec<Option<String>> = ordered.values().map(|reject| reject.element_id.clone()).collect();
    let sizes: Vec<i64> = ordered
        .values()
        .map(|reject| from_count(reject.raw_bytes))
        .collect();
    let hashes: Vec<Vec<u8>> = ordered.values().map(|reject| reject.sha256.to_vec()).collect();
    sqlx::query!(
        "insert into sync.rejects
           (resource, element_id, reason, detail, raw, raw_bytes, sha256, run_id, noticed_at)
         select $1, r.element_id, r.reason, r.detail, r.raw, r.raw_bytes, r.sha256, $8, $9
         from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[])
           as r (element_id, reason, detail, raw, raw_bytes, sha256)
         where not exists (
           select from sync.rejects as met
           where met.resource = $1
             and coalesce(met.element_id, encode(met.sha256, 'hex'))
               = coalesce(r.element_id, encode(r.sha256, 'hex'))
             and met.resolved_at is null
             and met.run_id = $8
             and met.sha256 = r.sha256
         )
         on conflict (resource, (coalesce(element_id, encode(sha256, 'hex')))) where resolved_at is null
         do update set
           reason = excluded.reason, detail = excluded.detail, raw = excluded.raw,
           raw_bytes = excluded.raw_bytes, sha256 = excluded.sha256,
           run_id = excluded.run_id, noticed_at = excluded.noticed_at",
        lease.slot.resource,
        &ids as &[Option<String>],
        &column(|reject| reject.reason.as_str()),
        &details,
        &column(|reject| &reject.raw),
        &sizes,
        &hashes,
        lease.run_id,
        now
    )
    .execute(connection)
    .await
    .doing("recording rejects")?;
    Ok(())
}

/// The key of a reject in `rejects_open`: the element's id, or its bytes.
fn key(reject: &Reject) -> String {
    reject
        .element_id
        .clone()
        .unwrap_or_else(|| hex::encode(reject.sha256))
}

/// Closes the open rejects of loaded elements. Each id is looked up in the index over open rejects.
pub(crate) async fn resolve(
    connection: &mut PgConnection,
    resource: &str,
    loaded: &[&str],
    now: Time,
) -> Result<(), Error> {
    sqlx::query!(
        "update sync.rejects set resolved_at = $3
         where resource = $1 and resolved_at is null and element_id = any ($2)
           and coalesce(element_id, encode(sha256, 'hex')) = any ($2)",
        resource,
        loaded as &[&str],
        now
    )
    .execute(connection)
    .await
    .doing("closing rejects")?;
    Ok(())
}

/// Deletes the oldest resolved rejects; returns their number. Rows that another connection has locked are skipped.
pub(crate) async fn clear_resolved(pool: &PgPool, limit: i64) -> Result<u64, Error> {
    let clearing = sqlx::query!(
        "delete from sync.rejects where id in (
           select id from sync.rejects where resolved_at is not null
           order by resolved_at, id limit $1
           for update skip locked
         )",
        limit
    )
    .execute(pool);
    let cleared = boundary::cross("rejects/room", "making room for rejects", clearing).await?;
    Ok(cleared.rows_affected())
}

/// Deletes what is older than it is kept.
pub(crate) async fn forget_old(
    connection: &mut PgConnection,
    resource: &str,
    keep: Duration,
) -> Result<(), Error> {
    sqlx::query!(
        "delete from sync.rejects where resource = $1 and noticed_at < sync.clock() - make_interval(secs => $2)",
        resource,
        keep.as_secs_f64()
    )
    .execute(connection)
    .await
    .doing("deleting old rejects")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_in_mind_and_of_too_many_every_id_is_looked_up() {
        let mut open = OpenRejects {
            through: 0,
            ids: Some(HashSet::new()),
        };
        let loaded = ["a", "b", "a"];
        assert!(open.among(loaded.into_iter()).is_empty());
        open.learn(3, &["b".to_owned(), "c".to_owned()]);
        assert_eq!(open.among(loaded.into_iter()), BTreeSet::from(["b"]));
        let many: Vec<String> = (0..=KEPT).map(|number| number.to_string()).collect();
        open.learn(KEPT, &many);
        assert_eq!(open.among(loaded.into_iter()), BTreeSet::from(["a", "b"]));
        assert_eq!(open.through, KEPT);
    }
}
