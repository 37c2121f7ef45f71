//! What a run did, in the columns of `sync.runs`, and how it ended.

use uuid::Uuid;

use super::Time;
use super::drift::UnknownCounts;
use super::fault::Fault;
use super::position::Slot;
use super::status::RunStatus;

/// The counts of a run; rows unless the name says another unit.
///
/// At every moment each element that was read is in exactly one of the others:
///
/// `read = inserted + updated + unchanged + rejected + suppressed + repeated + elsewhere`
///
/// ([`Counts::unaccounted`] is 0.) For audit events, `suppressed` is not part of the sum, since they are loaded without the
/// object that is an erased person. Not part of the sum are also `distinct`, since an id may come twice; `removed`, since a
/// removed element is not read; and `missed`, `late` and `rehashed`, whose elements are counted already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The tenant's total (`totalResults` of the last page).
    pub source_total: Option<u64>,
    /// Elements read, repeats included; also candidates of the sweep that a look-up found changed.
    pub read: u64,
    /// Distinct ids among them that this walk had not read before. Of audit events, which have no id, those that were stored or
    /// found stored; an event that came on two pages counts twice.
    pub distinct: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows whose content changed.
    pub updated: u64,
    /// Elements that left their row unchanged: equal or older ones, or those of a row that was removed at that moment.
    pub unchanged: u64,
    /// Rows removed.
    pub removed: u64,
    /// Elements rejected.
    pub rejected: u64,
    /// Rejected elements that are not stored in `sync.rejects`, which has a quota per run and in all.
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
    /// `source_total` minus what the whole walk read (distinct ids, and rejects without a readable id); none without a total, or
    /// if the walk did not end. For profiles, changes during the walk explain up to 10 rows or 1%; beyond that, and for any
    /// difference of a list, the run is `partial`.
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
    /// How often elements had a field or a value that is not known.
    pub unknown: UnknownCounts,
}

impl Counts {
    /// The number of elements that were read and are in none of the counts; anything but 0 is a defect.
    /// `suppressed_are_left_out`: true except for audit events.
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
    /// Its counts.
    pub counts: Counts,
    /// What failed and why.
    pub error: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// The report of a run that has ended.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Its id in `sync.runs`; none if the run could not be opened.
    pub run_id: Option<Uuid>,
    /// The slot of the run.
    pub slot: Slot,
    /// Its closing entry.
    pub ledger: Ledger,
    /// The fault that ended it; its kind decides the exit code.
    pub fault: Option<Fault>,
    /// When it began, by the local clock.
    pub started_at: Time,
    /// When it ended, by the local clock.
    pub finished_at: Time,
}
