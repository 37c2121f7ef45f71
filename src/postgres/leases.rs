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
use crate::postgres::{boundary, feed, rejects, runs};

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
    make_free(&mut transaction, &name, holder, DOING).await?;
    // `for update` waits for data transactions that asserted the old fence: they end before the fence moves on.
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
    let took_over = open_run(&mut transaction, &lease).await?;
    feed::restart_if_lost(&mut transaction).await?;
    boundary::cross("lease/take", DOING, transaction.commit()).await?;
    if took_over && former != holder {
        end_sessions(pool, &former).await;
    }
    Ok(Acquired::Lease(lease))
}

/// Adds the row of a lease that nobody has had yet. It is free.
async fn make_free(
    connection: &mut PgConnection,
    name: &str,
    holder: &str,
    doing: &'static str,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into sync.leases (name, holder, fence, expires_at) values ($1, $2, 0, 'epoch')
         on conflict do nothing",
        name,
        holder
    )
    .execute(connection)
    .await
    .doing(doing)?;
    Ok(())
}

/// Opens the run of a lease and sets the lease's mark: from here on the mark's absence tells that the server may have lost commits.
/// Returns whether the run took over from others.
async fn open_run(connection: &mut PgConnection, lease: &Lease) -> Result<bool, Error> {
    sqlx::query!(
        "insert into sync.lease_marks (name, fence) values ($1, $2)
         on conflict (name) do update set fence = excluded.fence where lease_marks.fence < excluded.fence",
        lease.slot.lease_name(),
        lease.fence
    )
    .execute(&mut *connection)
    .await
    .doing("marking the lease")?;
    runs::open(connection, lease.slot, lease.run_id).await
}

/// Goes on with a lease after [`Error::CommitsLost`]: what is stored now is the state from which its run goes on. A standby that
/// lagged may not know the lease or the run. The lease is taken back unless another process has taken it meanwhile. Whoever follows the
/// feed of changes may have read changes that are lost, so it starts again.
pub(crate) async fn regain(pool: &PgPool, lease: &Lease, holder: &str, ttl: Duration) -> Result<(), Error> {
    const DOING: &str = "taking the lease back";
    let name = lease.slot.lease_name();
    let mut transaction = pool.begin().await.doing(DOING)?;
    make_free(&mut transaction, &name, holder, DOING).await?;
    let regained = sqlx::query!(
        "update sync.leases set holder = $2, fence = $3, expires_at = sync.clock() + $5, run_id = $4
         where name = $1
           and (fence = $3 and run_id = $4 or fence < $3 and (holder = $2 or expires_at <= sync.clock()))",
        name,
        holder,
        lease.fence,
        lease.run_id,
        interval(ttl)
    )
    .execute(&mut *transaction)
    .await
    .doing(DOING)?;
    if regained.rows_affected() == 0 {
        return Err(Error::Fenced { name });
    }
    open_run(&mut transaction, lease).await?;
    feed::restart(&mut transaction).await?;
    boundary::cross("lease/regain", DOING, transaction.commit()).await
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
    if extend(pool, lease, ttl).await? {
        return Ok(());
    }
    let name = lease.slot.lease_name();
    let is_marked = sqlx::query_scalar!(
        r#"select exists (select from sync.lease_marks where name = $1 and fence >= $2) as "marked!""#,
        name,
        lease.fence
    )
    .fetch_one(pool)
    .await
    .doing("looking for the lease's mark")?;
    // The run may have taken its lease back between these two statements.
    if is_marked && extend(pool, lease, ttl).await? {
        return Ok(());
    }
    Err(gone(name, is_marked))
}

/// Extends the lease if it is held.
async fn extend(pool: &PgPool, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
    let name = lease.slot.lease_name();
    let renew = sqlx::query!(
        "update sync.leases set expires_at = sync.clock() + $4 where name = $1 and fence = $2 and run_id = $3",
        name,
        lease.fence,
        lease.run_id,
        interval(ttl)
    )
    .execute(pool);
    let renewed = boundary::cross("lease/renew", "renewing the lease", renew).await?;
    Ok(renewed.rows_affected() > 0)
}

/// Why a lease is not held any more: another process has it, or the server does not know of it.
fn gone(name: String, is_marked: bool) -> Error {
    if is_marked {
        Error::Fenced { name }
    } else {
        Error::CommitsLost
    }
}

/// The last statement of each data transaction: until the commit, no other process can raise the fence. `for key share` does
/// not block the holder's renewals, which change no key. Fails with [`Error::CommitsLost`] if the lease's mark is gone: the server
/// crashed, or another one took its place, and what the run committed before may be lost. Another process may hold a lease with
/// the same fence then, so the run is asserted, too.
pub(crate) async fn assert(connection: &mut PgConnection, lease: &Lease) -> Result<(), Error> {
    let name = lease.slot.lease_name();
    let row = sqlx::query!(
        r#"select (fence = $2 and run_id is not distinct from $3) as "is_held!",
             exists (select from sync.lease_marks where name = $1 and fence >= $2) as "is_marked!"
           from sync.leases where name = $1 for key share"#,
        name,
        lease.fence,
        lease.run_id
    )
    .fetch_optional(connection)
    .await
    .doing("asserting the lease")?;
    match row {
        Some(row) if row.is_held && row.is_marked => Ok(()),
        Some(row) => Err(gone(name, row.is_marked)),
        None => Err(Error::CommitsLost),
    }
}

/// Closes the run and releases the lease. The fence stays, so that late transactions of this run fail. Removes old rejects, and changes
/// that are older than they are kept.
pub(crate) async fn close(
    pool: &PgPool,
    lease: &Lease,
    ledger: &Ledger,
    (changes_kept, rejects_kept): (Option<Duration>, Duration),
) -> Result<(), Error> {
    const DOING: &str = "closing the run";
    let mut transaction = pool.begin().await.doing(DOING)?;
    runs::close(&mut transaction, lease, ledger).await?;
    rejects::forget_old(&mut transaction, lease.slot.resource, rejects_kept).await?;
    if let Some(keep) = changes_kept {
        feed::forget_old(&mut transaction, keep).await?;
    }
    sqlx::query!(
        "update sync.leases set expires_at = 'epoch' where name = $1 and fence = $2 and run_id = $3",
        lease.slot.lease_name(),
        lease.fence,
        lease.run_id
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
