//! Retries of transactions that conflicted with another: how often, and after which waits.

use std::time::Duration;

use rand::RngExt as _;

use crate::postgres::error::Error;

/// The most attempts. Locks are taken in one order, so conflicts are rare; a conflict that persists has another reason.
const ATTEMPTS: u32 = 6;
/// The first wait is at most this long; each later one at most twice the last.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// Counts the attempts of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
}

impl Attempts {
    /// Waits before the next attempt, or returns the error if it is final.
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
