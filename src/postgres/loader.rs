//! One connection that loads one table: compares elements with the rows, then loads batches, each in one transaction
//! together with everything that must commit with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tracing::Instrument as _;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Time;
use crate::model::batch::{Advance, Batch, Fingerprint, Known, Written};
use crate::model::event::{EventIdentity, Rename};
use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::ports::Loader;
use crate::model::position::Scope;
use crate::model::spans;
use crate::model::table::{Merge, Table};
use crate::model::walk::Walk;
use crate::postgres::bigint::{from_length, to_count};
use crate::postgres::changes::Changes;
use crate::postgres::columns::statements::{BesideColumns, ColumnStatements};
use crate::postgres::erasures::suppress;
use crate::postgres::error::{Doing, Error};
use crate::postgres::known::{self, LOOKING, LookedUp};
use crate::postgres::known_in_memory::InMemory;
use crate::postgres::memberships::KnownSegments;
use crate::postgres::merge::Statements;
use crate::postgres::partitions::KnownPartitions;
use crate::postgres::profiles::{Contents, MergeContext};
use crate::postgres::reject_quota::RejectQuota;
use crate::postgres::rejects::OpenRejects;
use crate::postgres::retry::Attempts;
use crate::postgres::watched::WatchedConnection;
use crate::postgres::{
    boundary, children, clock, cursors, distributed, gaps, leases, load_opening, owners, partitions,
    profiles, rejects, removals, renames, staging,
};

/// The most conflicts of direct loads; after them all batches go through staging.
const MOST_DIRECT_CONFLICTS: u32 = 3;

/// A loading connection with its staging.
#[derive(Debug)]
pub struct PostgresLoader {
    connection: WatchedConnection,
    table: &'static Table,
    lease: Lease,
    walk: Option<Walk>,
    /// Since when an alias keeps its id out of `profiles`.
    since: Time,
    sql: Statements,
    /// The content hashes that [`Loader::known`] returned since the last load, so that a `source_hash` is refreshed only on a row
    /// with unchanged content.
    contents: HashMap<String, Contents>,
    /// Hashes of the ids whose rows were there when [`Loader::same_in_memory`] or [`Loader::known`] was asked, since the last
    /// load: they are wanted only while another walk is open.
    compared: Vec<u64>,
    /// Whether staging still has rows of a failed load.
    staging_dirty: bool,
    /// Rows deleted from staging since it was truncated.
    deleted_rows: usize,
    /// Direct loads that failed because an id existed.
    direct_conflicts: u32,
    /// Removals that the current transaction deducted from the run's bound.
    taken: u64,
    /// Which elements have open rejects.
    open_rejects: OpenRejects,
    /// How many rejects the run may store yet.
    quota: Arc<RejectQuota>,
    /// The hashes of stored profiles in memory.
    in_memory: Option<Arc<InMemory>>,
    /// The partitions that are there.
    partitions: KnownPartitions,
    /// The segments that are known to be recorded.
    segments: KnownSegments,
    /// The statements for typed columns; none before the first batch that has any.
    columns: Option<ColumnStatements>,
    /// Whether profiles are distributed.
    is_apart: bool,
}

/// How a batch is loaded into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadMethod {
    /// Copied into staging, then merged.
    Staged,
    /// Copied directly into the table; the ids are believed new.
    Direct,
}

impl PostgresLoader {
    /// Creates the staging tables, and for a partitioned table the next partitions.
    pub(crate) async fn open(
        mut connection: WatchedConnection,
        table: &'static Table,
        lease: Lease,
        walk: Option<Walk>,
        quota: Arc<RejectQuota>,
        in_memory: Option<Arc<InMemory>>,
    ) -> Result<Self, Error> {
        let sql = Statements::of(table);
        staging::prepare(&mut connection, &sql).await?;
        if table.merge == Merge::Occurrence {
            partitions::ahead(&mut connection, table.name).await?;
        }
        let open_rejects = OpenRejects::read(&mut connection, lease.slot.resource).await?;
        let since = match walk {
            Some(walk) => walk.opened_at,
            None => clock::now(&mut *connection, clock::READING).await?,
        };
        let of_profiles = matches!(table.merge, Merge::Profile | Merge::OfProfile);
        let is_apart = of_profiles && distributed::is(&mut connection).await?;
        connection.rest();
        Ok(Self {
            connection,
            table,
            lease,
            walk,
            since,
            sql,
            contents: HashMap::new(),
            compared: Vec::new(),
            staging_dirty: false,
            deleted_rows: 0,
            direct_conflicts: 0,
            taken: 0,
            open_rejects,
            quota,
            in_memory,
            partitions: KnownPartitions::new(),
            segments: KnownSegments::of(table),
            columns: None,
            is_apart,
        })
    }

