//! The advisory lock that all loads share (`sync.load_beside_erasures` takes it) and that somebody who must not overlap with them
//! takes alone.

use sqlx::PgConnection;

use crate::postgres::error::{Doing, Error};

/// Waits for the loads that are under way and keeps others out until the transaction ends.
pub(crate) async fn wait_for_loads(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(sync.erasures_lock())")
        .fetch_one(connection)
        .await
        .doing("waiting for the loads that are under way")?;
    Ok(())
}
