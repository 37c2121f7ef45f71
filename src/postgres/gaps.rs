//! `sync.gaps`: time ranges in which audit events may be missing. Ranges are `(from, to]`, PostgreSQL's `'(]'`, so that
//! multiranges compute with them. Only the holder of the resource's lease writes here.

use sqlx::{PgConnection, PgPool};

use crate::model::Time;
use crate::model::batch::{Advance, GapReason, ScanEvidence, TimeRange};
use crate::model::lease::Lease;
use crate::postgres::bigint::{from_count, to_count};
use crate::postgres::error::{Doing, Error};

/// The open gaps of a resource, in order.
pub(crate) async fn open(pool: &PgPool, resource: &str) -> Result<Vec<TimeRange>, Error> {
    sqlx::query_as!(
        TimeRange,
        r#"select from_at as "from", to_at as "to" from sync.gaps
           where resource = $1 and closed_at is null
           order by from_at, to_at"#,
        resource
    )
    .fetch_all(pool)
    .await
    .doing("reading the open gaps")
}

/// The newest stored event up to a date, and the size of the answer that caused the newest doubtful gap.
pub(crate) async fn scan_evidence(pool: &PgPool, up_to: Time) -> Result<ScanEvidence, Error> {
    let row = sqlx::query!(
        r#"select (select max(e.occurred_at) from blueconic.audit_events as e where e.occurred_at <= $1) as "event?",
             (select g.elements from sync.gaps as g
              where g.resource = 'audit_events' and g.closed_at is null and g.elements is not null
              order by g.to_at desc
              limit 1
             ) as "elements?""#,
        up_to
    )
    .fetch_one(pool)
    .await
    .doing("reading what is known of audit events")?;
    Ok(ScanEvidence {
        event: row.event,
        doubt: row.elements.map(to_count),
    })
}

/// Removes covered ranges from the open gaps, then records new gaps.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    lease: &Lease,
    advance: &Advance,
    now: Time,
) -> Result<(), Error> {
    for span in advance.covered.iter().filter(|span| span.from < span.to) {
        cover(connection, lease.slot.resource, *span, now).await?;
    }
    for (span, reason) in advance.gaps.iter().filter(|(span, _)| span.from < span.to) {
        record(connection, lease, *span, *reason, now).await?;
    }
    if let Some(elements) = advance.disproves {
        disprove(connection, lease, elements).await?;
    }
    Ok(())
}

/// Clears the doubt about gaps whose answers were shorter than a later one: they were not cut by a cap. The gaps stay,
/// since events may have been left out.
async fn disprove(connection: &mut PgConnection, lease: &Lease, elements: u64) -> Result<(), Error> {
    sqlx::query!(
        "update sync.gaps set elements = null
         where resource = $1 and closed_at is null and elements < $2",
        lease.slot.resource,
        from_count(elements)
    )
    .execute(connection)
    .await
    .doing("looking at gaps in doubt")?;
    Ok(())
}

/// Shrinks open gaps by the covered ranges. A partly covered gap keeps its first remaining piece, and other pieces
/// become new rows. A wholly covered gap is closed and keeps its bounds.
async fn cover(
    connection: &mut PgConnection,
    resource: &str,
    span: TimeRange,
    now: Time,
) -> Result<(), Error> {
    sqlx::query!(
        "with pieces as (
           select g.id, g.reason, g.elements, g.run_id, g.noticed_at,
             array(
               select piece
               from unnest(
                 tstzmultirange(tstzrange(g.from_at, g.to_at, '(]'))
                 - tstzmultirange(tstzrange($2, $3, '(]'))
               ) as piece
               order by piece
             ) as rest
           from sync.gaps as g
           where g.resource = $1 and g.closed_at is null
             and tstzrange(g.from_at, g.to_at, '(]') && tstzrange($2, $3, '(]')
         ), shrunk as (
           update sync.gaps as g set
             from_at = coalesce(lower(p.rest[1]), g.from_at),
             to_at = coalesce(upper(p.rest[1]), g.to_at),
             closed_at = case when cardinality(p.rest) = 0 then $4::timestamptz end
           from pieces as p
           where g.id = p.id
         )
         insert into sync.gaps (resource, from_at, to_at, reason, elements, run_id, noticed_at)
         select $1, lower(further.piece), upper(further.piece), p.reason, p.elements, p.run_id, p.noticed_at
         from pieces as p
         cross join lateral unnest(p.rest[2:]) as further (piece)",
        resource,
        span.from,
        span.to,
        now
    )
    .execute(connection)
    .await
    .doing("closing gaps")?;
    Ok(())
}

/// Records the parts of the range that are in no open gap yet. A range that stays unreachable from scan to scan is one
/// growing gap, not a new row for each poll.
async fn record(
    connection: &mut PgConnection,
    lease: &Lease,
    span: TimeRange,
    reason: GapReason,
    now: Time,
) -> Result<(), Error> {
    sqlx::query!(
        "with pieces as (
           select lower(piece) as from_at, upper(piece) as to_at
           from unnest(
             tstzmultirange(tstzrange($2, $3, '(]'))
             - coalesce(
                 (select range_agg(tstzrange(g.from_at, g.to_at, '(]'))
                  from sync.gaps as g where g.resource = $1 and g.closed_at is null),
                 tstzmultirange()
               )
           ) as piece
         ), grown as (
           update sync.gaps as g set to_at = p.to_at
           from pieces as p
           where g.resource = $1 and g.closed_at is null and g.to_at = p.from_at
             and g.reason = 'unreachable' and g.reason = $4 and g.elements is not distinct from $7
           returning g.to_at
         )
         insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at, elements)
         select $1, p.from_at, p.to_at, $4, $5, $6, $7
         from pieces as p
         where not exists (select from grown where grown.to_at = p.to_at)",
        lease.slot.resource,
        span.from,
        span.to,
        reason.as_str(),
        lease.run_id,
        now,
        reason.elements().map(from_count)
    )
    .execute(connection)
    .await
    .doing("recording gaps")?;
    Ok(())
}