    async fn look_up(&mut self, prints: &[Fingerprint]) -> Result<Vec<Known>, Error> {
        if self.table.merge != Merge::Profile {
            return Ok(vec![Known::Absent; prints.len()]);
        }
        let LookedUp { known, differing } =
            known::look_up(&mut self.connection, &self.sql, prints, &mut self.contents).await?;
        if let Some(in_memory) = &self.in_memory {
            let answers = || prints.iter().zip(&known);
            let differ = answers().filter(|(_, known)| matches!(known, Known::Differs { .. }));
            in_memory.change(differ.map(|(print, _)| print.id.as_str()));
            let same = answers().filter(|(_, known)| **known == Known::Same);
            in_memory.meet(same.map(|(print, _)| print.source).chain(differing));
        }
        let there = prints
            .iter()
            .zip(&known)
            .filter(|(_, known)| **known != Known::Absent);
        self.note_compared(there.map(|(print, _)| print));
        Ok(known)
    }

    async fn look_up_in_memory(&mut self, prints: &[Fingerprint]) -> Result<Option<Vec<bool>>, Error> {
        let (Some(in_memory), Some(walk)) = (&self.in_memory, self.walk) else {
            return Ok(None);
        };
        let same = in_memory.same(&mut self.connection, walk.id, prints).await?;
        if let Some(same) = &same {
            let there = prints.iter().zip(same).filter(|(_, same)| **same);
            self.note_compared(there.map(|(print, _)| print));
        }
        Ok(same)
    }

