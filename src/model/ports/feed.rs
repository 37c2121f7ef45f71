//! The port to what is read by date: audit events, which have no id.

use super::resource::Resource;
use crate::model::Time;
use crate::model::batch::Batch;
use crate::model::event::Rename;
use crate::model::page::Request;

/// A resource that is read by date, a page at a time.
pub trait Feed: Resource {
    /// The request for the page of what is newer than `from`. Its size is always [`Feed::page_size`]: a smaller page
    /// would change what its order and its end mean.
    fn page(&self, from: Time) -> Request;
    /// Elements asked for at once.
    fn page_size(&self) -> u32;
    /// A decoder for the elements of one response, in which the tenant has renamed these values.
    fn decoder(&self, renames: &[Rename]) -> Box<dyn FeedDecoder>;
}

/// Turns the elements of one response into rows.
pub trait FeedDecoder: Send {
    /// Decodes one element into the batch: a row or a reject.
    fn decode(&mut self, element: &[u8], into: &mut Batch);
    /// The dates of the decoded elements in order of arrival.
    fn dates(&self) -> &[Time];
}
