//! `sync.walk_seen`: what an open walk saw, as sorted hashes of ids, a row for each page and part of the table; and
//! `sync.walk_unseen`, the sweep's candidates. The first is logged and moves with the cursor, so that a crash of PostgreSQL or a
//! failover loses both or none.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use uuid::Uuid;

use crate::model::lease::Lease;
use crate::model::position::Slot;
use crate::model::seen::{self, IdHasher, SeenIds};
use crate::model::sorted_hashes::SortedHashes;
use crate::postgres::bigint::to_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, leases};

const FORGETTING: &str = "forgetting the ids that a walk saw";
const READING: &str = "reading the ids that a walk saw";
/// The part of rows that belong to no part of their own.
const ANY_PART: i32 = -1;

/// Records ids that the walk read.
pub(crate) async fn record(connection: &mut PgConnection, walk_id: Uuid, ids: &SeenIds) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let (parts, hashes): (Vec<i32>, Vec<Vec<u8>>) = ids
        .encoded()
        .map(|(part, hashes)| (i32::try_from(part).unwrap_or(ANY_PART), hashes))
        .unzip();
    let witnesses: Vec<String> = ids.witnesses().cloned().collect();
    sqlx::query!(
        "insert into sync.walk_seen (walk_id, part, read, hashes, witnesses)
         select $1, page.part, true, page.hashes, case when page.place = 1 then $4::text[] else '{}' end
         from unnest($2::integer[], $3::bytea[]) with ordinality as page (part, hashes, place)",
        walk_id,
        &parts,
        &hashes,
        &witnesses
    )
    .execute(connection)
    .await
    .doing("recording the ids that were read")?;
    Ok(())
}

/// Protects ids from the sweep of another walk that is open.
pub(crate) async fn protect(connection: &mut PgConnection, walk_id: Uuid, ids: &[&str]) -> Result<(), Error> {
    let id_hasher = IdHasher::new(walk_id, Vec::new());
    let hashes = seen::encode(ids.iter().map(|id| id_hasher.hash(id)).collect());
    sqlx::query!(
        "insert into sync.walk_seen (walk_id, part, read, hashes) values ($1, $2, false, $3)",
        walk_id,
        ANY_PART,
        hashes
    )
    .execute(connection)
    .await
    .doing("protecting ids from an open walk's sweep")?;
    Ok(())
}

/// Takes out the ids that others have protected from the sweep since the candidates were written down.
pub(crate) async fn keep_unprotected(
    connection: &mut PgConnection,
    walk_id: Uuid,
    ids: &mut Vec<String>,
) -> Result<(), Error> {
    let id_hasher = IdHasher::new(walk_id, Vec::new());
    let asked: Vec<u64> = ids.iter().map(|id| id_hasher.hash(id)).collect();
    let mut protected: HashSet<u64> = HashSet::new();
    let mut rows = sqlx::query_scalar!(
        "select hashes from sync.walk_seen where walk_id = $1 and part = $2 and not read",
        walk_id,
        ANY_PART
    )
    .fetch(connection);
    while let Some(hashes) = rows.try_next().await.doing(READING)? {
        protected.extend(asked.iter().filter(|hash| seen::holds(&hashes, **hash)));
    }
    ids.retain(|id| !protected.contains(&id_hasher.hash(id)));
    Ok(())
}

/// The next ids after one that others have not protected: those of the first answer that has any. `next` asks for the ids after one.
pub(crate) async fn next_unprotected<'query>(
    connection: &mut PgConnection,
    walk_id: Uuid,
    after: &str,
    next: impl Fn(String) -> QueryScalar<'query, Postgres, String, PgArguments>,
) -> Result<Vec<String>, Error> {
    let mut after = after.to_owned();
    loop {
        let mut ids = next(after)
            .fetch_all(&mut *connection)
            .await
            .doing("looking for rows that the walk did not see")?;
        let Some(last) = ids.last().cloned() else {
            return Ok(ids);
        };
        keep_unprotected(connection, walk_id, &mut ids).await?;
        if !ids.is_empty() {
            return Ok(ids);
        }
        after = last;
    }
}

/// Hashes of one part of the table between two bounds, as many as fit into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashRange {
    part: i32,
    hashes: RangeInclusive<u64>,
    /// About how many there are, repeats included.
    expected: usize,
}

impl HashRange {
    /// Whether a hash lies in it.
    pub(crate) fn holds(&self, hash: u64) -> bool {
        self.hashes.contains(&hash)
    }

    fn is_whole(&self) -> bool {
        self.hashes == (0..=u64::MAX)
    }
}

/// The ranges of a part, one after another, that hold all hashes.
pub(crate) async fn ranges(
    connection: &mut PgConnection,
    walk_id: Uuid,
    part: usize,
) -> Result<Vec<HashRange>, Error> {
    let part = i32::try_from(part).unwrap_or(i32::MAX);
    let hashes = sqlx::query_scalar!(
        r#"select coalesce(sum(octet_length(hashes)), 0)::bigint / 8 as "hashes!"
           from sync.walk_seen where walk_id = $1 and part in ($2, $3)"#,
        walk_id,
        part,
        ANY_PART
    )
    .fetch_one(connection)
    .await
    .doing(READING)?;
    let hashes = to_count(hashes);
    let ranges: Vec<_> = seen::ranges(hashes).collect();
    let expected = usize::try_from(hashes).unwrap_or(0) / ranges.len();
    Ok(ranges
        .into_iter()
        .map(|hashes| HashRange {
            part,
            hashes,
            expected,
        })
        .collect())
}

