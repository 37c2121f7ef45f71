//! A question: its name, what it asks, what this program assumes, and how it is asked.

use std::future::Future;
use std::pin::Pin;

use super::found::Answer;
use super::prober::Prober;

/// A question that is being asked.
pub(super) type Asking<'p> = Pin<Box<dyn Future<Output = Answer> + Send + 'p>>;

/// A question.
pub(super) struct Question {
    /// Its name in the report.
    pub(super) name: &'static str,
    /// What it asks.
    pub(super) asks: &'static str,
    /// The answer that this program assumes.
    pub(super) assumed: &'static str,
    /// Asks it.
    pub(super) ask: for<'p> fn(&'p mut Prober<'_>) -> Asking<'p>,
}
