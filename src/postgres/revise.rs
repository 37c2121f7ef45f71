//! Overwriting rows that a walk missed with what a look-up said of them. A look-up brings less than a listing, so that
//! only the columns which it brought are written, and the row is marked as one to be decoded again.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::{PgConnection, PgPool};

use crate::model::ports::{Lease, Walk};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases;
use crate::postgres::retry::Attempts;

const DOING: &str = "writing profiles that the walk missed";
/// The length of both hashes; zeros are the hash of nothing, so that the next walk finds a difference.
const NO_HASH: [u8; 16] = [0; 16];

/// Writes what is newer than its row, and gives back how many rows that were.
pub(crate) async fn revise(
    pool: &PgPool,
    lease: &Lease,
    walk: Walk,
    found: &[(String, Bytes)],
) -> Result<u64, Error> {
    // In order and once each.
    let by_id: BTreeMap<&str, &[u8]> = found
        .iter()
        .map(|(id, columns)| (id.as_str(), columns.as_ref()))
        .filter(|(_, columns)| !columns.is_empty())
        .collect();
    if by_id.is_empty() {
        return Ok(0);
    }
    let mut attempts = Attempts::default();
    loop {
        match revise_once(pool, lease, walk, &by_id).await {
            Ok(written) => return Ok(written),
            Err(error) => attempts.again(error).await?,
        }
    }
}

async fn revise_once(
    pool: &PgPool,
    lease: &Lease,
    walk: Walk,
    found: &BTreeMap<&str, &[u8]>,
) -> Result<u64, Error> {
    let mut transaction = pool.begin().await.doing(DOING)?;
    let ids: Vec<&str> = found.keys().copied().collect();
    lock(&mut transaction, &ids).await?;
    let written = overwrite(&mut transaction, walk, found).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("revise", DOING, transaction.commit()).await?;
    Ok(written)
}

/// In order; the statement after it sees what was loaded while the locks were waited for.
async fn lock(connection: &mut PgConnection, ids: &[&str]) -> Result<(), Error> {
    sqlx::query!(
        "select stored.id from blueconic.profiles as stored where stored.id = any ($1) order by stored.id for update",
        ids as &[&str]
    )
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    Ok(())
}

/// `jsonb_populate_record` takes a column that the object does not have from the row.
async fn overwrite(
    connection: &mut PgConnection,
    walk: Walk,
    found: &BTreeMap<&str, &[u8]>,
) -> Result<u64, Error> {
    let ids: Vec<&str> = found.keys().copied().collect();
    let columns: Vec<String> = found
        .values()
        .map(|columns| String::from_utf8_lossy(columns).into_owned())
        .collect();
    let written = sqlx::query!(
        "update blueconic.profiles as stored set
           (created_at, modified_at, privacy_legislation, permission_level, consented_objectives,
            refused_objectives, segment_ids, properties) = (
             select revised.created_at, revised.modified_at, revised.privacy_legislation, revised.permission_level,
               revised.consented_objectives, revised.refused_objectives, revised.segment_ids, revised.properties
             from jsonb_populate_record(stored, found.columns) as revised
           ),
           source_hash = $3, content_hash = $3, synced_at = sync.clock()
         from (
           select asked.id, asked.columns::jsonb as columns
           from unnest($1::text[], $2::text[]) as asked (id, columns)
         ) as found
         where stored.id = found.id
           and (stored.modified_at is null
             or (found.columns ->> 'modified_at')::timestamptz > stored.modified_at)
           and stored.synced_at < $5
           and not exists (select from sync.walk_seen as seen where seen.walk_id = $4 and seen.id = stored.id)",
        &ids as &[&str],
        &columns,
        &NO_HASH[..],
        walk.id,
        walk.opened_at
    )
    .execute(connection)
    .await
    .doing(DOING)?;
    Ok(written.rows_affected())
}
