//! A loading connection that is open only while there is something to load. All resources share a few connections: a
//! slow tenant must not let one resource block the others.

use std::time::Duration;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::Store;
use crate::model::table::Table;
use crate::model::walk::Walk;

/// How long an idle connection is kept. Opening one takes some milliseconds.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(2);

/// A loading connection, or none at present.
pub(super) struct OnDemandLoader<'run, T: Store> {
    store: &'run T,
    table: &'static Table,
    lease: &'run Lease,
    walk: Option<Walk>,
    loader: Option<T::Loader>,
}

impl<'run, T: Store> OnDemandLoader<'run, T> {
    /// A loader without a connection.
    pub(super) fn new(store: &'run T, table: &'static Table, lease: &'run Lease, walk: Option<Walk>) -> Self {
        Self {
            store,
            table,
            lease,
            walk,
            loader: None,
        }
    }

    /// Runs `read`, and gives the connection back if that takes longer than [`IDLE_TIME`].
    pub(super) async fn reading<R>(&mut self, read: impl Future<Output = R>) -> R {
        tokio::pin!(read);
        if self.loader.is_some() {
            tokio::select! {
                biased;
                done = &mut read => return done,
                () = tokio::time::sleep(IDLE_TIME) => self.loader = None,
            }
        }
        read.await
    }

    /// The connection; opens one if there is none.
    pub(super) async fn loader(&mut self) -> Outcome<&mut T::Loader> {
        let loader = match self.loader.take() {
            Some(loader) => loader,
            None => self.store.loader(self.table, self.lease, self.walk).await?,
        };
        Ok(self.loader.insert(loader))
    }
}
