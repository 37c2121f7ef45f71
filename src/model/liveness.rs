//! The sign of life that the schedule gives and the health check reads. It holds a moment and knows nothing of either.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the schedule last came round. Clones share it.
#[derive(Debug, Clone)]
pub struct Liveness(Arc<Mutex<Instant>>);

impl Default for Liveness {
    fn default() -> Self {
        Self::new()
    }
}

impl Liveness {
    /// A pulse that has just beaten: a process that starts is alive.
    pub fn new() -> Self {
        Self::since(Instant::now())
    }

    /// A pulse that last beat then.
    pub fn since(last: Instant) -> Self {
        Self(Arc::new(Mutex::new(last)))
    }

    /// Says that the schedule goes round.
    pub fn record(&self) {
        // A holder of this lock cannot panic; if it ever did, the moment is still a moment.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago that was said.
    pub fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}