    fn note_compared<'print>(&mut self, there: impl Iterator<Item = &'print Fingerprint>) {
        self.compared
            .extend(there.map(|print| xxh3_64(print.id.as_bytes())));
    }

    /// Whether a batch that a full walk found unchanged leaves nothing to write. An increment protects its ids from the sweep of a
    /// full walk, also where it found them unchanged.
    fn needs_no_transaction(&self, batch: &Batch) -> bool {
        let ids = batch.seen.iter().map(String::as_str);
        self.table.merge == Merge::Profile
            && self.walk.is_some()
            && self.lease.slot.scope == Scope::Full
            && batch.writes_nothing()
            && self.open_rejects.among(ids).is_empty()
    }

    async fn stage_and_commit(
        &mut self,
        mut batch: Batch,
        advance: Option<Advance>,
    ) -> Result<Written, Error> {
        if let Some(in_memory) = &self.in_memory {
            in_memory.change(batch.aliases.iter().map(|(loser, _)| loser.as_str()));
        }
        let repeated = from_length(batch.rows.deduplicate() + batch.children.deduplicate());
        let stored_rejects = self.quota.admit(&batch.rejects);
        self.make_partitions(&batch).await?;
        self.prepare_columns(&batch).await?;
        if batch.fresh && self.table.merge == Merge::Profile && self.direct_conflicts < MOST_DIRECT_CONFLICTS
        {
            match self
                .commit_persistently(&batch, advance.as_ref(), LoadMethod::Direct, stored_rejects)
                .await
            {
                Err(error) if error.is_duplicate() => self.direct_conflicts += 1,
                loaded => {
                    return loaded.map(|written| Written { repeated, ..written });
                }
            }
        }
        if self.staging_dirty {
            staging::empty(&mut self.connection, &self.sql).await?;
            self.clear_columns(true).await?;
            self.staging_dirty = false;
        }
        if !(batch.rows.is_empty() && batch.children.is_empty()) {
            self.staging_dirty = true;
            staging::fill(&mut self.connection, &self.sql, &batch.rows).await?;
            children::stage(&mut self.connection, &self.sql, &batch).await?;
            if let Some(columns) = self.columns.as_ref().filter(|_| batch.columns.is_some()) {
                columns.stage(&mut self.connection, &batch.rows).await?;
            }
        }
        let mut written = self
            .commit_persistently(&batch, advance.as_ref(), LoadMethod::Staged, stored_rejects)
            .await?;
        written.repeated = repeated;
        self.contents.clear();
        self.compared.clear();
        if self.staging_dirty {
            let rows = batch.rows.len() + batch.children.rows();
            staging::clear(&mut self.connection, &self.sql, rows, &mut self.deleted_rows).await?;
            let is_empty = self.deleted_rows == 0;
            self.clear_columns(is_empty).await?;
            self.staging_dirty = false;
        }
        Ok(written)
    }

    /// Prepares for the typed columns that a batch brings.
    async fn prepare_columns(&mut self, batch: &Batch) -> Result<(), Error> {
        let Some(columns) = &batch.columns else {
            return Ok(());
        };
        if let Some(former) = &self.columns {
            if former.version == columns.version {
                return Ok(());
            }
            former.drop(&mut self.connection).await?;
        }
        let statements = ColumnStatements::of(columns);
        statements.prepare(&mut self.connection).await?;
        self.columns = Some(statements);
        Ok(())
    }

    async fn clear_columns(&mut self, all: bool) -> Result<(), Error> {
        match &self.columns {
            Some(columns) => columns.clear(&mut self.connection, all).await,
            None => Ok(()),
        }
    }

    /// Makes the partitions that the rows of a batch need.
    async fn make_partitions(&mut self, batch: &Batch) -> Result<(), Error> {
        let own = std::iter::once((&self.sql, &batch.rows));
        let children = self.sql.children.iter().zip(batch.children.tables());
        for (sql, rows) in own.chain(children) {
            let (months, known) = (sql.months.as_ref(), &mut self.partitions);
            partitions::for_rows(&mut self.connection, months, rows, known).await?;
        }
        Ok(())
    }

    async fn commit_persistently(
        &mut self,
        batch: &Batch,
        advance: Option<&Advance>,
        method: LoadMethod,
        stored_rejects: usize,
    ) -> Result<Written, Error> {
        let mut attempts = Attempts::default();
        loop {
            self.taken = 0;
            match self.commit(batch, advance, method, stored_rejects).await {
                Ok(written) => return Ok(written),
                Err(error) => {
                    if let Some(removals) = &batch.removals {
                        removals.give_back(self.taken);
                    }
                    attempts.again(error).await?;
                }
            }
        }
    }

    /// Runs the transaction, with the first `stored_rejects` rejects. Dropping it early rolls it back.
    async fn commit(
        &mut self,
        loading: &Batch,
        advance: Option<&Advance>,
        method: LoadMethod,
        stored_rejects: usize,
    ) -> Result<Written, Error> {
        let mut transaction = self.connection.begin().await.doing("beginning to load")?;
        let waits = self.table.merge != Merge::Profile;
        let open = &mut self.open_rejects;
        let opening = load_opening::open(&mut transaction, &self.lease, self.walk, waits, open).await?;
        if method == LoadMethod::Direct && !(opening.hasher.is_none() && opening.other_walks.is_empty()) {
            // Erased persons can only be left out of staged rows, and while another walk is open, more ids than those of the
            // rows must be locked.
            return Err(Error::NotFresh);
        }
        // Rows and rejects show what came as it was treated.
        let shows = !(loading.rows.is_empty() && loading.rejects.is_empty());
        if self.table.merge == Merge::Profile
            && shows
            && loading.treatment_version != opening.treatment_version
        {
            return Err(Error::ColumnsChanged);
        }
        let filtered = match &opening.hasher {
            Some(hasher) => {
                suppress::leave_out_erased(&mut transaction, hasher, self.table, &self.sql, loading).await?
            }
            None => None,
        };
        let (batch, departing, suppressed) = match &filtered {
            Some(filtered) => (
                &filtered.batch,
                filtered.departing.as_slice(),
                filtered.suppressed,
            ),
            None => (loading, &[][..], 0),
        };
        let compared = if opening.other_walks.is_empty() {
            Vec::new()
        } else {
            compared(loading, &self.compared)
        };
        let context = MergeContext {
            table: self.table,
            sql: &self.sql,
            lease: &self.lease,
            since: self.since,
            contents: &self.contents,
            departing,
            now: opening.now,
            passed: self.walk.and_then(|walk| walk.passed),
            compared: &compared,
            columns: BesideColumns::of(loading, opening.column_version, self.columns.as_ref())?,
            recorded: &opening.recorded,
            is_apart: self.is_apart,
        };
        let mut changes = Changes::collect(opening.records_changes);
        let mut written = match self.table.merge {
            Merge::Profile if method == LoadMethod::Direct => {
                profiles::insert(&mut transaction, batch, context, &mut changes).await?
            }
            Merge::Profile => profiles::merge(&mut transaction, batch, context, &mut changes).await?,
            Merge::OfProfile => {
                owners::hold(&mut transaction, &self.sql, batch, self.is_apart).await?;
                merge_plainly(&mut transaction, batch, context, &mut changes).await?
            }
            Merge::Upsert | Merge::Occurrence | Merge::Child | Merge::ChildHistory | Merge::ListedHistory => {
                merge_plainly(&mut transaction, batch, context, &mut changes).await?
            }
        };
        self.segments.record(&mut transaction, &batch.rows).await?;
        self.taken = removals::take(&mut transaction, loading, written).await?;
        let admitted = &batch.rejects[..stored_rejects.min(batch.rejects.len())];
        rejects::record(&mut transaction, &self.lease, admitted, opening.now).await?;
        written.rejected = from_length(batch.rejects.len());
        written.unrecorded = from_length(batch.rejects.len() - admitted.len());
        written.suppressed = suppressed;
        load_opening::record_seen(&mut transaction, batch, self.walk, &opening).await?;
        load_opening::resolve_rejects(&mut transaction, batch, &self.lease, &opening, &self.open_rejects)
            .await?;
        if let Some(advance) = advance {
            gaps::apply(&mut transaction, &self.lease, advance, opening.now).await?;
            cursors::advance(&mut transaction, self.lease.slot, advance, opening.now).await?;
        }
        changes.record(&mut transaction, opening.now).await?;
        leases::assert(&mut transaction, &self.lease).await?;
        boundary::cross("load", "committing a batch", transaction.commit()).await?;
        self.segments.are_stored();
        Ok(written)
    }
}

