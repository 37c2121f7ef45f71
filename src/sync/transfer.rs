//! One transfer of a cursor listing into its table: what the reading task and the loading lanes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Time;
use crate::model::lease::Lease;
use crate::model::ports::{Store, Walkable};
use crate::model::position::CursorPosition;
use crate::model::walk::Walk;

use super::batch::TableState;
use super::lease::Stop;
use super::progress::Progress;
use super::run_spec::Bounds;
use super::walk::seen_filter::SeenFilter;

/// What all parts of a transfer share: the task that reads pages and the lanes that load them.
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
    /// Seen ids that are committed for this walk, those of earlier runs included.
    pub(super) recorded: AtomicU64,
    /// What this process has read of the walk.
    pub(super) seen_filter: SeenFilter,
    /// An estimate of the table's rows when this run began.
    pub(super) stored: u64,
}

impl<S, T> Transfer<S, T> {
    /// Rows of seen ids that the table holds at least.
    pub(super) fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }
}

impl<S, T: Store> Transfer<S, T> {
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
