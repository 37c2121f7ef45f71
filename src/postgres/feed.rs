//! The state of the feed of changes: on or off, where it starts again, and how far back it reaches. `changes.rs` writes the changes
//! themselves.

use std::time::Duration;

use sqlx::{PgConnection, PgExecutor, PgPool};

use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::load_lock::wait_for_loads;

const SWITCHING: &str = "switching the feed of changes";
const FORGETTING: &str = "removing old changes";
/// The most rows of the feed that the end of a run removes. Each holds the keys of up to a batch.
const REMOVED_AT_ONCE: i64 = 500;

/// Whether the feed is on or off as the settings say, and goes on from where it was.
pub(crate) async fn is_as_set(of: impl PgExecutor<'_>, is_on: bool) -> Result<bool, Error> {
    let feed = state(of).await?;
    Ok(feed.is_on == is_on && (feed.goes_on || !is_on))
}

struct State {
    is_on: bool,
    goes_on: bool,
}

/// Whether the feed is on, and whether it goes on from where it was. It does not where the server may have lost changes
/// that somebody has read (a crash, a failover, a restored backup): the mark in an unlogged table is gone then. Nor does it in a restored
/// dump, where the table has another oid, and where changes may come from transactions that are still to come on that server.
async fn state(of: impl PgExecutor<'_>) -> Result<State, Error> {
    sqlx::query_as!(
        State,
        r#"select exists (select from sync.changes) as "is_on!",
             exists (
               select from sync.lease_marks where name = 'changes' and fence = 'sync.changes'::regclass::oid::bigint
             ) and not exists (
               select from sync.changes where changed_by >= pg_snapshot_xmax(pg_current_snapshot())
             ) as "goes_on!""#
    )
    .fetch_one(of)
    .await
    .doing(SWITCHING)
}

/// Switches the feed on or off, and starts it again where it does not go on from where it was. No load is under way meanwhile: one
/// that began before the feed would change rows unnoticed.
pub(crate) async fn switch(pool: &PgPool, is_on: bool) -> Result<(), Error> {
    if is_as_set(pool, is_on).await? {
        return Ok(());
    }
    let mut transaction = pool.begin().await.doing(SWITCHING)?;
    wait_for_loads(&mut transaction).await?;
    if !is_as_set(&mut *transaction, is_on).await? {
        start(&mut transaction, Some(is_on)).await?;
    }
    boundary::cross("changes/switch", SWITCHING, transaction.commit()).await
}

/// Starts the feed again if it is on and does not go on from where it was: a server that took another's place between two runs is noticed
/// by the next one.
pub(crate) async fn restart_if_lost(connection: &mut PgConnection) -> Result<(), Error> {
    let feed = state(&mut *connection).await?;
    if feed.is_on && !feed.goes_on {
        restart(connection).await?;
    }
    Ok(())
}

/// Starts the feed again if it is on: the server may have lost changes that somebody has read.
pub(crate) async fn restart(connection: &mut PgConnection) -> Result<(), Error> {
    start(connection, None).await
}

/// Empties the feed, and adds its first row if it is to be on; none: if it was on.
async fn start(connection: &mut PgConnection, is_on: Option<bool>) -> Result<(), Error> {
    sqlx::query!(
        "with gone as (delete from sync.changes returning 1),
         begun as (
           insert into sync.changes (operation, changed_at)
           select 'started', sync.clock() where coalesce($1, exists (select from gone))
         )
         insert into sync.lease_marks (name, fence) values ('changes', 'sync.changes'::regclass::oid::bigint)
         on conflict (name) do update set fence = excluded.fence",
        is_on
    )
    .execute(connection)
    .await
    .doing(SWITCHING)?;
    Ok(())
}

/// Removes the oldest of the changes that are older than `keep`, whole transactions in the order of the feed: whoever has read up to a row
/// that is still there has missed nothing. The newest transaction stays, whatever its age.
pub(crate) async fn forget_old(connection: &mut PgConnection, keep: Duration) -> Result<(), Error> {
    sqlx::query!(
        "delete from sync.changes where (changed_by, change_id) in (
           select old.changed_by, old.change_id from sync.changes as old
           where old.changed_by < coalesce(
             (
               select min(young.changed_by) from sync.changes as young
               where young.changed_at >= sync.clock() - make_interval(secs => $1)
             ),
             (select max(newest.changed_by) from sync.changes as newest)
           )
           order by old.changed_by, old.change_id
           limit $2
           for update
         )",
        keep.as_secs_f64(),
        REMOVED_AT_ONCE
    )
    .execute(connection)
    .await
    .doing(FORGETTING)?;
    Ok(())
}
