//! The database's clock, by which everything is dated. A statement over tables that several nodes have gets the time as a value: the nodes'
//! clocks differ, and Citus refuses to ask them.

use sqlx::PgExecutor;

use crate::model::Time;
use crate::postgres::error::{Doing, Error};

/// What is done where nothing else is.
pub(crate) const READING: &str = "reading the database's clock";

/// The database's time.
pub(crate) async fn now(database: impl PgExecutor<'_>, doing: &'static str) -> Result<Time, Error> {
    sqlx::query_scalar!(r#"select sync.clock() as "now!""#)
        .fetch_one(database)
        .await
        .doing(doing)
}
