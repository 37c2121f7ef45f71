//! A loading connection that is at hand while there is something to load. There are few of them, and all resources share
//! them: a tenant that answers slowly must not keep one from the others, whose errors would then name the database.

use std::time::Duration;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::Store;
use crate::model::table::Table;
use crate::model::walk::Walk;

/// How long a connection is kept for what comes next. Opening one takes some milliseconds.
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
    /// None yet.
    pub(super) fn new(store: &'run T, table: &'static Table, lease: &'run Lease, walk: Option<Walk>) -> Self {
        Self {
            store,
            table,
            lease,
            walk,
            loader: None,
        }
    }

    /// Reads, and gives the connection back if that takes long.
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

    /// The connection; opens one where there is none.
    pub(super) async fn loader(&mut self) -> Outcome<&mut T::Loader> {
        let loader = match self.loader.take() {
            Some(loader) => loader,
            None => self.store.loader(self.table, self.lease, self.walk).await?,
        };
        Ok(self.loader.insert(loader))
    }
}
