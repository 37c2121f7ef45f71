//! The start of a loading transaction: one query for what it must know, then the ids that it records for open walks, and the
//! rejects that it closes.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::model::Time;
use crate::model::batch::Batch;
use crate::model::lease::Lease;
use crate::model::walk::Walk;
use crate::postgres::erasures::hash::Hasher;
use crate::postgres::error::{Doing, Error};
use crate::postgres::recorded::recording::Recorded;
use crate::postgres::rejects::{self, OpenRejects};
use crate::postgres::{known_in_memory, seen};

/// What the first statement of a transaction returns.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Hashes ids to find erased persons; none if nobody was erased.
    pub(crate) hasher: Option<Hasher>,
    pub(crate) now: Time,
    pub(crate) other_walks: Vec<Uuid>,
    /// Whether the feed of changes is on.
    pub(crate) records_changes: bool,
    /// The version of the typed columns; negative while they are off.
    pub(crate) column_version: i64,
    /// The histories that are recorded.
    pub(crate) recorded: Recorded,
    /// The version of what becomes of personal data; -1 while stored profiles are scrubbed.
    pub(crate) treatment_version: i64,
}

/// One round trip for everything that the transaction needs to know. The lock against erasures comes first, before the
/// time is read.
///
/// A walk does not wait for each commit to reach the disk. A crash of PostgreSQL loses the last commits in order: the cursor
/// with the rows and the seen ids that it covers. The lease's mark is gone then, too, by which the end of the next transaction
/// notices it (`leases::assert`). The commit that closes a walk waits for all before it.
pub(crate) async fn open(
    connection: &mut PgConnection,
    lease: &Lease,
    walk: Option<Walk>,
    waits: bool,
    open_rejects: &mut OpenRejects,
) -> Result<Opening, Error> {
    let row = sqlx::query!(
        r#"select sync.load_beside_erasures() as "erasure_key?", sync.clock() as "now!",
             coalesce((select max(id) from sync.rejects), $4) as "rejects_through!",
             array(
               select element_id from sync.rejects
               where id > $4 and resource = $1 and resolved_at is null and element_id is not null
             ) as "new_rejects!",
             sync.open_walks($1, $2) as "other_walks!",
             sync.records_changes() as "records_changes!", sync.column_version() as "column_version!",
             sync.recorded_histories() as "recorded_histories!",
             sync.treatment_version() as "treatment_version!",
             case when not $3 then set_config('synchronous_commit', 'off', true) end as "waits?""#,
        lease.slot.resource,
        walk.map(|walk| walk.id),
        waits || walk.is_none(),
        open_rejects.through
    )
    .fetch_one(connection)
    .await
    .doing("beginning to load")?;
    open_rejects.learn(row.rejects_through, &row.new_rejects);
    Ok(Opening {
        hasher: row.erasure_key.map(Hasher::of),
        now: row.now,
        other_walks: row.other_walks,
        records_changes: row.records_changes,
        column_version: row.column_version,
        recorded: Recorded::named(&row.recorded_histories),
        treatment_version: row.treatment_version,
    })
}

/// Records what the walk saw, and protects what was read from the sweeps of other open walks.
pub(crate) async fn record_seen(
    connection: &mut PgConnection,
    batch: &Batch,
    walk: Option<Walk>,
    opening: &Opening,
) -> Result<(), Error> {
    if let Some(walk) = walk {
        seen::record(connection, walk.id, &batch.recorded).await?;
    }
    let ids: Vec<&str> = read_ids(batch).collect();
    if ids.is_empty() || opening.other_walks.is_empty() {
        return Ok(());
    }
    for other in &opening.other_walks {
        seen::protect(connection, *other, &ids).await?;
    }
    known_in_memory::notice(connection, &opening.other_walks, batch).await
}

/// The ids of a batch.
fn read_ids(batch: &Batch) -> impl Iterator<Item = &str> {
    let ids = batch.seen.iter().map(String::as_str);
    ids.filter(|id| !id.is_empty())
}

/// Closes the rejects of elements that were loaded.
pub(crate) async fn resolve_rejects(
    connection: &mut PgConnection,
    batch: &Batch,
    lease: &Lease,
    opening: &Opening,
    open: &OpenRejects,
) -> Result<(), Error> {
    let rejected = batch.rejects.iter();
    let rejected: HashSet<&str> = rejected
        .filter_map(|reject| reject.element_id.as_deref())
        .collect();
    let loaded = open.among(read_ids(batch).filter(|id| !rejected.contains(id)));
    if loaded.is_empty() {
        return Ok(());
    }
    let loaded: Vec<&str> = loaded.into_iter().collect();
    rejects::resolve(connection, lease.slot.resource, &loaded, opening.now).await
}
