//! The port to the sizes by day: of segments, of all profiles, and of how many have each property.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;

/// Measures sizes.
pub trait FactStore: Send + Sync + 'static {
    /// Measures the sizes of the current day, unless they were measured within the last hour. They take the place of those that were
    /// measured earlier on the same day. Reads all profiles, and holds no lock that a load waits for. Asserts the lease.
    fn measure_day(&self, lease: &Lease) -> impl Future<Output = Outcome<()>> + Send;
}
