//! The port to a plain list: read whole by `startIndex`.

use super::resource::Identified;
use crate::model::page::Request;

/// A list that is read whole each time.
pub trait Listing: Identified {
    /// The request for the page that starts at `start_index`. `shrink` is the number of halvings of the page size, down to
    /// [`crate::model::page::SMALLEST_PAGE`].
    fn page(&self, start_index: u64, shrink: u32) -> Request;
}
