//! `sync.gaps`: stretches of time that may lack elements. Spans are `(from, to]`, which is PostgreSQL's `'(]'`, so
//! that its multiranges do the arithmetic. Only the holder of the resource's lease writes them.

use sqlx::{PgConnection, PgPool};

use crate::model::Time;
use crate::model::batch::{Advance, Doubt, GapReason, Landmark, Span};
use crate::model::ports::Lease;
use crate::postgres::bigint::{from_count, to_count};
use crate::postgres::error::{Doing, Error};

/// The open gaps of a resource, in order.
pub(crate) async fn open(pool: &PgPool, resource: &str) -> Result<Vec<Span>, Error> {
    sqlx::query_as!(
        Span,
        r#"select from_at as "from", to_at as "to" from sync.gaps
           where resource = $1 and closed_at is null
           order by from_at, to_at"#,
        resource
    )
    .fetch_all(pool)
    .await
    .doing("reading the open gaps")
}

/// The newest stored event up to a date, and the newest open gap that an answer in doubt left, with the number of
/// events stored from that answer's oldest on. Dates may be finer than the milliseconds in which gaps count.
pub(crate) async fn landmark(pool: &PgPool, up_to: Time) -> Result<Landmark, Error> {
    let row = sqlx::query!(
        r#"select (select max(e.occurred_at) from blueconic.audit_events as e where e.occurred_at <= $1) as "event?",
             g.from_at as "from?", g.to_at as "to?", g.elements as "elements?",
             (select count(*) from blueconic.audit_events as e where e.occurred_at > g.to_at - interval '1 millisecond')
               as "stored!"
           from (values (true)) as one (row)
           left join lateral (
             select d.from_at, d.to_at, d.elements from sync.gaps as d
             where d.resource = 'audit_events' and d.closed_at is null and d.elements is not null
             order by d.to_at desc
             limit 1
           ) as g on true"#,
        up_to
    )
    .fetch_one(pool)
    .await
    .doing("reading what is known of audit events")?;
    let span = row.from.zip(row.to).map(|(from, to)| Span { from, to });
    Ok(Landmark {
        event: row.event,
        doubt: span.zip(row.elements).map(|(span, elements)| Doubt {
            span,
            elements: to_count(elements),
            stored: to_count(row.stored),
        }),
    })
}

/// Takes what is covered out of the open gaps, then records new ones.
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
    Ok(())
}

/// An open gap that is covered in part keeps its first remaining piece; further pieces become rows of their own. One
/// that is covered whole closes and keeps its bounds.
async fn cover(connection: &mut PgConnection, resource: &str, span: Span, now: Time) -> Result<(), Error> {
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

/// Records what of the span is in no open gap yet. A stretch that stays unreachable from one scan to the next is one gap
/// that grows, or each poll would add a row.
async fn record(
    connection: &mut PgConnection,
    lease: &Lease,
    span: Span,
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
