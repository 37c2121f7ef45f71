//! A batch: encoded rows of a table and of its child tables, seen ids, and everything that commits with them.

use std::sync::Arc;

use super::Time;
use super::children::{ChildHash, Children};
use super::drift::UnknownCounts;
use super::event::{AlternateKeys, EventIdentity, FormerKey};
use super::page::RejectReason;
use super::position::Position;
use super::property_columns::PropertyColumns;
use super::removals::Removals;
use super::rows::Rows;
use super::seen::SeenIds;

/// An element's identity and the hash over its bytes, computed without decoding it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The id, as text.
    pub id: String,
    /// A hash of 16 bytes over the element's bytes, seeded with the decoder's version and settings.
    pub source: [u8; 16],
}

/// What the database knows of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// No row with this id.
    Absent,
    /// A row made from the same bytes: nothing to decode.
    Same,
    /// A row made from other bytes.
    Differs {
        /// The hash over its content.
        content: [u8; 16],
        /// The hash over its children.
        children: ChildHash,
    },
}

/// Rows for one table and its child tables, with all that commits with them.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Encoded rows to be merged.
    pub rows: Rows,
    /// The typed columns that are written beside the rows ([`Rows::tuples_beside`]); none: none are.
    pub columns: Option<Arc<PropertyColumns>>,
    /// By which version of what becomes of personal data it was decoded ([`super::personal_data::Treated`]).
    pub treatment_version: i64,
    /// Rows of the child tables; empty where the table has none.
    pub children: Children,
    /// Ids that were read, in any order, repeats allowed. They are protected from the sweeps of other walks, and their open rejects
    /// are closed.
    pub seen: Vec<String>,
    /// What the walk records as seen in the same transaction, of this batch and of those before it.
    pub recorded: SeenIds,
    /// Rows whose bytes differ and whose content does not: `(id, new source_hash)`.
    pub rehash: Vec<(String, [u8; 16])>,
    /// `(loser, survivor)`: the loser leaves `profiles` and becomes an alias.
    pub aliases: Vec<(String, String)>,
    /// Elements that could not be loaded.
    pub rejects: Vec<Reject>,
    /// The identities of its audit events.
    pub events: Vec<EventIdentity>,
    /// Keys under which audit events of this batch may be stored with older values of a field.
    pub alternate_keys: Vec<AlternateKeys>,
    /// Keys of an earlier release under which audit events of this batch may be stored.
    pub former_keys: Vec<FormerKey>,
    /// The counts from reading and decoding.
    pub read_counts: ReadCounts,
    /// How often its elements had a field or a value that is not known.
    pub unknown: UnknownCounts,
    /// The ids are believed new, so the batch may be copied directly into the table. The loader handles an id that
    /// exists.
    pub fresh: bool,
    /// The removals that the run may still make; none: no bound.
    pub removals: Option<Removals>,
}

/// Counts that only reading and decoding know.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ReadCounts {
    /// Elements read, repeats and rejects included.
    pub read: u64,
    /// Ids among them that this process had certainly not read before in this walk.
    pub new_ids: u64,
    /// Elements that were the same as the row in the table.
    pub unchanged: u64,
    /// Elements that are neither a row of the table nor a reject.
    pub elsewhere: u64,
    /// Characters replaced by U+FFFD.
    pub replaced_characters: u64,
    /// Dates of profiles that could not be read, and are null.
    pub unreadable_dates: u64,
}

impl ReadCounts {
    /// Adds the counts of other elements.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.new_ids += other.new_ids;
        self.unchanged += other.unchanged;
        self.elsewhere += other.elsewhere;
        self.replaced_characters += other.replaced_characters;
        self.unreadable_dates += other.unreadable_dates;
    }
}

impl Batch {
    /// Appends a later batch.
    pub fn append(&mut self, later: Self) {
        self.fresh &= later.fresh || (later.rows.is_empty() && later.children.is_empty());
        self.rows.append(later.rows);
        self.columns = self.columns.take().or(later.columns);
        self.treatment_version = self.treatment_version.max(later.treatment_version);
        self.children.append(later.children);
        self.seen.extend(later.seen);
        self.recorded.append(later.recorded);
        self.rehash.extend(later.rehash);
        self.aliases.extend(later.aliases);
        self.rejects.extend(later.rejects);
        self.events.extend(later.events);
        self.alternate_keys.extend(later.alternate_keys);
        self.former_keys.extend(later.former_keys);
        self.read_counts.add(&later.read_counts);
        self.unknown.merge(&later.unknown);
        self.removals = self.removals.take().or(later.removals);
    }

