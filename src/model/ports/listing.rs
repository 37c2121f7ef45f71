//! The port to a plain list: read whole by `startIndex`, or walked by `cursor`.

use std::sync::Arc;

use super::resource::Identified;
use crate::model::Time;
use crate::model::history::History;
use crate::model::page::{Lookup, Request};
use crate::model::table::Table;
use crate::model::verdict::Verdict;

/// A list that is read whole each time: one listing, or a listing for each parent, which is a row of another list or a URL of the settings.
pub trait Listing: Identified {
    /// The request for the page that starts at `start_index`. `shrink` is the number of halvings of the page size, down to
    /// [`crate::model::page::SMALLEST_PAGE`]. Of a list with parents, only the listing of one parent has pages.
    fn page(&self, start_index: u64, shrink: u32) -> Request;
    /// Whether the listing has pages; otherwise one answer holds all of it.
    fn is_paged(&self) -> bool;
    /// Whether the listing is paged by `cursor`: see the methods below.
    fn is_by_cursor(&self) -> bool;
    /// Whether rows stay that the tenant no longer lists.
    fn keeps(&self) -> bool;
    /// Whether a tenant may lack the list.
    fn is_optional(&self) -> bool;
    /// The table of the parents; none: no listing follows from stored rows.
    fn parents(&self) -> Option<&'static Table>;
    /// The list itself, or the listings that follow from its parents; `parents` has the ids of stored ones. `complete` is when the list was last read completely, `now` the
    /// current time. A parent that no request can name has none.
    fn listings(&self, parents: &[String], complete: Option<Time>, now: Time) -> Vec<Arc<dyn Listing>>;
    /// What this listing is about; empty where the list has one listing.
    fn about(&self) -> String;
    /// Of a listing that is paged by `cursor`: the request for the page at a cursor, as [`Listing::page`] otherwise.
    fn page_at(&self, cursor: &str, shrink: u32) -> Request;
    /// Of a list that is paged by `cursor`: the listing of an element, by the id under which a walk saw it.
    fn listing_of(&self, id: &str) -> Arc<dyn Listing>;
    /// Of a list that is paged by `cursor`: the request for one element, by the id under which a walk saw it.
    fn lookup(&self, id: &str) -> Request;
    /// The verdict from a look-up of `id`.
    fn verdict(&self, id: &str, found: &Lookup) -> Verdict;
    /// Of a list that reads each parent's listing as a whole: what reads an answer.
    fn history(&self) -> Option<&'static dyn History>;
    /// Of such a list: the request for the listing of a parent from an item on; none for a parent that no request can name.
    fn history_of(&self, parent: &str, start_index: u64) -> Option<Request>;
}
