//! Seen ids, candidates and removals, by the port [`SweepStore`].

use uuid::Uuid;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::SweepStore;
use crate::model::seen::IdHasher;
use crate::model::table::Table;
use crate::model::verdict::Verdict;
use crate::model::walk::{Candidates, Walk};
use crate::postgres::{cursors, division, missing, moving, seen, sweep};

use super::PostgresStore;

const DIVIDING: &str = "dividing a table into parts";
const COUNTING_SEEN: &str = "counting the ids that a walk saw";
const FORGETTING: &str = "forgetting the ids that a walk saw";
const SWEEPING: &str = "looking for rows that the walk did not see";
const REMOVING: &str = "removing rows that the walk did not see";

impl SweepStore for PostgresStore {
    async fn divide(&self, table: &'static Table, part_rows: u64) -> Outcome<Vec<String>> {
        self.watch(DIVIDING, async |session| {
            division::of(session, table, part_rows).await
        })
        .await
    }

    async fn distinct(&self, walk: &IdHasher) -> Outcome<u64> {
        self.watch(COUNTING_SEEN, async |session| seen::distinct(session, walk).await)
            .await
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
        self.watch(FORGETTING, async |session| {
            seen::forget(session, lease, walk_id).await
        })
        .await
    }

    async fn candidates(&self, table: &'static Table, walk: Walk, seen: &IdHasher) -> Outcome<Candidates> {
        self.watch(SWEEPING, async |session| {
            sweep::candidates(session, table, walk, seen).await
        })
        .await
    }

    async fn forget_waiting(&self, table: &'static Table, lease: &Lease, walk: Walk) -> Outcome<()> {
        self.watch(SWEEPING, async |session| {
            moving::forget_waiting(session, table, lease, walk).await
        })
        .await
    }

    async fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<String>> {
        self.watch(SWEEPING, async |session| {
            sweep::unseen(session, table, walk, after, limit).await
        })
        .await
    }

    async fn note_missing(&self, table: &'static Table, lease: &Lease, walk: Walk) -> Outcome<u64> {
        self.watch(SWEEPING, async |session| {
            missing::note(session, table, lease, walk).await
        })
        .await
    }

    async fn missed_again(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> Outcome<Vec<String>> {
        self.watch(SWEEPING, async |session| {
            missing::again(session, table, walk, after, limit).await
        })
        .await
    }

    async fn sample(&self, table: &'static Table, walk: Walk, size: u64) -> Outcome<Vec<String>> {
        self.watch(SWEEPING, async |session| {
            missing::sample(session, table, walk, size).await
        })
        .await
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
        self.watch(REMOVING, async |session| {
            sweep::remove(session, table, lease, walk, verdicts).await
        })
        .await
    }
}
