//! The port to what the status page shows besides the state.

use std::future::Future;

use uuid::Uuid;

use crate::model::fault::Outcome;
use crate::model::overview::{Overview, RunDetail, RunList, RunQuery};

/// Provides the last 30 days, gaps, rejects by reason, and single runs.
pub trait RunHistory: Send + Sync + 'static {
    /// The last 30 days of every slot, the jobs, the gaps and the rejects.
    fn overview(&self) -> impl Future<Output = Outcome<Overview>> + Send;
    /// Some runs, the latest first; none if the run is not known before which they began.
    fn run_list(&self, query: &RunQuery) -> impl Future<Output = Outcome<Option<RunList>>> + Send;
    /// A run with its rejects; none if it is not known, or no longer kept.
    fn run_detail(&self, id: Uuid) -> impl Future<Output = Outcome<Option<RunDetail>>> + Send;
}
