//! The state for the pages, also while the database has not answered for the first time: then `/readyz` says why.

use std::sync::{PoisonError, RwLock};

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Observer;
use crate::model::status::Status;
use crate::postgres::store::PostgresStore;

/// The store, or why there is none yet.
pub(super) struct Observed(RwLock<Outcome<PostgresStore>>);

impl Observed {
    /// No store yet.
    pub(super) fn starting() -> Self {
        Self(RwLock::new(Err(Fault::new(
            Kind::Transient,
            "the service is starting: it opens and prepares the database",
        ))))
    }

    /// Shows this from now on.
    pub(super) fn set(&self, store: Outcome<PostgresStore>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    fn store(&self) -> Outcome<PostgresStore> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Observed {
    async fn ready(&self) -> Outcome<()> {
        self.store()?.ready().await
    }

    async fn status(&self) -> Outcome<Status> {
        self.store()?.status().await
    }
}
