//! `sync.run_days`: totals of ended runs by day. The status page reads them in place of the runs, of which there may be thousands.

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::model::overview::RunDay;
use crate::postgres::error::{Doing, Error};

/// For how many days totals are shown, today included.
const SHOWN: i32 = 30;
/// For how many days they are kept.
const KEPT: i32 = 60;

/// Adds runs that this transaction has ended to the totals of their days, and removes days of their slots that are no longer kept.
pub(crate) async fn add(connection: &mut PgConnection, ended: &[Uuid]) -> Result<(), Error> {
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with old as (
           delete from sync.run_days as d using sync.runs as r
           where r.id = any ($1) and d.resource = r.resource and d.mode = r.mode
             and d.day <= (select (sync.clock() at time zone 'UTC')::date) - $2::integer
         )
         insert into sync.run_days as d
           (resource, mode, day, status, runs, seconds, longest_seconds, rows_read, rows_written, rows_removed, rows_rejected)
         select r.resource, r.mode, (r.started_at at time zone 'UTC')::date, r.status, count(*),
           sum(t.seconds), max(t.seconds), sum(r.rows_read), sum(r.rows_inserted + r.rows_updated), sum(r.rows_removed),
           sum(r.rows_rejected)
         from sync.runs as r
         cross join lateral (
           select greatest(extract(epoch from coalesce(r.finished_at, r.started_at) - r.started_at), 0)::double precision as seconds
         ) as t
         where r.id = any ($1) and r.status <> 'running'
           and r.started_at >= (select sync.clock()) - make_interval(days => $2::integer - 1)
         group by 1, 2, 3, 4 order by 1, 2, 3, 4
         on conflict (resource, mode, day, status) do update set
           runs = d.runs + excluded.runs, seconds = d.seconds + excluded.seconds,
           longest_seconds = greatest(d.longest_seconds, excluded.longest_seconds), rows_read = d.rows_read + excluded.rows_read,
           rows_written = d.rows_written + excluded.rows_written, rows_removed = d.rows_removed + excluded.rows_removed,
           rows_rejected = d.rows_rejected + excluded.rows_rejected",
        ended,
        KEPT
    )
    .execute(connection)
    .await
    .doing("adding a run to its day")?;
    Ok(())
}

/// The totals of the last 30 days, in the order of slots and days.
pub(crate) async fn read(pool: &PgPool) -> Result<Vec<RunDay>, Error> {
    let rows = sqlx::query_scalar!(
        r#"select to_jsonb(d) as "day!: Json<RunDay>" from sync.run_days as d
           where d.day > (select (sync.clock() at time zone 'UTC')::date) - $1::integer
             and d.day <= (select (sync.clock() at time zone 'UTC')::date)
           order by d.resource, d.mode, d.day, d.status"#,
        SHOWN
    );
    let rows = rows.fetch_all(pool).await.doing("reading the last 30 days")?;
    Ok(rows.into_iter().map(|Json(day)| day).collect())
}
