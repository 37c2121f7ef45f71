//! Counts of rows, by the port [`CountStore`].

use crate::model::batch::Fingerprint;
use crate::model::fault::Outcome;
use crate::model::ports::CountStore;
use crate::model::table::Table;
use crate::postgres::bigint::to_count;
use crate::postgres::{counts, owners};

use super::PostgresStore;

const COUNTING: &str = "counting rows";
const COMPARING: &str = "looking for profiles that have changed";

impl CountStore for PostgresStore {
    async fn is_empty(&self, table: &'static Table) -> Outcome<bool> {
        Ok(self
            .moment("looking for rows", counts::is_empty(self.control(), table))
            .await?)
    }

    async fn rows(&self, table: &'static Table) -> Outcome<u64> {
        self.watch(COUNTING, async |session| counts::rows(session, table).await)
            .await
    }

    async fn rows_estimated(&self, table: &'static Table) -> Outcome<u64> {
        self.watch(COUNTING, async |session| {
            counts::rows_estimated(session, table).await
        })
        .await
    }

    async fn ids(&self, table: &'static Table) -> Outcome<Vec<String>> {
        Ok(self
            .moment("reading ids", counts::ids(self.control(), table))
            .await?)
    }

    async fn changed_profiles(
        &self,
        table: &'static Table,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<Fingerprint>> {
        self.watch(COMPARING, async |session| {
            owners::changed(session, table, after, limit).await
        })
        .await
    }

    async fn count_changed_profiles(&self, table: &'static Table) -> Outcome<u64> {
        self.watch(COMPARING, async |session| {
            Ok(to_count(owners::count_changed(session, table).await?))
        })
        .await
    }

    async fn erased(&self) -> Outcome<u64> {
        Ok(self
            .moment("counting erasures", counts::erased(self.control()))
            .await?)
    }

    async fn memberships(&self) -> Outcome<Vec<(String, u64)>> {
        self.watch(COUNTING, async |session| counts::memberships(session).await)
            .await
    }
}
