//! What the pages show, also while the database has not answered for the first time: then `/readyz` says why. The database tells of runs
//! and jobs, the schedule when the jobs start.

use std::sync::{PoisonError, RwLock};

use uuid::Uuid;

use crate::clock::SystemClock;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::overview::{Overview, RunDetail, RunList, RunQuery};
use crate::model::ports::{Clock as _, Observer, RunHistory};
use crate::model::status::Status;
use crate::postgres::store::PostgresStore;
use crate::schedule::forecast::Forecast;

/// The store with the forecast of its jobs, or why there is none yet.
pub(super) struct Observed(RwLock<Outcome<(PostgresStore, Forecast)>>);

impl Observed {
    /// No store yet.
    pub(super) fn starting() -> Self {
        Self(RwLock::new(Err(Fault::new(
            Kind::Transient,
            "the service is starting: it opens and prepares the database",
        ))))
    }

    /// Shows this from now on.
    pub(super) fn set(&self, seen: Outcome<(PostgresStore, Forecast)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn seen(&self) -> Outcome<(PostgresStore, Forecast)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn store(&self) -> Outcome<PostgresStore> {
        Ok(self.seen()?.0)
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

impl RunHistory for Observed {
    async fn overview(&self) -> Outcome<Overview> {
        let (store, forecast) = self.seen()?;
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
