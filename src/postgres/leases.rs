//! `sync.leases`: who may write for a slot. The fence grows with each holder, and each data transaction asserts it in
//! its last statement, so that a holder that has lost its lease writes nothing. All times are the database's.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::model::lease::{Acquired, Holder, Lease};
use crate::model::ledger::Ledger;
use crate::model::position::Slot;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, rejects, runs};

/// A lease that lasts more than this many times our time to live cannot come from a replica with other settings.
const LONGER_THAN_ANY: u32 = 10;

/// Acquires the lease and opens a run. Reading a held lease takes no lock, so that waiting processes never block the
/// holder.
pub(crate) async fn acquire(
    pool: &PgPool,
    slot: Slot,
    holder: &str,
    ttl: Duration,
) -> Result<Acquired, Error> {
    if let Some(held) = look(pool, &slot.lease_name(), ttl).await? {
        return Ok(Acquired::Held(held));
    }
    take(pool, slot, holder, ttl).await
}

/// Reads the lease. One that lasts far longer than any holder asks for is from before the database's clock was set
/// back.
async fn look(pool: &PgPool, name: &str, ttl: Duration) -> Result<Option<Holder>, Error> {
    let row = sqlx::query!(
        r#"select holder, run_id, expires_at, sync.clock() as "now!" from sync.leases
           where name = $1 and expires_at > sync.clock() and expires_at <= sync.clock() + $2"#,
        name,
        interval(ttl * LONGER_THAN_ANY)
    )
    .fetch_optional(pool)
    .await
    .doing("looking at the lease")?;
    Ok(row.map(|row| Holder {
        name: row.holder,
        run_id: row.run_id,
        expires_at: row.expires_at,
        now: row.now,
    }))
}

async fn take(pool: &PgPool, slot: Slot, holder: &str, ttl: Duration) -> Result<Acquired, Error> {
    const DOING: &str = "taking the lease";
    let name = slot.lease_name();
    let mut transaction = pool.begin().await.doing(DOING)?;
    // `for update` waits for data transactions that asserted the old fence: they end before the fence moves on.
    sqlx::query!(
        "insert into sync.leases (name, holder, fence, expires_at) values ($1, $2, 0, 'epoch')
         on conflict do nothing",
        name,
        holder
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    let former = sqlx::query_scalar!("select holder from sync.leases where name = $1 for update", name)
        .fetch_one(&mut *transaction)
        .await
        .doing(DOING)?;
    let run_id = Uuid::now_v7();
    let fence = sqlx::query_scalar!(
        "update sync.leases set holder = $2, fence = fence + 1, expires_at = sync.clock() + $3, run_id = $4
         where name = $1 and (expires_at <= sync.clock() or expires_at > sync.clock() + $5)
         returning fence",
        name,
        holder,
        interval(ttl),
        run_id,
        interval(ttl * LONGER_THAN_ANY)
    )
    .fetch_optional(&mut *transaction)
    .await
    .doing(DOING)?;
    let Some(fence) = fence else {
        transaction.rollback().await.doing(DOING)?;
        return held_meanwhile(pool, &name).await;
    };
    let lease = Lease { slot, fence, run_id };
    mark(&mut transaction, &lease).await?;
    let took_over = runs::open(&mut transaction, slot, run_id).await?;
    boundary::cross("lease/take", DOING, transaction.commit()).await?;
    if took_over && former != holder {
        end_sessions(pool, &former).await;
    }
    Ok(Acquired::Lease(lease))
}

/// Sets the lease's mark: from here on [`is_marked`] tells whether the server may have lost a commit since.
pub(crate) async fn mark(connection: &mut PgConnection, lease: &Lease) -> Result<(), Error> {
    sqlx::query!(
        "insert into sync.lease_marks (name, fence) values ($1, $2)
         on conflict (name) do update set fence = excluded.fence where lease_marks.fence < excluded.fence",
        lease.slot.lease_name(),
        lease.fence
    )
    .execute(connection)
    .await
    .doing("marking the lease")?;
    Ok(())
}

/// Whether the lease's mark is there still. If not, the server crashed or failed over since, and the last commits may be lost.
pub(crate) async fn is_marked(connection: &mut PgConnection, lease: &Lease) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"select exists (select from sync.lease_marks where name = $1 and fence >= $2) as "marked!""#,
        lease.slot.lease_name(),
        lease.fence
    )
    .fetch_one(connection)
    .await
    .doing("looking for the lease's mark")
}

