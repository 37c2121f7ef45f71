//! The port that asks the tenant one thing, once, and hides nothing of the answer. A probe uses it; runs use [`super::Source`].

use std::future::Future;
use std::pin::Pin;

use crate::model::examined::Examined;
use crate::model::fault::Outcome;
use crate::model::page::{Meter, Request};

/// A request that is under way.
pub type Examining<'a> = Pin<Box<dyn Future<Output = Outcome<Examined>> + Send + 'a>>;

/// Asks the tenant. The implementation handles tokens and throttling as for every request, and retries nothing but a refused token.
pub trait Examiner: Send + Sync {
    /// Sends a request and reads the whole answer, whatever its status. A fault means that no whole answer came.
    fn examine<'a>(&'a self, request: &'a Request, meter: &'a Meter) -> Examining<'a>;
}
