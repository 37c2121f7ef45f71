//! Bounds the number and the size of stored rejects, so that a listing of broken elements does not fill the disk.
//! Further rejects are only counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;
use uuid::Uuid;

use crate::model::batch::Reject;
use crate::postgres::bigint::{from_count, from_length, to_count};
use crate::postgres::error::{Doing, Error};
use crate::postgres::rejects;

/// Rejects that one run stores.
const ROWS_OF_A_RUN: u64 = 10_000;
/// Bytes of their texts.
const BYTES_OF_A_RUN: u64 = 64 * 1024 * 1024;
/// Rejects that are stored in all.
const ROWS_IN_ALL: u64 = 100_000;
/// Bytes of their texts, as they are stored.
const BYTES_IN_ALL: u64 = 256 * 1024 * 1024;
/// The number of resolved rejects that are deleted at once to make room.
const CLEARED_AT_ONCE: u64 = 10_000;

/// What one run may store yet; its loading connections share it.
#[derive(Debug)]
pub(crate) struct RejectQuota {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl RejectQuota {
    fn of(rows_stored: u64, bytes_stored: u64) -> Self {
        let rows = ROWS_OF_A_RUN.min(ROWS_IN_ALL.saturating_sub(rows_stored));
        let bytes = BYTES_OF_A_RUN.min(BYTES_IN_ALL.saturating_sub(bytes_stored));
        Self {
            rows: AtomicU64::new(rows),
            bytes: AtomicU64::new(bytes),
        }
    }

    /// Returns how many of these rejects may be stored, in order. They count as stored from now on.
    pub(crate) fn admit(&self, rejects: &[Reject]) -> usize {
        let fits = |reject: &&Reject| {
            let size = from_length(reject.raw.len());
            take(&self.bytes, size) && (take(&self.rows, 1) || give_back(&self.bytes, size))
        };
        rejects.iter().take_while(fits).count()
    }
}

fn take(left: &AtomicU64, wanted: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(wanted)
    })
    .is_ok()
}

fn give_back(left: &AtomicU64, taken: u64) -> bool {
    left.fetch_add(taken, Ordering::Relaxed);
    false
}

/// The quotas of the runs of this process.
#[derive(Debug, Default)]
pub(crate) struct RejectQuotas(Mutex<HashMap<Uuid, Arc<RejectQuota>>>);

impl RejectQuotas {
    /// The quota of a run. The first call counts the stored rejects and makes room if necessary.
    pub(crate) async fn of(&self, pool: &PgPool, run_id: Uuid) -> Result<Arc<RejectQuota>, Error> {
        if let Some(known) = self.known().get(&run_id) {
            return Ok(Arc::clone(known));
        }
        let (rows, bytes) = room(pool).await?;
        let quota = Arc::new(RejectQuota::of(rows, bytes));
        Ok(Arc::clone(self.known().entry(run_id).or_insert(quota)))
    }

    /// The run has ended.
    pub(crate) fn forget(&self, run_id: Uuid) {
        self.known().remove(&run_id);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<RejectQuota>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stored rejects, after resolved ones were deleted if there was no room for a run.
async fn room(pool: &PgPool) -> Result<(u64, u64), Error> {
    loop {
        let (rows, bytes) = stored(pool).await?;
        let has_room = rows + ROWS_OF_A_RUN <= ROWS_IN_ALL && bytes + BYTES_OF_A_RUN <= BYTES_IN_ALL;
        if has_room || rejects::clear_resolved(pool, from_count(CLEARED_AT_ONCE)).await? == 0 {
            return Ok((rows, bytes));
        }
    }
}

/// The number of rejects and the bytes of their texts, without reading the texts.
async fn stored(pool: &PgPool) -> Result<(u64, u64), Error> {
    let row = sqlx::query!(
        r#"select count(*) as "rows!", coalesce(sum(pg_column_size(raw)), 0)::bigint as "bytes!" from sync.rejects"#
    )
    .fetch_one(pool)
    .await
    .doing("counting rejects")?;
    Ok((to_count(row.rows), to_count(row.bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::page::RejectReason;

    fn reject(bytes: usize) -> Reject {
        Reject {
            element_id: None,
            reason: RejectReason::NotJson,
            detail: String::new(),
            raw: "x".repeat(bytes),
            raw_bytes: 0,
            sha256: [0; 32],
        }
    }

    #[test]
    fn rejects_are_admitted_up_to_a_number_and_to_their_bytes() {
        let few = vec![reject(10); 7];
        let quota = RejectQuota::of(ROWS_IN_ALL - 10, 0);
        assert_eq!(
            [quota.admit(&few), quota.admit(&few), quota.admit(&few)],
            [7, 3, 0]
        );
        let quota = RejectQuota::of(0, BYTES_IN_ALL - 25);
        assert_eq!([quota.admit(&few), quota.admit(&few)], [2, 0]);
        assert_eq!(
            quota.admit(&[reject(5)]),
            1,
            "what is left is left for smaller ones"
        );
        assert_eq!(RejectQuota::of(ROWS_IN_ALL + 1, 0).admit(&few), 0);
    }
}