    /// Sets the time of the request for all of its rows.
    pub fn asked_at(&mut self, asked_at: Option<Time>) {
        self.rows.asked_at(asked_at);
        self.children.asked_at(asked_at);
    }

    /// The size of its rows and rejects, in bytes.
    pub fn size(&self) -> usize {
        let rejects: usize = self.rejects.iter().map(|reject| reject.raw.len()).sum();
        self.rows.size() + self.children.size() + rejects
    }

    /// Whether the batch has nothing to load.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.writes_nothing()
    }

    /// Whether everything that was read is stored as it came, and nothing is to be recorded.
    pub fn writes_nothing(&self) -> bool {
        self.rows.is_empty()
            && self.children.is_empty()
            && self.recorded.is_empty()
            && self.rehash.is_empty()
            && self.aliases.is_empty()
            && self.rejects.is_empty()
    }
}

/// An element that could not be loaded, for `sync.rejects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its id, if it could be read.
    pub element_id: Option<String>,
    /// The reason.
    pub reason: RejectReason,
    /// The details, for a person.
    pub detail: String,
    /// Its head as text (at most 64 KiB; NUL and broken UTF-8 as U+FFFD).
    pub raw: String,
    /// Its whole length in bytes.
    pub raw_bytes: u64,
    /// SHA-256 over the original bytes.
    pub sha256: [u8; 32],
}

/// A time range `(from, to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Exclusive.
    pub from: Time,
    /// Inclusive.
    pub to: Time,
}

/// The reason for a gap in audit events, with the words of `sync.gaps.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The events are older than the tenant's retention.
    Retention,
    /// More events in one millisecond than a page holds.
    Saturated,
    /// The events were hidden after a full page in newest-first order, or were left out after the tenant's limit.
    Unreachable,
    /// After an answer with this many elements, which was shorter than requested and not proven complete. Stored with the
    /// word of `Unreachable`.
    Doubtful(u64),
    /// The scan stopped before this range.
    Interrupted,
}

impl GapReason {
    /// The word in `sync.gaps.reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Saturated => "saturated",
            Self::Unreachable | Self::Doubtful(_) => "unreachable",
            Self::Interrupted => "interrupted",
        }
    }

    /// The number of elements of the answer that left the gap.
    pub const fn elements(self) -> Option<u64> {
        match self {
            Self::Doubtful(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Stored facts that help to decide whether an answer is complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanEvidence {
    /// The newest stored event up to the given date: a complete answer contains it again.
    pub event: Option<Time>,
    /// The number of elements of the answer that left the newest doubtful gap: the tenant may return no more at a time.
    pub doubt: Option<u64>,
}

/// The move of a cursor that commits with the last batch of a page that ended whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advance {
    /// The new position of the walk; none closes the walk.
    pub position: Option<Position>,
    /// The new watermark. It replaces a later stored watermark only if that lies ahead of both own clocks.
    pub watermark: Option<Time>,
    /// The segment that a complete full walk read; none leaves the stored segment.
    pub segment: Option<String>,
    /// The complete full walk that the watermark belongs to has read the timelines as well.
    pub timelines: bool,
    /// Gaps to record. A time range that is in a gap already is not recorded twice.
    pub gaps: Vec<(TimeRange, GapReason)>,
    /// The size of an answer: doubtful gaps whose answers were smaller were not cut by a cap.
    pub disproves: Option<u64>,
    /// Time ranges that are now covered: open gaps shrink by them, and close when nothing is left.
    pub covered: Vec<TimeRange>,
}

/// What a load wrote.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows changed.
    pub updated: u64,
    /// Staged rows that were the same as the stored ones, or were read earlier.
    pub unchanged: u64,
    /// Rows removed because they lost a merge.
    pub removed: u64,
    /// Rows whose `source_hash` alone was refreshed.
    pub rehashed: u64,
    /// Rows left out because their person was erased.
    pub suppressed: u64,
    /// Elements that were rejected.
    pub rejected: u64,
    /// Rejected elements that were not stored in `sync.rejects`, since its quota is used up.
    pub unrecorded: u64,
    /// Rows that were staged more than once; the newest copy of each is counted in its own place.
    pub repeated: u64,
    /// Rows among those inserted and changed that an increment had passed: their dates lie before [`super::walk::Walk`]'s
    /// `passed`.
    pub late: u64,
    /// The seconds by which the worst of them was late.
    pub late_by: Option<u64>,
}

impl Written {
    /// Adds the counts of another load.
    pub fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.rehashed += other.rehashed;
        self.suppressed += other.suppressed;
        self.rejected += other.rejected;
        self.unrecorded += other.unrecorded;
        self.repeated += other.repeated;
    }
}
