//! How often a transaction that lost against another is run again, and how long it waits: in one place, so that all
//! of them do the same.

use std::time::Duration;

use rand::RngExt as _;

use crate::postgres::error::Error;

/// Locks are taken in one order, so that conflicts are rare; one that comes back so often has another reason.
const ATTEMPTS: u32 = 6;
/// The first wait is at most this long; each later one at most twice the last.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// Counts the attempts of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
}

impl Attempts {
    /// Waits and says that the transaction may run again, or gives the error back.
    pub(crate) async fn again(&mut self, error: Error) -> Result<(), Error> {
        self.made += 1;
        if !error.is_conflict() || self.made >= ATTEMPTS {
            return Err(error);
        }
        tracing::debug!(attempt = self.made, %error, "a transaction lost against another; running it again");
        let longest = FIRST_WAIT * 2_u32.pow(self.made - 1);
        let share = rand::rng().random_range(0.1..1.0);
        tokio::time::sleep(longest.mul_f64(share)).await;
        Ok(())
    }
}