/// The session name of a holder, from the unique part of the holder's name.
pub(crate) fn session_name(holder: &str) -> String {
    let own = holder
        .rmatch_indices(':')
        .nth(1)
        .map_or(holder, |(at, _)| &holder[at + 1..]);
    format!("blueconic-sync {own}")
}

/// Ends the sessions of a former holder. A process that was paused during COPY keeps its transaction open, which no
/// time limit of the server ends and for which concurrent index builds wait. If the process lives, it connects again.
async fn end_sessions(pool: &PgPool, holder: &str) {
    let ended = sqlx::query_scalar!(
        r#"select count(pg_terminate_backend(pid)) as "ended!" from pg_stat_activity
           where application_name = $1 and datname = current_database() and usename = current_user
             and pid <> pg_backend_pid()"#,
        session_name(holder)
    )
    .fetch_one(pool)
    .await;
    match ended {
        Ok(0) => {}
        Ok(sessions) => tracing::info!(
            sessions,
            "ended the sessions of `{holder}`, which no longer answers"
        ),
        Err(error) => tracing::warn!(%error, "the sessions of `{holder}` could not be ended"),
    }
}

/// The holder that was faster, even if it has released the lease meanwhile.
async fn held_meanwhile(pool: &PgPool, name: &str) -> Result<Acquired, Error> {
    let row = sqlx::query!(
        r#"select holder, run_id, expires_at, sync.clock() as "now!" from sync.leases where name = $1"#,
        name
    )
    .fetch_one(pool)
    .await
    .doing("looking at the lease")?;
    Ok(Acquired::Held(Holder {
        name: row.holder,
        run_id: row.run_id,
        expires_at: row.expires_at,
        now: row.now,
    }))
}

/// Renews the lease. An expired lease that nobody else took is still ours.
pub(crate) async fn renew(pool: &PgPool, lease: &Lease, ttl: Duration) -> Result<(), Error> {
    let name = lease.slot.lease_name();
    let renew = sqlx::query!(
        "update sync.leases set expires_at = sync.clock() + $3 where name = $1 and fence = $2",
        name,
        lease.fence,
        interval(ttl)
    )
    .execute(pool);
    let renewed = boundary::cross("lease/renew", "renewing the lease", renew).await?;
    match renewed.rows_affected() {
        0 => Err(Error::Fenced { name }),
        _ => Ok(()),
    }
}

/// The last statement of each data transaction: until the commit, no other process can raise the fence. `for key share` does
/// not block the holder's renewals, which change no key.
pub(crate) async fn assert(connection: &mut PgConnection, lease: &Lease) -> Result<(), Error> {
    let name = lease.slot.lease_name();
    let row = sqlx::query!(
        "select from sync.leases where name = $1 and fence = $2 for key share",
        name,
        lease.fence
    )
    .fetch_optional(connection)
    .await
    .doing("asserting the lease")?;
    row.map(|_| ()).ok_or(Error::Fenced { name })
}

/// Closes the run and releases the lease. The fence stays, so that late transactions of this run fail.
pub(crate) async fn close(pool: &PgPool, lease: &Lease, ledger: &Ledger) -> Result<(), Error> {
    const DOING: &str = "closing the run";
    let mut transaction = pool.begin().await.doing(DOING)?;
    runs::close(&mut transaction, lease, ledger).await?;
    rejects::forget_old(&mut transaction, lease.slot.resource).await?;
    sqlx::query!(
        "update sync.leases set expires_at = 'epoch' where name = $1 and fence = $2",
        lease.slot.lease_name(),
        lease.fence
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    boundary::cross("lease/close", DOING, transaction.commit()).await
}

/// A duration for SQL, to the microsecond.
pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
    }
}
