//! One page of a listing as a stream: chunks from the socket go into the walker over elements, blocks come out. The leave
//! to have a request under way lives as long as the page does.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::Response;

use crate::blueconic::elements::{Elements, Malformed};
use crate::blueconic::error::ClientError;
use crate::blueconic::repeats::Repeats;
use crate::blueconic::throttle::Permit;
use crate::model::fault::{Fault, Outcome};
use crate::model::page::{Block, Head, Meter, PageEnd};
use crate::model::ports::Page;

/// A body that is being read. Nothing is read from the socket between two calls of `next`.
pub struct StreamedPage {
    body: Body,
    elements: Elements,
    trace: Trace,
    meter: Meter,
    _permit: Permit,
}

/// A response whose first bytes have been looked at.
pub(super) struct Body {
    pub(super) response: Response,
    pub(super) first: Option<Bytes>,
}

/// What ties a page to its request: a body that breaks off is a fault of that request, on its budget.
pub(super) struct Trace {
    pub(super) call: String,
    pub(super) key: String,
    pub(super) repeats: Arc<Mutex<Repeats>>,
}

impl Body {
    /// The next bytes; none at a clean end.
    pub(super) async fn chunk(&mut self, call: &str) -> Result<Option<Bytes>, ClientError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| ClientError::transport(call, error))
    }
}

impl Trace {
    /// Notes why the body is no whole one, so that the repeat knows what it repeats.
    fn fault(&self, error: ClientError) -> Fault {
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        repeats.note(&self.key, error.clone());
        error.into()
    }

    fn malformed(&self, malformed: Malformed) -> Fault {
        let call = self.call.clone();
        self.fault(match malformed {
            Malformed::Foreign { why } => ClientError::Foreign {
                call,
                why,
                settled: false,
            },
            garbled @ Malformed::Garbled { .. } => ClientError::Garbled {
                call,
                why: garbled.to_string(),
            },
        })
    }

    fn done(&self) {
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        repeats.forget(&self.key);
    }
}

impl StreamedPage {
    pub(super) fn new(body: Body, elements: Elements, trace: Trace, meter: Meter, permit: Permit) -> Self {
        Self {
            body,
            elements,
            trace,
            meter,
            _permit: permit,
        }
    }

    async fn gather(&mut self) -> Result<(), ClientError> {
        while self.elements.is_hungry() {
            let Some(chunk) = self.body.chunk(&self.trace.call).await? else {
                self.elements.end();
                return Ok(());
            };
            self.meter.bytes(chunk.len() as u64);
            self.elements.push(&chunk);
        }
        Ok(())
    }
}

impl Page for StreamedPage {
    async fn next(&mut self) -> Outcome<Option<Block>> {
        loop {
            self.gather().await.map_err(|error| self.trace.fault(error))?;
            let block = self.elements.take().map_err(|why| self.trace.malformed(why))?;
            if block.is_some() || self.elements.is_over() {
                return Ok(block);
            }
        }
    }

    fn so_far(&self) -> &Head {
        self.elements.head()
    }

    async fn finish(self) -> Outcome<PageEnd> {
        let end = self.elements.whole().map_err(|why| self.trace.malformed(why))?;
        self.trace.done();
        Ok(end)
    }
}
