//! `sync.drift`: how often elements had fields and values that are not known.

use sqlx::PgConnection;

use crate::model::drift::UnknownCounts;
use crate::model::sanitize;
use crate::postgres::bigint::from_count;
use crate::postgres::error::{Doing, Error};

/// The longest name or detail, in characters; texts of the tenant have any length.
const LONGEST: usize = 300;

/// Texts of the tenant are stored sanitized, and cut.
pub(crate) fn shown(text: &str) -> String {
    sanitize::line(text).chars().take(LONGEST).collect()
}

/// Adds what elements of a run had that is not known, in the transaction that closes the run.
pub(crate) async fn count(
    connection: &mut PgConnection,
    resource: &str,
    unknown: &UnknownCounts,
) -> Result<(), Error> {
    if unknown.is_empty() {
        return Ok(());
    }
    let mut kinds = Vec::new();
    let mut names = Vec::new();
    let mut times = Vec::new();
    for (kind, name, count) in unknown.iter() {
        kinds.push(kind.as_str().to_owned());
        names.push(shown(name));
        times.push(from_count(count));
    }
    sqlx::query!(
        "insert into sync.drift
           (source, kind, resource, path, name, severity, detail, release, first_seen_at, last_seen_at, times)
         select 'data', f.kind, $4, '', f.name, 'note', 'found in elements that were read',
           (select d.release from sync.tenant_document as d), now.at, now.at, sum(f.times)
         from unnest($1::text[], $2::text[], $3::bigint[]) as f (kind, name, times)
         cross join (select sync.clock() as at) as now
         group by f.kind, f.name, now.at
         order by f.kind, f.name
         on conflict (source, kind, resource, path, name) do update set
           release = excluded.release, last_seen_at = excluded.last_seen_at, times = drift.times + excluded.times",
        &kinds,
        &names,
        &times,
        resource
    )
    .execute(connection)
    .await
    .doing("counting what is not known")?;
    Ok(())
}
