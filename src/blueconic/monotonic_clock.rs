//! A monotonic clock on top of the clock that tests can set. Deadlines, rates and token lives use it, so that setting
//! the machine's clock back neither stalls the throttle nor prolongs a token's life.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Time;
use crate::model::ports::Clock;

/// Time since this was made. Clones share it.
#[derive(Clone)]
pub(super) struct MonotonicClock {
    clock: Arc<dyn Clock>,
    reading: Arc<Mutex<Reading>>,
}

struct Reading {
    seen: Time,
    elapsed: Duration,
}

impl MonotonicClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let reading = Reading {
            seen: clock.now(),
            elapsed: Duration::ZERO,
        };
        Self {
            clock,
            reading: Arc::new(Mutex::new(reading)),
        }
    }

    /// The time since the start. A step back of the wall clock counts as zero.
    pub(super) fn now(&self) -> Duration {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let passed = (now - reading.seen).to_std().unwrap_or_default();
        reading.elapsed += passed;
        reading.seen = now;
        reading.elapsed
    }

    /// The wall clock, for dates that persons or servers see or send.
    pub(super) fn wall(&self) -> Time {
        self.clock.now()
    }

    pub(super) async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

impl fmt::Debug for MonotonicClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MonotonicClock").finish_non_exhaustive()
    }
}

impl governor::clock::Clock for MonotonicClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Self::now(self)
    }
}

/// A clock for the tests of this layer, which moves only when a test says so or sleeps.
#[cfg(test)]
pub(super) mod manual {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::MonotonicClock;
    use crate::model::Time;
    use crate::model::ports::Clock;

    pub(in crate::blueconic) struct ManualClock(Mutex<Time>);

    impl ManualClock {
        pub(in crate::blueconic) fn new() -> (Arc<Self>, MonotonicClock) {
            let clock = Arc::new(Self(Mutex::new(Time::UNIX_EPOCH)));
            let monotonic = MonotonicClock::new(Arc::clone(&clock) as _);
            (clock, monotonic)
        }

        pub(in crate::blueconic) fn set(&self, change: impl FnOnce(Time) -> Time) {
            let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *now = change(*now);
        }

        pub(in crate::blueconic) fn advance(&self, time: Duration) {
            self.set(|now| now + time);
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Time {
            *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            self.advance(time);
            Box::pin(tokio::task::yield_now())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::manual::ManualClock;
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_neither_stops_time_nor_turns_it() {
        let (clock, monotonic) = ManualClock::new();
        clock.advance(Duration::from_secs(10));
        assert_eq!(monotonic.now(), Duration::from_secs(10));
        clock.set(|now| now - Duration::from_hours(1));
        assert_eq!(monotonic.now(), Duration::from_secs(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!(monotonic.now(), Duration::from_secs(15));
    }
}
