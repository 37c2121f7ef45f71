//! What the pages show, also while the database has not answered for the first time: then `/readyz` says why. The database tells of runs
//! and jobs, the schedule when the jobs start.

use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use crate::clock::SystemClock;
use crate::commands::budget;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::overview::{Overview, RunDetail, RunList, RunQuery};
use crate::model::ports::{Clock as _, Observer, RunHistory};
use crate::model::status::Status;
use crate::postgres::store::PostgresStore;
use crate::schedule::forecast::Forecast;

/// What the pages show of a database.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) store: PostgresStore,
    /// The settings of the moment.
    pub(super) settings: Arc<Settings>,
    /// When the jobs start.
    pub(super) forecast: Forecast,
}

/// What there is to see, or why there is nothing yet.
pub(super) struct Observed(RwLock<Outcome<Seen>>);

impl Observed {
    /// No store yet.
    pub(super) fn starting() -> Self {
        Self(RwLock::new(Err(Fault::new(
            Kind::Transient,
            "the service is starting: it opens and prepares the database",
        ))))
    }

    /// Shows this from now on.
    pub(super) fn set(&self, seen: Outcome<Seen>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn seen(&self) -> Outcome<Seen> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn store(&self) -> Outcome<PostgresStore> {
        Ok(self.seen()?.store)
    }
}

impl Observer for Observed {
    async fn ready(&self) -> Outcome<()> {
        self.store()?.ready().await
    }

    async fn status(&self) -> Outcome<Status> {
        let Seen { store, settings, .. } = self.seen()?;
        let status = store.status().await?;
        Ok(budget::with_forecast(status, &settings, SystemClock.now()))
    }
}

impl RunHistory for Observed {
    async fn overview(&self) -> Outcome<Overview> {
        let Seen { store, forecast, .. } = self.seen()?;
        let mut overview = store.overview().await?;
        forecast.fill(&mut overview.jobs, SystemClock.now());
        Ok(overview)
    }

    async fn run_list(&self, query: &RunQuery) -> Outcome<Option<RunList>> {
        self.store()?.run_list(query).await
    }

    async fn run_detail(&self, id: Uuid) -> Outcome<Option<RunDetail>> {
        self.store()?.run_detail(id).await
    }
}
