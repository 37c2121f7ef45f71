//! `sync.runs`: what each run did and how it ended.

use std::borrow::Cow;

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::model::lease::Lease;
use crate::model::ledger::{Counts, Ledger};
use crate::model::position::Slot;
use crate::model::sanitize;
use crate::model::status::Run;
use crate::postgres::bigint::from_count;
use crate::postgres::error::{Doing, Error};
use crate::postgres::{boundary, run_days, unknown};

/// Opens a run, in the transaction that takes the lease; one that is open already stays. Closes other runs of the slot, which lost
/// their lease, and returns whether there were any. Stored positions omit the tenant's cursors, which encode ids of profiles. What
/// started the run is the claim that the lease's holder has on a job of the slot; without one, a command did.
pub(crate) async fn open(connection: &mut PgConnection, slot: Slot, run_id: Uuid) -> Result<bool, Error> {
    let took_over = interrupt_stale(connection, slot, run_id).await?;
    sqlx::query!(
        "insert into sync.runs (id, resource, mode, status, started_at, position_from, tenant_release, cause)
         select $1, $2, $3, 'running', sync.clock(),
           (select c.position - 'cursor' - 'aside' - 'divided_at' from sync.cursors as c where c.resource = $2 and c.scope = $3),
           (select d.release from sync.tenant_document as d),
           coalesce(
             (select case when s.requested_at <= s.last_run_at then 'request' else 'schedule' end
              from sync.schedule as s
              join sync.leases as l on l.holder = s.claimed_by
              where s.resource = $2 and s.scope = $3 and l.name = $4 and s.claimed_until > sync.clock()
              order by s.last_run_at desc limit 1),
             'command')
         on conflict (id) do nothing",
        run_id,
        slot.resource,
        slot.scope.as_str(),
        slot.lease_name()
    )
    .execute(connection)
    .await
    .doing("opening the run")?;
    Ok(took_over)
}

async fn interrupt_stale(connection: &mut PgConnection, slot: Slot, but: Uuid) -> Result<bool, Error> {
    let closed = sqlx::query_scalar!(
        "update sync.runs set
           status = 'interrupted',
           finished_at = sync.clock(),
           error = coalesce(error, 'its process ended or stood still: the lease lapsed and was taken over'),
           hint = coalesce(hint, 'nothing: the run that took over goes on from the stored position')
         where resource = $1 and mode = $2 and status = 'running' and id <> $3
         returning id",
        slot.resource,
        slot.scope.as_str(),
        but
    )
    .fetch_all(&mut *connection)
    .await
    .doing("closing the run of a lapsed lease")?;
    run_days::add(connection, &closed).await?;
    if !closed.is_empty() {
        tracing::warn!(
            lease = slot.lease_name(),
            "took over the lapsed lease of `{}`",
            slot.lease_name()
        );
    }
    Ok(!closed.is_empty())
}

/// Writes the counts of an open run; a run that was taken over stays as its successor closed it.
async fn write_counts<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    run_id: Uuid,
    counts: &Counts,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update sync.runs set
           source_total = $2, rows_read = $3, rows_distinct = $4, rows_inserted = $5, rows_updated = $6,
           rows_unchanged = $7, rows_removed = $8, rows_rejected = $9, rows_rehashed = $10,
           rows_suppressed = $11, rows_missed = $12, replaced_characters = $13, unexplained = $14,
           pages = $15, requests = $16, retries = $17, bytes_read = $18, rows_repeated = $19,
           rows_elsewhere = $20, page_fill_percent = $21, rows_late = $22, late_by_seconds = $23
         where id = $1 and status = 'running'",
        run_id,
        counts.source_total.map(from_count),
        from_count(counts.read),
        from_count(counts.distinct),
        from_count(counts.inserted),
        from_count(counts.updated),
        from_count(counts.unchanged),
        from_count(counts.removed),
        from_count(counts.rejected),
        from_count(counts.rehashed),
        from_count(counts.suppressed),
        from_count(counts.missed),
        from_count(counts.replaced_characters),
        counts.unexplained,
        from_count(counts.pages),
        from_count(counts.requests),
        from_count(counts.retries),
        from_count(counts.bytes_read),
        from_count(counts.repeated),
        from_count(counts.elsewhere),
        counts.page_fill.map(from_count),
        from_count(counts.late),
        counts.late_by.map(from_count),
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Writes the current counts of an open run.
pub(crate) async fn progress(pool: &PgPool, lease: &Lease, counts: &Counts) -> Result<(), Error> {
    const DOING: &str = "writing the run's counts";
    boundary::cross("progress", DOING, write_counts(pool, lease.run_id, counts)).await
}

/// Texts of the tenant are stored sanitized.
fn shown(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(sanitize::line)
}

/// The closing entry.
pub(crate) async fn close(
    connection: &mut PgConnection,
    lease: &Lease,
    ledger: &Ledger,
) -> Result<(), Error> {
    let written = write_counts(&mut *connection, lease.run_id, &ledger.counts).await;
    written.doing("writing the run's counts")?;
    let (error, hint) = (shown(ledger.error.as_deref()), shown(ledger.hint.as_deref()));
    let closed = sqlx::query_scalar!(
        "update sync.runs set
           status = $2, finished_at = sync.clock(), error = $3, hint = $4,
           position_to = (select c.position - 'cursor' - 'aside' - 'divided_at' from sync.cursors as c where c.resource = $5 and c.scope = $6)
         where id = $1 and status = 'running'
         returning id",
        lease.run_id,
        ledger.status.as_str(),
        error.as_deref(),
        hint.as_deref(),
        lease.slot.resource,
        lease.slot.scope.as_str()
    )
    .fetch_all(&mut *connection)
    .await
    .doing("closing the run")?;
    run_days::add(connection, &closed).await?;
    unknown::count(connection, lease.slot.resource, &ledger.counts.unknown).await
}

/// A run, all columns of `sync.runs`, as `backfill --json` prints it.
pub(crate) async fn row(pool: &PgPool, id: Uuid) -> Result<Run, Error> {
    let row = sqlx::query_scalar!(
        r#"select to_jsonb(r) as "run!: Json<Run>" from sync.runs as r where id = $1"#,
        id
    );
    let Json(run) = row.fetch_one(pool).await.doing("reading a run")?;
    Ok(run)
}
