//! The port to the tenant: what sends requests, and the body that comes back. `blueconic` implements it.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::page::{Block, Head, Lookup, Meter, PageEnd, Request};

/// Reading from the tenant. Token, throttle and retries lie below it.
pub trait Source: Send + Sync + 'static {
    /// A body that is being read.
    type Page: Page;

    /// Sends the request and gives back the body once its headers are there. `attempt` > 0 says that the body of the
    /// last try broke off, or that the last try was [`crate::model::fault::Kind::Strained`]: wait first, and spend the same retry
    /// budget (an attempt too many is the last fault again).
    fn open(
        &self,
        request: &Request,
        attempt: u32,
        meter: &Meter,
    ) -> impl Future<Output = Outcome<Self::Page>> + Send;

    /// Asks for one object by id.
    fn one(&self, request: &Request, meter: &Meter) -> impl Future<Output = Lookup> + Send;
}

/// A streaming body: nothing is read from the socket between two calls of `next`.
pub trait Page: Send + 'static {
    /// The next whole elements; none at the end of the body.
    fn next(&mut self) -> impl Future<Output = Outcome<Option<Block>>> + Send;
    /// What stands in the envelope so far: enough to ask for the next page, never to store a position.
    fn so_far(&self) -> &Head;
    /// The proof that the body ended whole; a fault when it did not.
    fn finish(self) -> impl Future<Output = Outcome<PageEnd>> + Send;
}
