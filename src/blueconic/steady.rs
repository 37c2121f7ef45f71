//! Time that only runs forward, made from the clock that tests can set: deadlines, rates and token lives are counted in
//! it, so that a machine whose wall clock is set back neither stalls the throttle nor prolongs a token's life.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Time;
use crate::model::ports::Clock;

/// Time since this was made. Clones share it.
#[derive(Clone)]
pub(super) struct Steady {
    clock: Arc<dyn Clock>,
    course: Arc<Mutex<Course>>,
}

struct Course {
    seen: Time,
    elapsed: Duration,
}

impl Steady {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let course = Course {
            seen: clock.now(),
            elapsed: Duration::ZERO,
        };
        Self {
            clock,
            course: Arc::new(Mutex::new(course)),
        }
    }

    /// Time since the start; a step back of the clock counts as no time at all.
    pub(super) fn now(&self) -> Duration {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let passed = (now - course.seen).to_std().unwrap_or_default();
        course.elapsed += passed;
        course.seen = now;
        course.elapsed
    }

    /// The wall clock, for dates that come from or go to a person or a server.
    pub(super) fn wall(&self) -> Time {
        self.clock.now()
    }

    pub(super) async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

impl fmt::Debug for Steady {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Steady").finish_non_exhaustive()
    }
}

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Self::now(self)
    }
}

/// A clock for the tests of this layer: it moves when somebody sleeps or says so.
#[cfg(test)]
pub(super) mod standing {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::Steady;
    use crate::model::Time;
    use crate::model::ports::Clock;

    pub(in crate::blueconic) struct Standing(Mutex<Time>);

    impl Standing {
        pub(in crate::blueconic) fn new() -> (Arc<Self>, Steady) {
            let clock = Arc::new(Self(Mutex::new(Time::UNIX_EPOCH)));
            let steady = Steady::new(Arc::clone(&clock) as _);
            (clock, steady)
        }

        pub(in crate::blueconic) fn set(&self, change: impl FnOnce(Time) -> Time) {
            let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *now = change(*now);
        }

        pub(in crate::blueconic) fn advance(&self, time: Duration) {
            self.set(|now| now + time);
        }
    }

    impl Clock for Standing {
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
    use super::standing::Standing;
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_neither_stops_time_nor_turns_it() {
        let (clock, steady) = Standing::new();
        clock.advance(Duration::from_secs(10));
        assert_eq!(steady.now(), Duration::from_secs(10));
        clock.set(|now| now - Duration::from_hours(1));
        assert_eq!(steady.now(), Duration::from_secs(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!(steady.now(), Duration::from_secs(15));
    }
}
