//! Every commit of this layer crosses here, so that a test can end the program right before and right after each.
//! `tests/torture/failpoints.rs` holds that none goes by.

use crate::failpoint::{self, Side};
use crate::postgres::error::{Doing, Error};

/// Does what commits: a transaction's end, or a statement that is a transaction of its own.
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
