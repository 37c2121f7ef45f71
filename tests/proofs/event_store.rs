//! What the database does with audit events, in memory: a row for each occurrence of an event, gaps that shrink by what
//! is covered, a watermark that never moves back. `audit_walk` holds it against the SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{
    Advance, Batch, Fingerprint, GapReason, Known, ScanEvidence, TimeRange, Written,
};
use blueconic_sync::model::cursor::{Cursor, Standing};
use blueconic_sync::model::event::{EventIdentity, Rename};
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::model::known_set::KnownRows;
use blueconic_sync::model::lease::{Acquired, Lease};
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::personal_data::{BroughtPolicy, Policy};
use blueconic_sync::model::ports::{
    ColumnStore, CountStore, FactStore, HistoryStore, LoadStore, Loader, PersonalDataStore, RunStore,
    SweepStore,
};
use blueconic_sync::model::position::{Scope, Slot};
use blueconic_sync::model::property_columns::{Brought, FillRange, PropertyColumns, WantedColumns};
use blueconic_sync::model::recorded_histories::WantedHistories;
use blueconic_sync::model::rows::{Rows, timestamp};
use blueconic_sync::model::scrub::ScrubRange;
use blueconic_sync::model::seen::IdHasher;
use blueconic_sync::model::table::Table;
use blueconic_sync::model::verdict::Verdict;
use blueconic_sync::model::walk::{Candidates, Walk};
use uuid::Uuid;

/// A stretch that may lack events.
pub(super) type Gap = (TimeRange, GapReason);

/// The tables.
#[derive(Debug, Default, Clone)]
pub(super) struct Tables {
    /// The keys of the rows, occurrence included.
    pub(super) rows: BTreeSet<Vec<u8>>,
    /// When each happened, as PostgreSQL counts.
    dates: BTreeMap<Vec<u8>, i64>,
    pub(super) watermark: Option<Time>,
    pub(super) open: Vec<Gap>,
    /// The database's clock; none: the machine's.
    pub(super) now: Option<Time>,
    /// What the advances of this scan said is covered; emptied by the test before each scan.
    pub(super) covered: Vec<TimeRange>,
}

impl Tables {
    fn scan_evidence(&self, up_to: Time) -> ScanEvidence {
        let up_to = timestamp(up_to);
        let event = self.dates.values().copied().filter(|date| *date <= up_to).max();
        let epoch = timestamp(Time::UNIX_EPOCH);
        let doubts = self
            .open
            .iter()
            .filter_map(|(span, reason)| Some((span.to, reason.elements()?)));
        let doubt = doubts.max_by_key(|(to, _)| *to).map(|(_, elements)| elements);
        ScanEvidence {
            event: event.and_then(|date| Time::from_timestamp_micros(date - epoch)),
            doubt,
        }
    }

    fn disprove(&mut self, elements: u64) {
        for (_, reason) in &mut self.open {
            if reason.elements().is_some_and(|doubt| doubt < elements) {
                *reason = GapReason::Unreachable;
            }
        }
    }

    fn apply(&mut self, advance: &Advance) {
        self.watermark = self.watermark.max(advance.watermark);
        for span in &advance.covered {
            let open = std::mem::take(&mut self.open);
            self.open = open
                .into_iter()
                .flat_map(|(gap, reason)| without(gap, *span).map(move |rest| (rest, reason)))
                .collect();
            self.covered.push(*span);
        }
        for (span, reason) in &advance.gaps {
            let mut fresh = vec![*span];
            for (known, _) in &self.open {
                fresh = fresh
                    .into_iter()
                    .flat_map(|piece| without(piece, *known))
                    .collect();
            }
            for piece in fresh {
                let growing = self.open.iter_mut().find(|(known, other)| {
                    other == reason && reason.as_str() == "unreachable" && known.to == piece.from
                });
                match growing {
                    Some((known, _)) => known.to = piece.to,
                    None => self.open.push((piece, *reason)),
                }
            }
        }
        if let Some(elements) = advance.disproves {
            self.disprove(elements);
        }
    }
}