impl Loader for PostgresLoader {
    async fn same_in_memory(&mut self, prints: &[Fingerprint]) -> Outcome<Option<Vec<bool>>> {
        let watch = self.connection.work();
        let same = watch
            .wait_to_load(LOOKING, self.look_up_in_memory(prints))
            .await?;
        self.connection.rest();
        Ok(same)
    }

    async fn known(&mut self, prints: &[Fingerprint]) -> Outcome<Vec<Known>> {
        let watch = self.connection.work();
        let known = watch.wait_to_load(LOOKING, self.look_up(prints)).await?;
        self.connection.rest();
        Ok(known)
    }

    async fn similar_events(&mut self, events: &[EventIdentity]) -> Outcome<Vec<EventIdentity>> {
        let watch = self.connection.work();
        let work = renames::similar_events(&mut self.connection, events);
        let alike = watch.wait_to_load("looking for renamed values", work).await?;
        self.connection.rest();
        Ok(alike)
    }

    async fn record_renames(&mut self, found: &[Rename]) -> Outcome<()> {
        let watch = self.connection.work();
        let work = renames::record(&mut self.connection, &self.lease, found);
        watch.wait_to_load("recording renamed values", work).await?;
        self.connection.rest();
        Ok(())
    }

    async fn load(&mut self, batch: Batch, advance: Option<Advance>) -> Outcome<Written> {
        if advance.is_none() && self.needs_no_transaction(&batch) {
            self.contents.clear();
            self.compared.clear();
            return Ok(Written::default());
        }
        let watch = self.connection.work();
        let span = spans::batch(self.table.name, batch.rows.len());
        let loading = self.stage_and_commit(batch, advance).instrument(span.clone());
        let written = watch.wait_to_load("loading a batch", loading).await;
        spans::batch_ended(&span, written.as_ref().ok());
        let written = written?;
        self.connection.rest();
        Ok(written)
    }
}

/// Ids of the batch whose rows existed when they were compared.
fn compared<'batch>(batch: &'batch Batch, hashes: &[u64]) -> Vec<&'batch str> {
    let hashes: HashSet<&u64> = hashes.iter().collect();
    let ids = batch.seen.iter().map(String::as_str);
    ids.filter(|id| hashes.contains(&xxh3_64(id.as_bytes())))
        .collect()
}

/// How many rows a merge inserted and updated, and which.
type Merged = (i64, i64, Vec<String>, Vec<String>);

/// Merges tables that need nothing else around the merge. All rows of a list are staged, so its children are compared row by
/// row.
async fn merge_plainly(
    connection: &mut PgConnection,
    batch: &Batch,
    context: MergeContext<'_>,
    changes: &mut Changes,
) -> Result<Written, Error> {
    if batch.rows.is_empty() {
        return Ok(Written::default());
    }
    renames::reconcile(&mut *connection, batch, (context.sql.changed, &mut *changes)).await?;
    let (inserted, updated, inserted_keys, updated_keys): Merged =
        sqlx::query_as(AssertSqlSafe(context.sql.merge.as_str()))
            .bind(context.now)
            .fetch_one(&mut *connection)
            .await
            .doing("merging rows")?;
    let parents: Vec<&str> = batch
        .children
        .parents()
        .iter()
        .map(|parent| parent.id.as_str())
        .collect();
    changes.inserted(context.sql.changed, inserted_keys);
    changes.updated(context.sql.changed, None, updated_keys);
    children::replace(connection, context.sql, &parents, context.now, changes).await?;
    let (inserted, updated) = (to_count(inserted), to_count(updated));
    Ok(Written {
        inserted,
        updated,
        unchanged: from_length(batch.rows.len()).saturating_sub(inserted + updated),
        ..Written::default()
    })
}