/// The hashes of a range. `own`: only those that the walk itself read.
pub(crate) async fn within(
    connection: &mut PgConnection,
    walk_id: Uuid,
    range: &HashRange,
    own: bool,
) -> Result<SortedHashes, Error> {
    // The room is made at once: growing would take twice as much. Uniform hashes differ by a few roots of their number.
    let mut hashes = Vec::with_capacity(range.expected + range.expected / 64);
    // A row is sorted and its hashes are uniform, so that the place of one in it is known but for a few roots of its length. Rows
    // that are taken whole make no slices.
    #[expect(
        clippy::cast_precision_loss,
        reason = "shares of a row: roughly is enough, with room on either side"
    )]
    let [first, last] =
        [range.hashes.start(), range.hashes.end()].map(|bound| *bound as f64 / u64::MAX as f64);
    let mut rows = sqlx::query_scalar!(
        r#"select case when $6 then hashes else substring(
               hashes
               from greatest(0, floor(length * $4::float8 - margin))::integer * 8 + 1
               for ceil(length * ($5::float8 - $4::float8) + 2 * margin + 1)::integer * 8
             ) end as "hashes!"
           from sync.walk_seen,
             lateral (select octet_length(hashes) / 8 as length) as sized,
             lateral (select 4 * sqrt(length) + 8 as margin) as bounded
           where walk_id = $1 and part in ($2, $3) and (read or not $7)"#,
        walk_id,
        range.part,
        ANY_PART,
        first,
        last,
        range.is_whole(),
        own
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await.doing(READING)? {
        hashes.extend(seen::decode(&row).filter(|hash| range.holds(*hash)));
    }
    Ok(SortedHashes::of(hashes))
}

/// How many different ids the walk itself read.
pub(crate) async fn distinct(connection: &mut PgConnection, walk: &IdHasher) -> Result<u64, Error> {
    let mut distinct = 0;
    for part in 0..walk.parts() {
        for range in ranges(connection, walk.walk_id(), part).await? {
            let own = within(connection, walk.walk_id(), &range, true).await?;
            distinct += own.len() as u64;
        }
    }
    Ok(distinct)
}

/// Forgets the walk that a cursor names, unless it is this one.
pub(crate) async fn forget_former(
    connection: &mut PgConnection,
    slot: Slot,
    walk_id: Option<Uuid>,
) -> Result<(), Error> {
    let former = sqlx::query_scalar!(
        r#"select (position ->> 'walk_id')::uuid as "walk_id!" from sync.cursors
           where resource = $1 and scope = $2
             and (position ->> 'walk_id')::uuid is not null
             and (position ->> 'walk_id')::uuid is distinct from $3"#,
        slot.resource,
        slot.scope.as_str(),
        walk_id
    )
    .fetch_optional(&mut *connection)
    .await
    .doing(FORGETTING)?;
    match former {
        Some(former) => forget_walk(connection, former).await,
        None => Ok(()),
    }
}

/// Forgets what a walk saw, and what it did not see.
pub(crate) async fn forget_walk(connection: &mut PgConnection, walk_id: Uuid) -> Result<(), Error> {
    sqlx::query!("select sync.forget_walk($1)", walk_id)
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(())
}

/// Forgets what every walk saw, and what it did not see.
pub(crate) async fn forget_all(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("delete from sync.walk_seen")
        .execute(&mut *connection)
        .await
        .doing(FORGETTING)?;
    sqlx::query!("delete from sync.walk_notices")
        .execute(&mut *connection)
        .await
        .doing(FORGETTING)?;
    sqlx::query!("delete from sync.walk_unseen")
        .execute(connection)
        .await
        .doing(FORGETTING)?;
    Ok(())
}

/// Takes ids from the candidates of every sweep; returns their number.
pub(crate) async fn withdraw(connection: &mut PgConnection, ids: &[String]) -> Result<u64, Error> {
    let gone = sqlx::query!("delete from sync.walk_unseen where id = any ($1)", ids)
        .execute(connection)
        .await
        .doing("taking ids from the candidates of sweeps")?;
    Ok(gone.rows_affected())
}

/// Takes ids from those that are kept beside the hashes; returns how many rows had one. Hashes under a walk's key name nobody: they
/// stay, so that the walk still counts what it read.
pub(crate) async fn forget_witnesses(connection: &mut PgConnection, ids: &[String]) -> Result<u64, Error> {
    let changed = sqlx::query!(
        "update sync.walk_seen as s
         set witnesses = array(select witness from unnest(s.witnesses) as witness where witness <> all ($1))
         where s.witnesses && $1",
        ids
    )
    .execute(connection)
    .await
    .doing("taking ids from those that walks saw")?;
    Ok(changed.rows_affected())
}

/// A few ids that the walk itself read, if there are any.
pub(crate) async fn witnesses(pool: &PgPool, walk_id: Uuid, limit: u32) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        r#"select distinct witness as "witness!" from (
             select unnest(witnesses) as witness from sync.walk_seen where walk_id = $1 and read limit 10 * $2::bigint
           ) as kept
           limit $2"#,
        walk_id,
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .doing("looking for ids that a walk saw")
}

/// Forgets a walk.
pub(crate) async fn forget(connection: &mut PgConnection, lease: &Lease, walk_id: Uuid) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(FORGETTING)?;
    forget_walk(&mut transaction, walk_id).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("forget", FORGETTING, transaction.commit()).await
}
