//! The shared state of a transfer of a cursor listing into its table.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::Time;
use crate::model::lease::Lease;
use crate::model::ports::{Store, Walkable};
use crate::model::position::CursorPosition;
use crate::model::seen::IdHasher;
use crate::model::walk::Walk;

use super::batch::TableState;
use super::lease::Stop;
use super::progress::Progress;
use super::run_spec::Bounds;
use super::under_way::UnderWay;
use super::walk::seen_filter::SeenFilter;

/// How long lanes wait for the hashes of stored profiles: those of some twenty million.
const HASHES_PATIENCE: Duration = Duration::from_secs(20);

/// The state that the reading task and the loading lanes of a transfer share.
pub(super) struct Transfer<S, T> {
    pub(super) source: Arc<S>,
    pub(super) store: T,
    pub(super) resource: Arc<dyn Walkable>,
    pub(super) lease: Lease,
    pub(super) walk: Walk,
    pub(super) bounds: Bounds,
    pub(super) progress: Progress,
    pub(super) stop: Stop,
    pub(super) table_state: TableState,
    /// Hashes the ids that the walk reads.
    pub(super) id_hasher: IdHasher,
    /// What this process has read of the walk.
    pub(super) seen_filter: SeenFilter,
    /// The ids of batches that are being loaded into an empty table.
    pub(super) under_way: UnderWay,
    /// An estimate of the table's rows when this run began.
    pub(super) stored: u64,
    /// Cancelled once the hashes of stored profiles are read, or are not going to be.
    pub(super) hashes_read: CancellationToken,
}

impl<S, T: Store> Transfer<S, T> {
    /// Waits for the hashes of stored profiles: while they are being read, each profile would have to be looked up, which costs
    /// more than it saves. A table that takes long to read is not waited for.
    pub(super) async fn hashes_are_read(&self) {
        tokio::select! {
            () = self.hashes_read.cancelled() => {}
            _ = self.stop.requested() => {}
            () = tokio::time::sleep(HASHES_PATIENCE) => {}
        }
    }

    /// The database's time before a page of a full walk is requested: rows that are stored by then are older than the
    /// page. None for an increment, whose answers come from the tenant's search index and may be minutes old.
    pub(super) async fn asked_at(&self, position: &CursorPosition) -> Option<Time> {
        if position.range.is_some() {
            return None;
        }
        let now = self.store.now().await;
        // An earlier time only means that `modified_at` decides more often.
        Some(now.unwrap_or(self.walk.opened_at))
    }
}
