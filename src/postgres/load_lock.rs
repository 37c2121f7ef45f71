//! The advisory lock of loads: all loads share it (`sync.load_beside_erasures`), and work that must not overlap with loads
//! takes it exclusively.

use sqlx::PgConnection;

use crate::postgres::error::{Doing, Error};

/// Waits for running loads and keeps others out until the transaction ends.
pub(crate) async fn wait_for_loads(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(sync.erasures_lock())")
        .fetch_one(connection)
        .await
        .doing("waiting for the loads that are under way")?;
    Ok(())
}
