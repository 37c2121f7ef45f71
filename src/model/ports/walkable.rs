//! The port to resources that are walked by cursor: profiles, which the tenant lists by segment.

use std::sync::Arc;

use super::resource::Identified;
use crate::model::fault::Outcome;
use crate::model::page::{Lookup, Request};
use crate::model::personal_data::{Policy, Treated, Treatment};
use crate::model::position::CursorPosition;
use crate::model::property_columns::{PropertyColumns, StoredProfile, WantedColumns};
use crate::model::recorded_histories::WantedHistories;
use crate::model::rows::Rows;
use crate::model::scrub::StoredContent;
use crate::model::segment::{Choice, SegmentCount};
use crate::model::verdict::Verdict;

/// A resource that is walked by cursor through a segment, and whose elements can be looked up by id.
pub trait Walkable: Identified {
    /// The request for the page at a position. `shrink` is the number of halvings of the page size, down to
    /// [`crate::model::page::SMALLEST_PAGE`].
    fn page(&self, position: &CursorPosition, shrink: u32) -> Request;
    /// The requested properties; empty means all. A walk's position fixes them at its start.
    fn selection(&self) -> Vec<String>;
    /// Whether pages and look-ups ask for timelines.
    fn reads_timelines(&self) -> bool;
    /// The request for one element by its id.
    fn lookup(&self, id: &str) -> Request;
    /// The verdict from a look-up of `id`, which asks whether the profile is still in `segment`.
    fn verdict(&self, id: &str, segment: &str, found: &Lookup) -> Verdict;
    /// The rules about personal data.
    fn policy(&self) -> &Policy;
    /// The same resource, which hashes and drops values so.
    fn with_treatment(&self, treated: Treated) -> Arc<dyn Walkable>;
    /// Stored profiles whose values are hashed and dropped after the fact: rows of id, properties and content hash, with their typed
    /// columns beside them.
    fn rows_of_scrubbed(&self, scrub: &Treatment, profiles: &[StoredContent]) -> Outcome<Rows>;
    /// The typed columns that the settings want.
    fn wanted_columns(&self) -> WantedColumns;
    /// The histories that the settings want.
    fn wanted_histories(&self) -> WantedHistories;
    /// Whether sizes by day are measured.
    fn wants_daily_facts(&self) -> bool;
    /// The same resource, whose rows have these typed columns beside them.
    fn with_columns(&self, columns: Option<Arc<PropertyColumns>>) -> Arc<dyn Walkable>;
    /// The typed columns of stored profiles, beside rows without a field. An error names a profile whose properties cannot be read.
    fn rows_of_stored(&self, profiles: &[StoredProfile]) -> Outcome<Rows>;
    /// Reads the listing of segments and chooses the one to walk. `wanted` is the segment of an open walk; none means
    /// the configured one.
    fn segment_resolver(&self, wanted: Option<&str>) -> Box<dyn SegmentResolver>;
    /// Asks the tenant for its counts.
    fn segment_counter(&self) -> Box<dyn SegmentCounter>;
}

/// Chooses the segment of a walk from the listing of segments, which is read before the walk.
pub trait SegmentResolver: Send + Sync {
    /// The request for the page that starts at `start_index`, with `shrink` halvings of its size.
    fn request(&self, start_index: u64, shrink: u32) -> Request;
    /// Takes one element of the listing; an element may come twice.
    fn take(&mut self, element: &[u8]);
    /// Chooses the segment. Where the wanted segment is not listed, `last`, the segment of the last complete walk, is
    /// preferred to any other.
    fn resolve(self: Box<Self>, last: Option<&str>) -> Outcome<Choice>;
}

/// Reads how many profiles the tenant counts; `--verify` compares the tables with these counts.
pub trait SegmentCounter: Send + Sync {
    /// Reads an element of the listing of segments (the listing that the [`SegmentResolver`] reads); none if it has no id.
    fn segment(&self, element: &[u8]) -> Option<SegmentCount>;
    /// The smallest request whose `totalResults` is the number of profiles in a segment; none if no address can hold
    /// its id.
    fn profiles_in(&self, segment: &str) -> Option<Request>;
}
