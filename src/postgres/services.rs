//! `sync.services`: the processes that look for due jobs. All times are the database's.

use std::time::Duration;

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::model::Time;
use crate::model::timetable::Service;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;

/// Writes the heartbeat of a process, and returns its time. Rows of processes that have been silent for a day are removed.
pub(crate) async fn beat(
    connection: &mut PgConnection,
    holder: &str,
    heartbeat: Duration,
) -> Result<Time, Error> {
    let statement = sqlx::query_scalar!(
        "with gone as (
           delete from sync.services where seen_at < sync.clock() - interval '1 day' and holder <> $1
         )
         insert into sync.services (holder, version, started_at, seen_at, heartbeat)
         values ($1, $2, sync.clock(), sync.clock(), $3)
         on conflict (holder) do update set seen_at = excluded.seen_at, heartbeat = excluded.heartbeat
         returning seen_at",
        holder,
        env!("CARGO_PKG_VERSION"),
        interval(heartbeat)
    )
    .fetch_one(connection);
    boundary::cross("services/beat", "recording a heartbeat", statement).await
}

/// Removes the row of a process that looks for due jobs no more.
pub(crate) async fn leave(pool: &PgPool, holder: &str) -> Result<(), Error> {
    let statement = sqlx::query!("delete from sync.services where holder = $1", holder).execute(pool);
    boundary::cross("services/leave", "leaving the list of services", statement).await?;
    Ok(())
}

/// The processes that were seen within a day, the latest first. A heartbeat in the future is from before the database's clock was set
/// back, and proves nothing.
pub(crate) async fn read(of: impl PgExecutor<'_>) -> Result<Vec<Service>, Error> {
    sqlx::query_as!(
        Service,
        r#"select holder, version, started_at, seen_at,
             extract(epoch from heartbeat)::float8 as "heartbeat_seconds!",
             abs(extract(epoch from sync.clock() - seen_at)) <= 3 * extract(epoch from heartbeat) + 10 as "is_alive!"
           from sync.services
           order by seen_at desc, holder"#
    )
    .fetch_all(of)
    .await
    .doing("reading the services")
}