/// What is left of a span without another: at most two pieces.
pub(super) fn without(span: TimeRange, other: TimeRange) -> impl Iterator<Item = TimeRange> {
    let before = TimeRange {
        from: span.from,
        to: span.to.min(other.from),
    };
    let behind = TimeRange {
        from: span.from.max(other.to),
        to: span.to,
    };
    [before, behind].into_iter().filter(|rest| rest.from < rest.to)
}

/// The store over them.
#[derive(Debug, Clone, Default)]
pub(super) struct EventStore(pub(super) Arc<Mutex<Tables>>);

impl RunStore for EventStore {
    async fn now(&self) -> Outcome<Time> {
        Ok(self.0.lock().unwrap().now.unwrap_or_else(chrono::Utc::now))
    }

    async fn acquire(&self, slot: Slot) -> Outcome<Acquired> {
        Ok(Acquired::Lease(Lease {
            slot,
            fence: 1,
            run_id: Uuid::nil(),
        }))
    }

    async fn renew(&self, _lease: &Lease) -> Outcome<()> {
        Ok(())
    }

    async fn progress(&self, _lease: &Lease, _counts: &Counts) -> Outcome<()> {
        Ok(())
    }

    async fn close(&self, _lease: &Lease, _ledger: &Ledger) -> Outcome<()> {
        Ok(())
    }

    async fn cursor(&self, _slot: Slot) -> Outcome<Cursor> {
        Ok(Cursor {
            position: None,
            watermark: self.0.lock().unwrap().watermark,
            segment: None,
            asked_through: None,
        })
    }

    async fn standing(&self, resource: &'static str) -> Outcome<Standing> {
        let slot = |scope| Slot { resource, scope };
        Ok(Standing {
            now: self.now().await?,
            full: self.cursor(slot(Scope::Full)).await?,
            increment: self.cursor(slot(Scope::Increment)).await?,
        })
    }

    async fn advance(&self, _lease: &Lease, advance: &Advance) -> Outcome<()> {
        self.0.lock().unwrap().apply(advance);
        Ok(())
    }

    async fn regain(&self, _lease: &Lease) -> Outcome<()> {
        Ok(())
    }

    async fn open_gaps(&self, _resource: &'static str) -> Outcome<Vec<TimeRange>> {
        let tables = self.0.lock().unwrap();
        Ok(tables.open.iter().map(|(span, _)| *span).collect())
    }

    async fn scan_evidence(&self, up_to: Time) -> Outcome<ScanEvidence> {
        Ok(self.0.lock().unwrap().scan_evidence(up_to))
    }

    async fn renames(&self) -> Outcome<Vec<Rename>> {
        Ok(Vec::new())
    }
}

impl LoadStore for EventStore {
    type Loader = Self;

    async fn loader(&self, _table: &'static Table, _lease: &Lease, _walk: Option<Walk>) -> Outcome<Self> {
        Ok(self.clone())
    }

    fn expect_known(&self, _walk: Walk) {}

    async fn read_known(&self, _walk: Walk, _rows: u64, _bytes: usize) -> Outcome<KnownRows> {
        Err(not_for_events())
    }

    async fn batch_factor(&self) -> Outcome<usize> {
        Ok(1)
    }

    fn all_known_met(&self, _walk: Walk) -> bool {
        false
    }

    fn forget_known(&self, _walk: Walk) {}

    async fn after_full_walk(&self, _table: &'static Table, _loaded: Option<u64>) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn retry_upkeep(&self, _table: &'static Table) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }
}

impl SweepStore for EventStore {
    async fn divide(&self, _table: &'static Table, _part_rows: u64) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn distinct(&self, _walk: &IdHasher) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn witnesses(&self, _walk_id: Uuid, _limit: u32) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn forget(&self, _lease: &Lease, _walk_id: Uuid) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn candidates(&self, _table: &'static Table, _walk: Walk, _seen: &IdHasher) -> Outcome<Candidates> {
        Err(not_for_events())
    }

    async fn forget_waiting(&self, _table: &'static Table, _lease: &Lease, _walk: Walk) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn note_missing(&self, _table: &'static Table, _lease: &Lease, _walk: Walk) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn missed_again(
        &self,
        _table: &'static Table,
        _walk: Walk,
        _after: &str,
        _limit: u32,
    ) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn sample(&self, _table: &'static Table, _walk: Walk, _size: u64) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn unseen(
        &self,
        _table: &'static Table,
        _walk: Walk,
        _after: &str,
        _limit: u32,
    ) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn remember_asked(&self, _lease: &Lease, _through: Option<&str>) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn remove(
        &self,
        _table: &'static Table,
        _lease: &Lease,
        _walk: Walk,
        _verdicts: &[(String, Verdict)],
    ) -> Outcome<u64> {
        Err(not_for_events())
    }
}

