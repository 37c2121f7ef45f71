//! The port to resources that are read by date: audit events, which have no id.

use super::resource::Resource;
use crate::model::Time;
use crate::model::batch::Batch;
use crate::model::event::Rename;
use crate::model::page::Request;

/// A resource that is read by date, a page at a time.
pub trait Feed: Resource {
    /// The request for the page of elements newer than `from`. Its size is always [`Feed::page_size`], since the walk's
    /// conclusions from the order and the end of a page depend on it.
    fn page(&self, from: Time) -> Request;
    /// Elements per request.
    fn page_size(&self) -> u32;
    /// A decoder for the elements of one response. `renames`: the values that the tenant renamed.
    fn decoder(&self, renames: &[Rename]) -> Box<dyn FeedDecoder>;
}

/// Turns the elements of one response into rows.
pub trait FeedDecoder: Send {
    /// Decodes one element into the batch: a row or a reject.
    fn decode(&mut self, element: &[u8], into: &mut Batch);
    /// The dates of the decoded elements in order of arrival.
    fn dates(&self) -> &[Time];
}
