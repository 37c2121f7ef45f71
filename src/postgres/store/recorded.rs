//! The recorded histories of profiles, by the port [`HistoryStore`].

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::HistoryStore;
use crate::model::recorded_histories::WantedHistories;
use crate::model::walk::Walk;
use crate::postgres::recorded;

use super::PostgresStore;

impl HistoryStore for PostgresStore {
    async fn bring_histories(&self, wanted: &WantedHistories) -> Outcome<Vec<String>> {
        self.watch("switching histories of profiles on and off", async |session| {
            recorded::bring(session, wanted).await
        })
        .await
    }

    async fn begin_histories(&self, lease: &Lease, walk: Walk) -> Outcome<Vec<String>> {
        self.watch("beginning to record histories of profiles", async |session| {
            recorded::begin(session, lease, walk).await
        })
        .await
    }
}
