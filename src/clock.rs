//! The machine's own clock, behind the port [`Clock`]. The one place that reads the local time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::failpoint;
use crate::model::Time;
use crate::model::ports::Clock;

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        chrono::Utc::now() + failpoint::clock_error()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
}
