//! One page of a listing as a stream: chunks from the socket go into [`Elements`], blocks of elements come out. The
//! page holds its throttle permit until it is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::Span;

use crate::blueconic::elements::{Elements, Malformed};
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::incoming::Incoming;
use crate::blueconic::retry_budgets::RetryBudgets;
use crate::blueconic::status::Patience;
use crate::blueconic::throttle::Permit;
use crate::model::fault::{Fault, Outcome};
use crate::model::page::{Block, Head, Meter, PageEnd};
use crate::model::ports::Page;
use crate::model::spans;

/// A body that is being read. Nothing is read from the socket between two calls of `next`.
pub struct StreamedPage {
    body: Incoming,
    elements: Elements,
    trace: Trace,
    meter: Meter,
    _permit: Permit,
}

/// The link from a page to its request: a body that breaks off is charged to the retry budget of that request.
pub(super) struct Trace {
    pub(super) call: String,
    pub(super) key: String,
    pub(super) retry_budgets: Arc<Mutex<RetryBudgets>>,
    /// Records that the tenant itself has answered.
    pub(super) http: Http,
    /// The span of the page in traces.
    pub(super) span: Span,
}

impl Trace {
    /// Records why the body is incomplete, so that the retry knows the reason.
    fn fault(&self, error: ClientError) -> Fault {
        spans::page_failed(&self.span);
        let mut retry_budgets = self.retry_budgets.lock().unwrap_or_else(PoisonError::into_inner);
        retry_budgets.note(&self.key, error.clone());
        error.into()
    }

    fn malformed(&self, malformed: Malformed) -> Fault {
        let call = self.call.clone();
        self.fault(match malformed {
            Malformed::Foreign { why } => ClientError::Foreign {
                call,
                why,
                patience: Patience::Few,
            },
            garbled @ Malformed::Garbled { .. } => ClientError::Garbled {
                call,
                why: garbled.to_string(),
            },
        })
    }

    fn done(&self) {
        self.http.prove();
        let mut retry_budgets = self.retry_budgets.lock().unwrap_or_else(PoisonError::into_inner);
        retry_budgets.forget(&self.key);
    }
}

impl StreamedPage {
    pub(super) fn new(
        body: Incoming,
        elements: Elements,
        trace: Trace,
        meter: Meter,
        permit: Permit,
    ) -> Self {
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
        spans::page_ended(&self.trace.span, end.elements());
        self.trace.http.traffic().page.observe(end.elements());
        Ok(end)
    }
}
