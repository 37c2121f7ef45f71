//! The port to the recorded histories of profiles. Loads record them; this port says which ones.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::recorded_histories::WantedHistories;
use crate::model::walk::Walk;

/// Switches histories on and off.
pub trait HistoryStore: Send + Sync + 'static {
    /// Switches histories on and off, as wanted. One that is switched off loses all of its rows. Returns sentences about what was
    /// switched off and about what is postponed.
    fn bring_histories(&self, wanted: &WantedHistories) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Begins to record the histories that were switched on before this full walk began, which was complete. Asserts the lease. Returns
    /// sentences about what began and about what is postponed to the next full walk.
    fn begin_histories(&self, lease: &Lease, walk: Walk)
    -> impl Future<Output = Outcome<Vec<String>>> + Send;
}