impl ColumnStore for EventStore {
    async fn bring_columns(&self, _wanted: &WantedColumns) -> Outcome<Brought> {
        Err(not_for_events())
    }

    async fn range_to_fill(&self, _columns: &PropertyColumns) -> Outcome<Option<FillRange>> {
        Err(not_for_events())
    }

    async fn fill_columns(
        &self,
        _lease: &Lease,
        _columns: &PropertyColumns,
        _range: &FillRange,
        _rows: &Rows,
    ) -> Outcome<()> {
        Err(not_for_events())
    }
}

impl HistoryStore for EventStore {
    async fn bring_histories(&self, _wanted: &WantedHistories) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn begin_histories(&self, _lease: &Lease, _walk: Walk) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }
}

impl FactStore for EventStore {
    async fn measure_day(&self, _lease: &Lease) -> Outcome<()> {
        Err(not_for_events())
    }
}

impl PersonalDataStore for EventStore {
    async fn bring_policy(&self, _policy: &Policy) -> Outcome<BroughtPolicy> {
        Err(not_for_events())
    }

    async fn range_to_scrub(&self, _version: i64) -> Outcome<Option<ScrubRange>> {
        Err(not_for_events())
    }

    async fn write_scrubbed(
        &self,
        _lease: &Lease,
        _columns: Option<&PropertyColumns>,
        _range: &ScrubRange,
        _rows: &Rows,
    ) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn renew_rights(&self) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn renew_statistics(&self) -> Outcome<bool> {
        Err(not_for_events())
    }
}

impl CountStore for EventStore {
    async fn is_empty(&self, _table: &'static Table) -> Outcome<bool> {
        Err(not_for_events())
    }

    async fn rows(&self, _table: &'static Table) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn rows_estimated(&self, _table: &'static Table) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn ids(&self, _table: &'static Table) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn changed_profiles(
        &self,
        _table: &'static Table,
        _after: &str,
        _limit: u32,
    ) -> Outcome<Vec<Fingerprint>> {
        Err(not_for_events())
    }

    async fn count_changed_profiles(&self, _table: &'static Table) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn erased(&self) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn memberships(&self) -> Outcome<Vec<(String, u64)>> {
        Err(not_for_events())
    }
}

/// The first column of a tuple: two bytes that count fields, four of length, and eight of a timestamp.
fn date_of(tuple: &[u8]) -> i64 {
    i64::from_be_bytes(tuple[6..14].try_into().unwrap())
}

impl Loader for EventStore {
    async fn same_in_memory(&mut self, _prints: &[Fingerprint]) -> Outcome<Option<Vec<bool>>> {
        Ok(None)
    }

    async fn known(&mut self, prints: &[Fingerprint]) -> Outcome<Vec<Known>> {
        Ok(vec![Known::Absent; prints.len()])
    }

    async fn similar_events(&mut self, _events: &[EventIdentity]) -> Outcome<Vec<EventIdentity>> {
        Ok(Vec::new())
    }

    async fn record_renames(&mut self, renames: &[Rename]) -> Outcome<()> {
        panic!("nobody renames anything here: {renames:?}")
    }

    async fn load(&mut self, batch: Batch, advance: Option<Advance>) -> Outcome<Written> {
        let mut tables = self.0.lock().unwrap();
        let mut written = Written::default();
        for (key, tuple) in batch.rows.keys().zip(batch.rows.tuples()) {
            if tables.rows.insert(key.to_vec()) {
                tables.dates.insert(key.to_vec(), date_of(tuple));
                written.inserted += 1;
            } else {
                written.unchanged += 1;
            }
        }
        if let Some(advance) = advance {
            tables.apply(&advance);
        }
        Ok(written)
    }
}

fn not_for_events() -> Fault {
    Fault::new(Kind::Final, "audit events do not ask for this")
}
