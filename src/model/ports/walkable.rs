//! The port to what is walked by cursor: profiles, which the tenant lists by segment.

use super::resource::Identified;
use crate::model::fault::Outcome;
use crate::model::page::{Lookup, Request};
use crate::model::position::CursorPosition;
use crate::model::segment::{Choice, SegmentCount};
use crate::model::verdict::Verdict;

/// A resource that is walked by cursor through a segment, and whose elements can be asked for by id.
pub trait Walkable: Identified {
    /// The request for the page at a position. `shrink` halves the page size so many times, down to
    /// [`crate::model::page::SMALLEST_PAGE`].
    fn page(&self, position: &CursorPosition, shrink: u32) -> Request;
    /// The properties that are asked for; empty means all. Fixed in a walk's position when it begins.
    fn selection(&self) -> Vec<String>;
    /// The request for one element by its id.
    fn lookup(&self, id: &str) -> Request;
    /// Reads the answer to a look-up of `id`, asked to know whether it is still in `segment`.
    fn verdict(&self, id: &str, segment: &str, found: &Lookup) -> Verdict;
    /// The listing that tells which segment to walk. `wanted` is the segment of a walk that is under way; none means
    /// the configured one.
    fn prelude(&self, wanted: Option<&str>) -> Box<dyn Prelude>;
    /// How the tenant counts it.
    fn census(&self) -> Box<dyn Census>;
}

/// A listing that is read before the walk itself.
pub trait Prelude: Send + Sync {
    /// The request for the page that begins at `start_index`; `shrink` halves its size so many times.
    fn request(&self, start_index: u64, shrink: u32) -> Request;
    /// Takes in one element; one may come twice.
    fn take(&mut self, element: &[u8]);
    /// What was learned: the segment to walk. `last`: the one that the last complete walk read, which comes before any
    /// other where the wanted one is not there.
    fn resolve(self: Box<Self>, last: Option<&str>) -> Outcome<Choice>;
}

/// How the tenant counts profiles: what `--verify` compares the tables with.
pub trait Census: Send + Sync {
    /// Reads an element of the listing of segments (the listing of the [`Prelude`]); none if it has no id.
    fn segment(&self, element: &[u8]) -> Option<SegmentCount>;
    /// The smallest request whose `totalResults` is the number of profiles in a segment; none if no address can hold
    /// its id.
    fn profiles_in(&self, segment: &str) -> Option<Request>;
}
