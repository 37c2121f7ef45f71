//! `sync.pauses`: resources whose jobs a person holds. The claim of a job asks this table, so a pause holds whatever process would
//! start the job. All times are the database's.

use std::time::Duration;

use crate::model::Time;
use crate::model::timetable::Pause;
use crate::postgres::boundary;
use crate::postgres::error::Error;
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;

/// When a pause ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Never.
    Open,
    /// At this time.
    At(Time),
    /// After this time.
    After(Duration),
}

/// Holds the jobs of a resource. A resource that is paused already keeps the beginning of its pause and gets the new end.
pub async fn pause(store: &PostgresStore, resource: &str, end: End) -> Result<Pause, Error> {
    store
        .moment("pausing a resource", write(store, resource, end))
        .await
}

/// Ends the pause of a resource; none if it was not paused.
pub async fn resume(store: &PostgresStore, resource: &str) -> Result<Option<Pause>, Error> {
    store.moment("ending a pause", remove(store, resource)).await
}

async fn write(store: &PostgresStore, resource: &str, end: End) -> Result<Pause, Error> {
    let (at, after) = match end {
        End::Open => (None, None),
        End::At(time) => (Some(time), None),
        End::After(time) => (None, Some(interval(time))),
    };
    let statement = sqlx::query_as!(
        Pause,
        r#"insert into sync.pauses as former (resource, paused_at, ends_at, paused_by)
           values (
             $1, sync.clock(), coalesce($2::timestamptz, sync.clock() + $3::interval),
             session_user || ' on ' || $4::text
           )
           on conflict (resource) do update set
             paused_at = case
               when former.ends_at <= excluded.paused_at then excluded.paused_at
               else former.paused_at
             end,
             ends_at = excluded.ends_at, paused_by = excluded.paused_by
           returning paused_at as since, ends_at, paused_by as "by""#,
        resource,
        at,
        after,
        store.host()
    )
    .fetch_one(store.control());
    boundary::cross("pauses/write", "pausing a resource", statement).await
}

async fn remove(store: &PostgresStore, resource: &str) -> Result<Option<Pause>, Error> {
    let statement = sqlx::query!(
        r#"delete from sync.pauses where resource = $1
           returning paused_at, ends_at, paused_by, ends_at is null or ends_at > sync.clock() as "holds!""#,
        resource
    )
    .fetch_optional(store.control());
    let row = boundary::cross("pauses/remove", "ending a pause", statement).await?;
    Ok(row.filter(|row| row.holds).map(|row| Pause {
        since: row.paused_at,
        ends_at: row.ends_at,
        by: row.paused_by,
    }))
}
