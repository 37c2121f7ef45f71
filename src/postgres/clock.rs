//! The database's clock, by which everything is dated. A statement over tables that several nodes have gets the time as a value: the nodes'
//! clocks differ, and Citus refuses to ask them.

use sqlx::PgConnection;

use crate::model::Time;
use crate::postgres::error::{Doing, Error};

/// The database's time.
pub(crate) async fn now(connection: &mut PgConnection, doing: &'static str) -> Result<Time, Error> {
    sqlx::query_scalar!(r#"select sync.clock() as "now!""#)
        .fetch_one(connection)
        .await
        .doing(doing)
}
