//! Keeps the retry budgets of requests whose bodies are being read. The engine repeats a broken body through a new
//! call, which must find the budget of the first one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::blueconic::error::ClientError;
use crate::blueconic::retry::Budget;
use crate::model::page::Request;

/// The budgets of requests whose bodies are being read.
pub(super) struct RetryBudgets {
    give_up_after: Duration,
    entries: HashMap<String, Entry>,
}

struct Entry {
    budget: Arc<Mutex<Budget>>,
    fault: Option<ClientError>,
    /// The time of its last request, or of the start of its body.
    last_used: Duration,
    /// Whether its body had begun.
    reading: bool,
}

impl RetryBudgets {
    pub(super) fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            entries: HashMap::new(),
        }
    }

    /// The key of a request: its place in the listing, without the page size.
    pub(super) fn key(request: &Request) -> String {
        let mut key = request.path.clone();
        for (name, value) in request.query.iter().filter(|(name, _)| *name != "count") {
            key.push('\n');
            key.push_str(name);
            key.push('=');
            key.push_str(value);
        }
        key
    }

    /// A request that is sent for the first time.
    pub(super) fn begin(&mut self, key: &str, budget: Budget, now: Duration) -> Arc<Mutex<Budget>> {
        // An entry of an abandoned walk is removed after this time.
        let kept = self.give_up_after + Duration::from_hours(1);
        self.entries
            .retain(|_, entry| now.saturating_sub(entry.last_used) < kept);
        let budget = Arc::new(Mutex::new(budget));
        let entry = Entry {
            budget: Arc::clone(&budget),
            fault: None,
            last_used: now,
            reading: false,
        };
        self.entries.insert(key.to_owned(), entry);
        budget
    }

    /// Continues a request whose last body failed. Returns its budget and the reason; a `new` budget if the request is
    /// unknown.
    pub(super) fn resume(
        &mut self,
        key: &str,
        now: Duration,
        new: impl FnOnce() -> Budget,
    ) -> (Arc<Mutex<Budget>>, Option<ClientError>) {
        if let Some(entry) = self.entries.get_mut(key) {
            let reading = now.saturating_sub(entry.last_used);
            entry.last_used = now;
            if std::mem::take(&mut entry.reading) {
                let mut budget = entry.budget.lock().unwrap_or_else(PoisonError::into_inner);
                budget.excuse(reading);
            }
            return (Arc::clone(&entry.budget), entry.fault.take());
        }
        (self.begin(key, new(), now), None)
    }

    /// The body has started to arrive.
    pub(super) fn body_started(&mut self, key: &str, now: Duration) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.last_used = now;
            entry.reading = true;
        }
    }

    /// Records why the answer or its body cannot be used.
    pub(super) fn note(&mut self, key: &str, fault: ClientError) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.fault = Some(fault);
        }
    }

    /// The body ended whole, or the request has failed for good.
    pub(super) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}
