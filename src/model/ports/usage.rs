//! The port to the ledger of what reading the tenant costs.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::usage::Used;

/// The rows of `sync.usage`.
pub trait UsageStore: Clone + Send + Sync + 'static {
    /// Adds to the current month. Returns its requests and bytes on the wire, these included.
    fn add_usage(&self, more: &Used) -> impl Future<Output = Outcome<(u64, u64)>> + Send;
}
