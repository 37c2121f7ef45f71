//! The state for the pages, also while the database has not answered for the first time: then `/readyz` says why.

use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::SystemClock;
use crate::commands::budget;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Clock as _, Observer};
use crate::model::status::Status;
use crate::postgres::store::PostgresStore;

/// The store and the settings of the moment, or why there is no store yet.
pub(super) struct Observed(RwLock<Outcome<(PostgresStore, Arc<Settings>)>>);

impl Observed {
    /// No store yet.
    pub(super) fn starting() -> Self {
        Self(RwLock::new(Err(Fault::new(
            Kind::Transient,
            "the service is starting: it opens and prepares the database",
        ))))
    }

    /// Shows this from now on.
    pub(super) fn set(&self, store: Outcome<(PostgresStore, Arc<Settings>)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = store;
    }

    fn store(&self) -> Outcome<(PostgresStore, Arc<Settings>)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Observed {
    async fn ready(&self) -> Outcome<()> {
        self.store()?.0.ready().await
    }

    async fn status(&self) -> Outcome<Status> {
        let (store, settings) = self.store()?;
        Ok(budget::with_forecast(
            store.status().await?,
            &settings,
            SystemClock.now(),
        ))
    }
}
