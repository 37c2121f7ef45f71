//! Logs an outage once when it begins and once when it ends, however many attempts fail meanwhile.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::model::fault::{Fault, Outcome};

/// Whether the schedule can read and write its rows.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Records the outcome of an attempt.
    pub(super) fn note<T>(&self, outcome: &Outcome<T>) {
        match outcome {
            Ok(_) => self.over(),
            Err(fault) => self.continues(fault),
        }
    }

    fn over(&self) {
        if let Some(since) = self.since().take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(
                seconds,
                "the schedule can be read and written again, after {seconds} s"
            );
        }
    }

    fn continues(&self, fault: &Fault) {
        let first = {
            let mut since = self.since();
            let first = since.is_none();
            since.get_or_insert_with(Instant::now);
            first
        };
        let hint = fault
            .hint
            .as_deref()
            .unwrap_or("nothing needs to be done if it passes");
        if first {
            tracing::warn!(
                hint,
                "the schedule cannot be read or written, and is tried again: {fault}"
            );
        } else {
            tracing::debug!("the schedule still cannot be read or written: {fault}");
        }
    }

    fn since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
