//! `sync.rejects`: elements that could not be loaded, one open row each, until they load or 30 days are over.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::model::Time;
use crate::model::batch::Reject;
use crate::model::ports::Lease;
use crate::postgres::bigint::from_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::hex::hex;

/// Records rejects. One that is open already is brought up to date.
pub(crate) async fn record(
    connection: &mut PgConnection,
    lease: &Lease,
    rejects: &[Reject],
    now: Time,
) -> Result<(), Error> {
    // The last of each, in order of their keys: one statement must not meet a row twice, and two transactions lock
    // in one order.
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
         on conflict (resource, (coalesce(element_id, encode(sha256, 'hex')))) where resolved_at is null
         do update set
           reason = excluded.reason, detail = excluded.detail, raw = excluded.raw,
           raw_bytes = excluded.raw_bytes, sha256 = excluded.sha256,
           run_id = excluded.run_id, noticed_at = excluded.noticed_at",
        lease.slot.resource,
        &ids as &[Option<String>],
        &column(|reject| reject.reason.as_str()),
        &column(|reject| &reject.detail),
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

/// What `rejects_open` calls an element: its id, else its bytes.
fn key(reject: &Reject) -> String {
    reject.element_id.clone().unwrap_or_else(|| hex(&reject.sha256))
}

/// Closes the open rejects of elements that loaded.
pub(crate) async fn resolve(
    connection: &mut PgConnection,
    resource: &str,
    loaded: &[&str],
    now: Time,
) -> Result<(), Error> {
    sqlx::query!(
        "update sync.rejects set resolved_at = $3
         where resource = $1 and resolved_at is null and element_id = any ($2)",
        resource,
        loaded as &[&str],
        now
    )
    .execute(connection)
    .await
    .doing("closing rejects")?;
    Ok(())
}

/// Deletes what is older than 30 days.
pub(crate) async fn forget_old(connection: &mut PgConnection, resource: &str) -> Result<(), Error> {
    sqlx::query!(
        "delete from sync.rejects where resource = $1 and noticed_at < sync.clock() - interval '30 days'",
        resource
    )
    .execute(connection)
    .await
    .doing("deleting old rejects")?;
    Ok(())
}
