//! Seen ids, candidates and removals, by the port [`SweepStore`].

use uuid::Uuid;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::SweepStore;
use crate::model::seen::IdHasher;
use crate::model::table::Table;
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};
use crate::postgres::waits::WaitLimit;
use crate::postgres::{cursors, division, missing, seen, sweep};

use super::PostgresStore;

const DIVIDING: &str = "dividing a table into parts";
const COUNTING_SEEN: &str = "counting the ids that a walk saw";
const FORGETTING: &str = "forgetting the ids that a walk saw";
const SWEEPING: &str = "looking for rows that the walk did not see";
const REMOVING: &str = "removing rows that the walk did not see";

impl SweepStore for PostgresStore {
    async fn divide(&self, table: &'static Table) -> Outcome<Vec<String>> {
        let mut session = self.watched(DIVIDING).await?;
        let watch = session.work();
        let work = division::of(&mut session, table);
        let done = watch.wait(DIVIDING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn distinct(&self, walk: &IdHasher) -> Outcome<u64> {
        let mut session = self.watched(COUNTING_SEEN).await?;
        let watch = session.work();
        let work = seen::distinct(&mut session, walk);
        let done = watch.wait(COUNTING_SEEN, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn witnesses(&self, walk_id: Uuid, limit: u32) -> Outcome<Vec<String>> {
        Ok(self
            .moment(
                "looking for ids that a walk saw",
                seen::witnesses(self.control(), walk_id, limit),
            )
            .await?)
    }

    async fn forget(&self, lease: &Lease, walk_id: Uuid) -> Outcome<()> {
        let mut session = self.watched(FORGETTING).await?;
        let watch = session.work();
        let work = seen::forget(&mut session, lease, walk_id);
        watch.wait(FORGETTING, WaitLimit::None, work).await?;
        session.rest();
        Ok(())
    }

    async fn candidates(&self, table: &'static Table, walk: Walk, seen: &IdHasher) -> Outcome<Candidates> {
        let mut session = self.watched(SWEEPING).await?;
        let watch = session.work();
        let work = sweep::candidates(&mut session, table, walk, seen);
        let done = watch.wait(SWEEPING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<String>> {
        let mut session = self.watched(SWEEPING).await?;
        let watch = session.work();
        let work = sweep::unseen(&mut session, table, walk, after, limit);
        let done = watch.wait(SWEEPING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn note_missing(&self, table: &'static Table, lease: &Lease, walk: Walk) -> Outcome<u64> {
        let mut session = self.watched(SWEEPING).await?;
        let watch = session.work();
        let work = missing::note(&mut session, table, lease, walk);
        let done = watch.wait(SWEEPING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn missed_again(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<String>> {
        let mut session = self.watched(SWEEPING).await?;
        let watch = session.work();
        let work = missing::again(&mut session, table, walk, after, limit);
        let done = watch.wait(SWEEPING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn sample(&self, table: &'static Table, walk: Walk, size: u64) -> Outcome<Vec<String>> {
        let mut session = self.watched(SWEEPING).await?;
        let watch = session.work();
        let work = missing::sample(&mut session, table, walk, size);
        let done = watch.wait(SWEEPING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }

    async fn remember_asked(&self, lease: &Lease, through: Option<&str>) -> Outcome<()> {
        Ok(self
            .moment(
                "storing how far a sweep has come",
                cursors::remember_asked(self.control(), lease, through),
            )
            .await?)
    }

    async fn remove(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
        verdicts: &[(String, Verdict)],
    ) -> Outcome<u64> {
        let mut session = self.watched(REMOVING).await?;
        let watch = session.work();
        let work = sweep::remove(&mut session, table, lease, walk, verdicts);
        let done = watch.wait(REMOVING, WaitLimit::None, work).await?;
        session.rest();
        Ok(done)
    }
}
