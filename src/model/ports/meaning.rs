//! The port to what a resource means: requests, decoding, and the listings read beside it. `resources` implements it,
//! without I/O.

use crate::model::Time;
use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::event::Rename;
use crate::model::fault::Outcome;
use crate::model::page::{Broken, Lookup, Request};
use crate::model::position::Position;
use crate::model::segment::{Choice, SegmentCount};
use crate::model::table::Table;
use crate::model::verdict::Verdict;

/// One kind of record: where it is read, how it is decoded, which table it fills. No I/O.
pub trait Resource: Send + Sync + 'static {
    /// Its name, which is its table's: `segments`, `profile_properties`, `profiles`, `audit_events`.
    fn name(&self) -> &'static str;
    /// The table that it fills.
    fn table(&self) -> &'static Table;
    /// The request for the page at a position. `shrink` halves the page size so many times, down to
    /// [`crate::model::page::SMALLEST_PAGE`].
    fn request(&self, position: &Position, shrink: u32) -> Request;
    /// The smallest request that shows whether the tenant allows this resource (`check` sends it).
    fn trial_request(&self) -> Request;
    /// The request for one element by its id, where the tenant has one.
    fn lookup(&self, id: &str) -> Option<Request>;
    /// Reads the answer to a look-up of `id`, asked to know whether it is still in `segment`.
    fn verdict(&self, id: &str, segment: &str, found: &Lookup) -> Verdict;
    /// How the tenant counts this resource, where it counts it by segment; none for a list, which is counted by reading.
    fn census(&self) -> Option<Box<dyn Census>>;
    /// What the engine has to learn before it can read (profiles: which segment to walk). `wanted` is the segment of a
    /// walk that is under way; none means the configured one.
    fn prelude(&self, wanted: Option<&str>) -> Option<Box<dyn Prelude>>;
    /// The id and the hash over the bytes, without decoding. An element without identity of its own (audit events)
    /// has an empty id.
    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject>;
    /// The reject for an element that the reader could not cut off.
    fn broken(&self, broken: &Broken) -> Reject;
    /// A decoder, with what it remembers from one element to the next: one per lane, or per response.
    fn decoder(&self) -> Box<dyn Decoder>;
    /// The properties that are asked for; empty means all. Fixed in a walk's position when it begins.
    fn selection(&self) -> Vec<String>;
}

/// Turns elements into rows.
pub trait Decoder: Send {
    /// Decodes one element into the batch: a row, a refreshed hash, or a reject. `known` is never [`Known::Same`].
    fn decode(&mut self, element: &[u8], print: Fingerprint, known: Known, into: &mut Batch);
    /// Tells of values that the tenant renamed, before anything is decoded.
    fn renamed(&mut self, _renames: &[Rename]) {}
    /// The dates of the decoded elements in order of arrival, since the decoder was made; empty unless they matter.
    fn dates(&self) -> &[Time];
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
