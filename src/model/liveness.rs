//! The liveness of the schedule, which the health check reads: the time of the schedule's last round.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time of the last round. Clones share it.
#[derive(Debug, Clone)]
pub struct Liveness(Arc<Mutex<Instant>>);

impl Default for Liveness {
    fn default() -> Self {
        Self::new()
    }
}

impl Liveness {
    /// A liveness of this moment: a process that starts is alive.
    pub fn new() -> Self {
        Self::since(Instant::now())
    }

    /// A liveness whose last round was at this time.
    pub fn since(last: Instant) -> Self {
        Self(Arc::new(Mutex::new(last)))
    }

    /// Records a round of the schedule.
    pub fn record(&self) {
        // A holder of this lock cannot panic, and the time would still be valid.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The time since the last round.
    pub fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}
