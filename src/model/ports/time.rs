//! The port to the local time. `src/clock.rs` has the machine's own clock; tests set one.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::Time;

/// Local time, which tests can set.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;
    /// Waits.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
