//! Remembers what requests have spent while their bodies are read: a body that breaks off is repeated by the engine,
//! through a new call, and must find the budget that its request has left.

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
    /// When it was last asked for, or its body began.
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

    /// What makes two requests the same: the same place of the same listing, whatever the size of the page.
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
        // A walk that was given up leaves its request behind; nobody comes back for it after this.
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

    /// A request whose last body could not be used, and why; a `new` budget when it is not known any more.
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

    /// The body has begun: from here on it is read.
    pub(super) fn body_started(&mut self, key: &str, now: Duration) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.last_used = now;
            entry.reading = true;
        }
    }

    /// Notes why the answer, or the body that was being read, cannot be used.
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
