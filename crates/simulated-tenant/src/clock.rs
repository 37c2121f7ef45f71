//! The tenant's own clock: it runs as fast as the real one, may start elsewhere, and tests can put it forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds since 1970 as this tenant sees them.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    at_start: i64,
    ahead: AtomicI64,
}

impl Clock {
    pub(crate) fn starting_at(milliseconds: i64) -> Self {
        Self {
            started: Instant::now(),
            at_start: milliseconds,
            ahead: AtomicI64::new(0),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.at_start + milliseconds(self.started.elapsed()) + self.ahead.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(milliseconds(by), Ordering::SeqCst);
    }
}

/// A duration as the tenant counts time; longer ones than 292 million years stop there.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
