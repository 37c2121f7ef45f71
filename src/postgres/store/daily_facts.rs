//! Sizes by day, by the port [`FactStore`].

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::FactStore;
use crate::postgres::daily_facts;

use super::PostgresStore;

impl FactStore for PostgresStore {
    async fn measure_day(&self, lease: &Lease) -> Outcome<()> {
        self.watch("measuring sizes by day", async |session| {
            daily_facts::measure(session, lease).await
        })
        .await
    }
}
