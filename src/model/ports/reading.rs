//! The port to the tenant: requests and their bodies. `blueconic` implements it.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::page::{Block, Head, Lookup, Meter, PageEnd, Request};

/// Reads from the tenant. The implementation handles tokens, throttling and retries.
pub trait Source: Send + Sync + 'static {
    /// A body that is being read.
    type Page: Page;

    /// Sends the request and returns the body once its headers have arrived. `attempt` > 0: the body of the last attempt broke
    /// off, or the last attempt was [`crate::model::fault::Kind::Strained`]. The implementation then waits first and uses the
    /// same retry budget; with a spent budget it returns the last fault.
    fn open(
        &self,
        request: &Request,
        attempt: u32,
        meter: &Meter,
    ) -> impl Future<Output = Outcome<Self::Page>> + Send;

    /// Requests one object by id.
    fn one(&self, request: &Request, meter: &Meter) -> impl Future<Output = Lookup> + Send;
}

/// A streaming body: nothing is read from the socket between two calls of `next`.
pub trait Page: Send + 'static {
    /// The next whole elements; none at the end of the body.
    fn next(&mut self) -> impl Future<Output = Outcome<Option<Block>>> + Send;
    /// The envelope so far: enough to request the next page, never to store a position.
    fn so_far(&self) -> &Head;
    /// The proof that the body ended whole; a fault if it did not.
    fn finish(self) -> impl Future<Output = Outcome<PageEnd>> + Send;
}
