//! Removes what is no longer kept: old runs, of which totals by day stay, and months of audit events. Each step is short, and what it
//! did stays done: after a crash the next housekeeping goes on.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::postgres::bigint::to_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, upkeep};

pub(crate) const FORGETTING: &str = "removing old runs";
pub(crate) const DROPPING: &str = "removing old audit events";
/// The most runs of one transaction.
const RUNS_AT_ONCE: i64 = 5_000;

/// Removes some of the runs that are older than `keep`, and adds them to the totals of their days. The last run of each resource, mode and
/// status stays, since `status` and `blueconic.freshness` read it. Returns how many left; none: there is no other.
pub(crate) async fn forget_runs(connection: &mut PgConnection, keep: Duration) -> Result<u64, Error> {
    let forgetting = sqlx::query_scalar!(
        r#"with old as (
             delete from sync.runs where id in (
               select r.id from sync.runs as r
               where r.finished_at < sync.clock() - make_interval(secs => $1) and r.status <> 'running'
                 and exists (
                   select from sync.runs as later
                   where later.resource = r.resource and later.mode = r.mode and later.status = r.status
                     and (later.started_at, later.id) > (r.started_at, r.id)
                 )
               order by r.finished_at, r.id limit $2
             )
             returning resource, mode, status, started_at, finished_at, rows_read, rows_inserted, rows_updated, rows_removed,
               rows_rejected, requests, retries, bytes_read
           ), added as (
             insert into sync.run_totals as t
               (day, resource, mode, status, runs, seconds, rows_read, rows_inserted, rows_updated, rows_removed, rows_rejected,
                requests, retries, bytes_read)
             select (started_at at time zone 'UTC')::date, resource, mode, status, count(*),
               sum(extract(epoch from finished_at - started_at)), sum(rows_read), sum(rows_inserted), sum(rows_updated),
               sum(rows_removed), sum(rows_rejected), sum(requests), sum(retries), sum(bytes_read)
             from old group by 1, 2, 3, 4 order by 1, 2, 3, 4
             on conflict (day, resource, mode, status) do update set
               runs = t.runs + excluded.runs, seconds = t.seconds + excluded.seconds, rows_read = t.rows_read + excluded.rows_read,
               rows_inserted = t.rows_inserted + excluded.rows_inserted, rows_updated = t.rows_updated + excluded.rows_updated,
               rows_removed = t.rows_removed + excluded.rows_removed, rows_rejected = t.rows_rejected + excluded.rows_rejected,
               requests = t.requests + excluded.requests, retries = t.retries + excluded.retries,
               bytes_read = t.bytes_read + excluded.bytes_read
           )
           select count(*) as "removed!" from old"#,
        keep.as_secs_f64(),
        RUNS_AT_ONCE
    )
    .fetch_one(connection);
    let removed = boundary::cross("housekeeping/runs", FORGETTING, forgetting).await?;
    Ok(to_count(removed))
}

/// A partition of audit events all of which are older than they are kept.
#[derive(Debug)]
pub(crate) struct OldMonth {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is a partition still; false after a crash between two steps.
    is_attached: bool,
    /// Whether an earlier attempt to detach it was broken off.
    is_pending: bool,
}

/// The partitions of audit events that are older than `keep`, the oldest first.
pub(crate) async fn old_months(
    connection: &mut PgConnection,
    keep: Duration,
) -> Result<Vec<OldMonth>, Error> {
    sqlx::query_as!(
        OldMonth,
        r#"select c.relname::text as "name!", i.inhrelid is not null as "is_attached!",
             coalesce(i.inhdetachpending, false) as "is_pending!"
           from pg_class as c
           left join pg_inherits as i on i.inhrelid = c.oid and i.inhparent = 'blueconic.audit_events'::regclass
           cross join lateral regexp_match(c.relname, '^audit_events_y([0-9]{4,})m([0-9]{2})$') as month (words)
           where c.relnamespace = 'blueconic'::regnamespace and c.relkind = 'r' and month.words is not null
             and make_timestamptz(month.words[1]::integer, month.words[2]::integer, 1, 0, 0, 0, 'UTC') + interval '1 month'
               <= sync.clock() - make_interval(secs => $1)
           order by c.relname"#,
        keep.as_secs_f64()
    )
    .fetch_all(connection)
    .await
    .doing(DROPPING)
}

/// Detaches a partition, for which nobody waits, and drops its table.
pub(crate) async fn drop_month(connection: &mut PgConnection, month: &OldMonth) -> Result<(), Error> {
    upkeep::take_time(connection, DROPPING).await?;
    let name = &month.name;
    if month.is_attached {
        let how = if month.is_pending {
            "finalize"
        } else {
            "concurrently"
        };
        let detach = format!("alter table blueconic.audit_events detach partition blueconic.{name} {how}");
        let detach = sqlx::query(AssertSqlSafe(detach)).execute(&mut *connection);
        boundary::cross("housekeeping/detach", DROPPING, detach).await?;
    }
    let drop = format!("drop table blueconic.{name}");
    let drop = sqlx::query(AssertSqlSafe(drop)).execute(connection);
    boundary::cross("housekeeping/drop", DROPPING, drop).await?;
    Ok(())
}
