//! The advisory lock of loads: all loads share it (`sync.load_beside_erasures`), and work that must not overlap with loads
//! takes it exclusively.

use sqlx::PgConnection;

use crate::model::Time;
use crate::postgres::changes::Changes;
use crate::postgres::erasures::hash::Hasher;
use crate::postgres::error::{Doing, Error};
use crate::postgres::recorded::recording::Recorded;

const BEGINNING: &str = "taking the lock of loads";

/// What the first statement of a transaction returns.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) now: Time,
    /// Hashes ids to find erased persons; none if nobody was erased.
    pub(crate) hasher: Option<Hasher>,
    pub(crate) changes: Changes,
    /// The histories that are recorded.
    pub(crate) recorded: Recorded,
}

/// The first statement of a transaction that writes the tenant's data, unless another statement takes the lock as well.
pub(crate) async fn begin(connection: &mut PgConnection) -> Result<Opened, Error> {
    let row = sqlx::query!(
        r#"select sync.load_beside_erasures() as "key?", sync.clock() as "now!",
             sync.records_changes() as "records_changes!", sync.recorded_histories() as "recorded_histories!""#
    )
    .fetch_one(connection)
    .await
    .doing(BEGINNING)?;
    Ok(Opened {
        now: row.now,
        hasher: row.key.map(Hasher::of),
        changes: Changes::collect(row.records_changes),
        recorded: Recorded::named(&row.recorded_histories),
    })
}

/// Waits for running loads and keeps others out until the transaction ends.
pub(crate) async fn wait_for_loads(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(sync.erasures_lock())")
        .fetch_one(connection)
        .await
        .doing("waiting for the loads that are under way")?;
    Ok(())
}
