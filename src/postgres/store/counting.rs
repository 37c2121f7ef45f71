//! Counts of rows, by the port [`CountStore`].

use crate::model::fault::Outcome;
use crate::model::ports::CountStore;
use crate::model::table::Table;
use crate::postgres::counts;
use crate::postgres::waits::WaitLimit;

use super::PostgresStore;

const COUNTING: &str = "counting rows";

impl CountStore for PostgresStore {
    async fn is_empty(&self, table: &'static Table) -> Outcome<bool> {
        Ok(self
            .moment("looking for rows", counts::is_empty(self.control(), table))
            .await?)
    }

    async fn rows(&self, table: &'static Table) -> Outcome<u64> {
        let mut session = self.watched(COUNTING).await?;
        let watch = session.work();
        let work = counts::rows(&mut session, table);
        let done = watch.wait(COUNTING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn rows_estimated(&self, table: &'static Table) -> Outcome<u64> {
        let mut session = self.watched(COUNTING).await?;
        let watch = session.work();
        let work = counts::rows_estimated(&mut session, table);
        let done = watch.wait(COUNTING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn erased(&self) -> Outcome<u64> {
        Ok(self
            .moment("counting erasures", counts::erased(self.control()))
            .await?)
    }

    async fn memberships(&self) -> Outcome<Vec<(String, u64)>> {
        let mut session = self.watched(COUNTING).await?;
        let watch = session.work();
        let work = counts::memberships(&mut session);
        let done = watch.wait(COUNTING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }
}
