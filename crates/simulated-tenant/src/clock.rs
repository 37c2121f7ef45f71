//! The tenant's own clock: it runs as fast as the real one, may start at another time, and tests can advance it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// The tenant's time, in milliseconds since 1970.
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

/// A duration in milliseconds, at most 292 million years.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
