//! What the database does with audit events, in memory: a row for each occurrence of an event, gaps that shrink by what
//! is covered, a watermark that never moves back. `audit_walk` holds it against the SQL.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{Advance, Batch, Fingerprint, GapReason, Known, Span, Written};
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::ports::{Acquired, Candidates, Cursor, Lease, Loader, Store, Verdict, Walk};
use blueconic_sync::model::position::Slot;
use blueconic_sync::model::table::Table;
use uuid::Uuid;

/// A stretch that may lack events.
pub(super) type Gap = (Span, GapReason);

/// The tables.
#[derive(Debug, Default, Clone)]
pub(super) struct Tables {
    /// The keys of the rows, occurrence included.
    pub(super) rows: BTreeSet<Vec<u8>>,
    pub(super) watermark: Option<Time>,
    pub(super) open: Vec<Gap>,
    /// What the advances of this scan said is covered; emptied by the test before each scan.
    pub(super) covered: Vec<Span>,
}

impl Tables {
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
            self.open.extend(fresh.into_iter().map(|piece| (piece, *reason)));
        }
    }
}

/// What is left of a span without another: at most two pieces.
pub(super) fn without(span: Span, other: Span) -> impl Iterator<Item = Span> {
    let before = Span {
        from: span.from,
        to: span.to.min(other.from),
    };
    let behind = Span {
        from: span.from.max(other.to),
        to: span.to,
    };
    [before, behind].into_iter().filter(|rest| rest.from < rest.to)
}

/// The store over them.
#[derive(Debug, Clone, Default)]
pub(super) struct EventStore(pub(super) Arc<Mutex<Tables>>);

impl Store for EventStore {
    type Loader = Self;

    async fn now(&self) -> Outcome<Time> {
        Err(not_for_events())
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
            asked_through: None,
        })
    }

    async fn advance(&self, _lease: &Lease, advance: &Advance) -> Outcome<()> {
        self.0.lock().unwrap().apply(advance);
        Ok(())
    }

    async fn loader(&self, _table: &'static Table, _lease: &Lease, _walk: Option<Walk>) -> Outcome<Self> {
        Ok(self.clone())
    }

    async fn seen(&self, _walk_id: Uuid) -> Outcome<(u64, u64)> {
        Err(not_for_events())
    }

    async fn is_empty(&self, _table: &'static Table) -> Outcome<bool> {
        Err(not_for_events())
    }

    async fn distinct(&self, _walk_id: Uuid) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn forget(&self, _lease: &Lease, _walk_id: Uuid) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn candidates(&self, _table: &'static Table, _walk: Walk) -> Outcome<Candidates> {
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

    async fn remove(
        &self,
        _table: &'static Table,
        _lease: &Lease,
        _walk: Walk,
        _verdicts: &[(String, Verdict)],
    ) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn after_full_walk(&self, _table: &'static Table) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn erased(&self) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn witnesses(&self, _walk_id: Uuid, _limit: u32) -> Outcome<Vec<String>> {
        Err(not_for_events())
    }

    async fn remember_asked(&self, _lease: &Lease, _through: Option<&str>) -> Outcome<()> {
        Err(not_for_events())
    }

    async fn rows(&self, _table: &'static Table) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn rows_estimated(&self, _table: &'static Table) -> Outcome<u64> {
        Err(not_for_events())
    }

    async fn memberships(&self) -> Outcome<Vec<(String, u64)>> {
        Err(not_for_events())
    }

    async fn open_gaps(&self, _resource: &'static str) -> Outcome<Vec<Span>> {
        let tables = self.0.lock().unwrap();
        Ok(tables.open.iter().map(|(span, _)| *span).collect())
    }
}

impl Loader for EventStore {
    async fn known(&mut self, prints: &[Fingerprint]) -> Outcome<Vec<Known>> {
        Ok(vec![Known::Absent; prints.len()])
    }

    async fn load(&mut self, batch: Batch, advance: Option<Advance>) -> Outcome<Written> {
        let mut tables = self.0.lock().unwrap();
        let mut written = Written::default();
        for key in batch.rows.keys() {
            if tables.rows.insert(key.to_vec()) {
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
