//! Loading connections and the upkeep of tables, by the port [`LoadStore`].

use crate::model::fault::Outcome;
use crate::model::known_set::KnownRows;
use crate::model::lease::Lease;
use crate::model::ports::LoadStore;
use crate::model::position::Scope;
use crate::model::table::{Merge, Table};
use crate::model::walk::Walk;
use crate::postgres::distributed;
use crate::postgres::error::Doing as _;
use crate::postgres::hash_reading;
use crate::postgres::loader::PostgresLoader;
use crate::postgres::pool::Pools;
use crate::postgres::sql::relation;
use crate::postgres::upkeep::{self, Build};
use crate::postgres::waits::WaitLimit;
use crate::postgres::watched::WatchedConnection;

use super::PostgresStore;

const OPENING: &str = "getting a loading connection";
/// How many times as large batches are where profiles are distributed. With 2 MiB, statements beside the COPY took more CPU than it.
const DISTRIBUTED_BATCH: usize = 4;

impl LoadStore for PostgresStore {
    type Loader = PostgresLoader;

    async fn loader(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Option<Walk>,
    ) -> Outcome<PostgresLoader> {
        let Pools { data, monitor, .. } = &self.pools;
        // A child that changed has another hash than its parent's row (`sync.child_hashes`).
        let is_known_by_hash = table.merge == Merge::Profile && !table.reads_children();
        let is_full = is_known_by_hash && lease.slot.scope == Scope::Full;
        let in_memory = walk.filter(|_| is_full).map(|walk| self.own.known.of(walk.id));
        let opening = async {
            let quota = self.moment(OPENING, self.own.rejects.of(self.control(), lease.run_id));
            let quota = quota.await?;
            let mut session = WatchedConnection::of(data, monitor, OPENING).await?;
            let watch = session.work();
            let open = PostgresLoader::open(session, table, lease.clone(), walk, quota, in_memory);
            watch.wait(OPENING, WaitLimit::Minutes, open).await
        };
        let opened = opening.await;
        monitor.note_opening(&opened);
        Ok(opened?)
    }

    async fn batch_factor(&self) -> Outcome<usize> {
        let looking = async {
            let mut connection = self.control().acquire().await.doing(OPENING)?;
            distributed::is(&mut connection).await
        };
        Ok(if self.moment(OPENING, looking).await? {
            DISTRIBUTED_BATCH
        } else {
            1
        })
    }

    fn expect_known(&self, walk: Walk) {
        self.own.known.of(walk.id).expect();
    }

    async fn read_known(&self, walk: Walk, rows: u64, bytes: usize) -> Outcome<KnownRows> {
        let Pools { data, monitor, .. } = &self.pools;
        let mut session = WatchedConnection::of(data, monitor, OPENING).await?;
        let watch = session.work();
        let known = self.own.known.of(walk.id);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX / 2);
        let read = known.read(&mut session, rows, bytes);
        Ok(watch.wait(hash_reading::READING, WaitLimit::None, read).await?)
    }

    fn all_known_met(&self, walk: Walk) -> bool {
        self.own.known.all_met(walk.id)
    }

    fn forget_known(&self, walk: Walk) {
        self.own.known.forget(walk.id);
    }

    async fn after_full_walk(&self, table: &'static Table, loaded: Option<u64>) -> Outcome<Vec<String>> {
        let mut put_off = self.index(table, Build::after(loaded)).await?;
        let children = table.read_children().map(|child| child.table);
        let mut names: Vec<String> = std::iter::once(table).chain(children).map(relation).collect();
        names.extend(upkeep::beside(self.watched(upkeep::REFRESHING).await?, table).await?);
        for name in names {
            let session = self.watched(upkeep::REFRESHING).await?;
            put_off.extend(upkeep::refresh(session, &name).await?);
        }
        Ok(put_off)
    }

    async fn retry_upkeep(&self, table: &'static Table) -> Outcome<Vec<String>> {
        self.index(table, Build::Concurrently).await
    }
}

impl PostgresStore {
    /// Builds the indexes for readers that are missing.
    async fn index(&self, table: &'static Table, build: Build) -> Outcome<Vec<String>> {
        if table.merge != Merge::Profile {
            return Ok(Vec::new());
        }
        let mut put_off = Vec::new();
        for index in &upkeep::OF_PROFILES {
            let session = self.watched(upkeep::INDEXING).await?;
            put_off.extend(upkeep::index(session, index, build).await?);
        }
        Ok(put_off)
    }
}
