//! Requests for a run by hand, `sync.schedule.requested_at`: a job with one is due, whatever its time.

use crate::model::job::Job;
use crate::postgres::boundary;
use crate::postgres::error::Error;
use crate::postgres::store::PostgresStore;

/// Asks for a run of a job. A job that no process has scheduled yet is stored, as due. False if a pause holds it: then nothing is
/// written.
pub async fn request(store: &PostgresStore, job: &Job) -> Result<bool, Error> {
    store.moment("asking for a run", write(store, job)).await
}

async fn write(store: &PostgresStore, job: &Job) -> Result<bool, Error> {
    let statement = sqlx::query!(
        "insert into sync.schedule (job, resource, scope, cron, time_zone, next_run_at, requested_at)
         select $1, $2, $3, $4, $5, sync.clock(), sync.clock()
         where not exists (
           select from sync.pauses as p
           where p.resource = $2 and (p.ends_at is null or p.ends_at > sync.clock())
         )
         on conflict (job) do update set requested_at = excluded.requested_at",
        job.name,
        job.slot.resource,
        job.slot.scope.as_str(),
        job.cron,
        job.time_zone
    )
    .execute(store.control());
    let written = boundary::cross("schedule/request", "asking for a run", statement).await?;
    Ok(written.rows_affected() == 1)
}
