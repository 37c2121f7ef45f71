//! The schedule of one resource as it stands now: its jobs, its pause, who reads it, and the processes that keep the schedule.

use crate::model::timetable::{Held, JobStatus, Pause, Timetable};
use crate::postgres::clock;
use crate::postgres::error::{Doing, Error};
use crate::postgres::services;
use crate::postgres::store::PostgresStore;

const DOING: &str = "reading the schedule of a resource";

/// Reads it.
pub async fn read(store: &PostgresStore, resource: &str) -> Result<Timetable, Error> {
    store.moment(DOING, of(store, resource)).await
}

async fn of(store: &PostgresStore, resource: &str) -> Result<Timetable, Error> {
    let pool = store.control();
    let jobs = sqlx::query_as!(
        JobStatus,
        r#"select job, cron, time_zone, next_run_at, last_run_at, requested_at,
             case when claimed_until > sync.clock() then claimed_by end as running_by
           from sync.schedule where resource = $1 order by job"#,
        resource
    )
    .fetch_all(pool)
    .await
    .doing(DOING)?;
    let held = sqlx::query_as!(
        Held,
        r#"select split_part(name, '/', 2) as "scope!", holder from sync.leases
           where split_part(name, '/', 1) = $1 and expires_at > sync.clock()
           order by name"#,
        resource
    )
    .fetch_all(pool)
    .await
    .doing(DOING)?;
    let pause = sqlx::query_as!(
        Pause,
        r#"select paused_at as since, ends_at, paused_by as "by" from sync.pauses
           where resource = $1 and (ends_at is null or ends_at > sync.clock())"#,
        resource
    )
    .fetch_optional(pool)
    .await
    .doing(DOING)?;
    Ok(Timetable {
        now: clock::now(pool, clock::READING).await?,
        jobs,
        pause,
        held,
        services: services::read(pool).await?,
    })
}
