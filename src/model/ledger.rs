//! What a run did, in the columns of `sync.runs`, and how it ended.

use uuid::Uuid;

use super::Time;
use super::fault::Fault;
use super::position::Slot;
use super::status::RunStatus;

/// The counts of a run. Rows unless another unit is said.
///
/// At every moment each element that was read is in exactly one of the others:
///
/// `read = inserted + updated + unchanged + rejected + suppressed + repeated + elsewhere`
///
/// ([`Counts::unaccounted`] is 0.) Of audit events, `suppressed` goes beside the sum: they are loaded without the object
/// that is an erased person. What else goes beside it: `distinct`, since an id may come twice; `removed`, since what is
/// gone is not read; `missed`, `late` and `rehashed`, which say more of elements that are counted already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// What the tenant says there is (`totalResults` of the last page).
    pub source_total: Option<u64>,
    /// Elements read, repeats included; also candidates of the sweep that a look-up found changed.
    pub read: u64,
    /// Distinct ids among them that this walk had not read before. Audit events have no id: those stored or found
    /// stored, so that one which two pages brought counts twice.
    pub distinct: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows whose content changed.
    pub updated: u64,
    /// Elements that left their row as it was: the same, older, or of a row that was removed in the same moment.
    pub unchanged: u64,
    /// Rows removed.
    pub removed: u64,
    /// Elements rejected.
    pub rejected: u64,
    /// Those among them that are not in `sync.rejects`: it takes so many of a run, and so many in all.
    pub unrecorded: u64,
    /// Rows whose `source_hash` alone was refreshed.
    pub rehashed: u64,
    /// Elements left out because their person was erased.
    pub suppressed: u64,
    /// Further copies of an element within one batch; its newest copy is counted in its own place.
    pub repeated: u64,
    /// Elements that are no row of this table: losers of merges, which become aliases, and properties of groups.
    pub elsewhere: u64,
    /// Candidates of the sweep that the tenant still has.
    pub missed: u64,
    /// Rows among those inserted and changed whose dates an increment had passed before this full walk began.
    pub late: u64,
    /// How far the worst of them lay before the increment's watermark, in seconds.
    pub late_by: Option<u64>,
    /// Characters that PostgreSQL cannot store, replaced by U+FFFD.
    pub replaced_characters: u64,
    /// Dates of profiles that could not be read, and are null: of those that were decoded in this run.
    pub unreadable_dates: u64,
    /// `source_total` less what the whole walk read (distinct ids, and rejects without a readable id); none where the
    /// tenant tells no total or the walk did not end. Within 10 rows or 1% of profiles it is what changed meanwhile and
    /// only stands here; beyond it, and for lists at once, the run is `partial`.
    pub unexplained: Option<i64>,
    /// Audit events newer than the watermark, in percent of a page.
    pub page_fill: Option<u64>,
    /// Pages that ended whole.
    pub pages: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests among them that repeated an earlier one.
    pub retries: u64,
    /// Decompressed bytes of bodies.
    pub bytes_read: u64,
}

impl Counts {
    /// Elements that were read and are in none of the counts; anything but 0 is a defect of the books.
    /// `suppressed_are_left_out`: not so of audit events.
    pub fn unaccounted(&self, suppressed_are_left_out: bool) -> i64 {
        let suppressed = if suppressed_are_left_out {
            self.suppressed
        } else {
            0
        };
        let accounted = self.inserted
            + self.updated
            + self.unchanged
            + self.rejected
            + suppressed
            + self.repeated
            + self.elsewhere;
        self.read.cast_signed() - accounted.cast_signed()
    }
}

/// The closing entry of a run.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// How it ended.
    pub status: RunStatus,
    /// What it did.
    pub counts: Counts,
    /// What failed and why.
    pub error: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// A run as the commands tell of it, once it has ended.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Its id in `sync.runs`; none when it never came to open one.
    pub run_id: Option<Uuid>,
    /// For what it ran.
    pub slot: Slot,
    /// Its closing entry.
    pub ledger: Ledger,
    /// The fault that ended it, by whose kind the exit code is chosen.
    pub fault: Option<Fault>,
    /// When it began, by the local clock.
    pub started_at: Time,
    /// When it ended, by the local clock.
    pub finished_at: Time,
}
