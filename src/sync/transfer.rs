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
    /// Rows of seen ids that are known to be committed for this walk, those of earlier executions included.
    pub(super) recorded: AtomicU64,
    /// What this process has read of the walk.
    pub(super) seen_filter: SeenFilter,
    /// Rows of the table when the walk went on, roughly.
    pub(super) stored: u64,
}

impl<S, T> Transfer<S, T> {
    /// Rows of seen ids that the table holds at least.
    pub(super) fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }
}

impl<S, T: Store> Transfer<S, T> {
    /// The database's time before a page of a full walk is asked for: what is stored by then is older than the page. An
    /// increment asks the tenant's search index, which may be minutes behind: no time says how old its answer is.
    pub(super) async fn asked_at(&self, position: &CursorPosition) -> Option<Time> {
        if position.range.is_some() {
            return None;
        }
        let now = self.store.now().await;
        // Too early only means that dates decide more often.
        Some(now.unwrap_or(self.walk.opened_at))
    }
}
