//! Every commit of this layer runs through [`cross`], so that a test can end the program right before and right after
//! it. `tests/torture/failpoints.rs` checks that none is missing.

use crate::failpoint::{self, Side};
use crate::postgres::error::{Doing, Error};

/// Runs a committing operation: the end of a transaction, or a statement that is its own transaction.
pub(crate) async fn cross<T>(
    place: &'static str,
    doing: &'static str,
    commit: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    reach(place, doing, Side::Before)?;
    let done = commit.await.doing(doing)?;
    reach(place, doing, Side::After)?;
    Ok(done)
}

fn reach(place: &str, doing: &'static str, side: Side) -> Result<(), Error> {
    failpoint::at(place, side).map_err(sqlx::Error::Io).doing(doing)
}
