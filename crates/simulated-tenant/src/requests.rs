//! The log of requests, for tests: every request with its answer, and the number of concurrent ones. Headers
//! and bodies are not kept, so the log holds no secret.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Uri;

use crate::faults::Route;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The operation.
    pub route: Route,
    /// The method, upper case.
    pub method: String,
    /// The path, still encoded.
    pub path: String,
    /// The query, still encoded, without the question mark.
    pub query: String,
    /// The status; `None`: no answer was given, or not yet.
    pub status: Option<u16>,
    /// When it arrived, in milliseconds since 1970 by the tenant's clock.
    pub at: i64,
}

/// The log of requests.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<Request>,
    /// The number of requests before the first one in the log.
    forgotten: usize,
    under_way: HashMap<Route, Concurrency>,
    all: Concurrency,
    /// The last answer of each route.
    answered: HashMap<Route, Uri>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Concurrency {
    now: usize,
    most: usize,
}

impl Concurrency {
    fn enter(&mut self) {
        self.now += 1;
        self.most = self.most.max(self.now);
    }
}

/// An open request; it ends when its body was sent or aborted, and this value is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    log: Arc<Mutex<Log>>,
    route: Route,
    at: usize,
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    pub(crate) fn begin(&self, request: Request) -> UnderWay {
        let mut log = lock(&self.log);
        let route = request.route;
        log.all.enter();
        log.under_way.entry(route).or_default().enter();
        log.requests.push(request);
        UnderWay {
            log: Arc::clone(&self.log),
            route,
            at: log.forgotten + log.requests.len() - 1,
        }
    }

    /// The request to answer: this one, or, with a stale cache, the previous one.
    pub(crate) fn answering(&self, route: Route, asked: &Uri, stale: bool) -> Uri {
        let mut log = lock(&self.log);
        if stale && let Some(before) = log.answered.get(&route) {
            return before.clone();
        }
        log.answered.insert(route, asked.clone());
        asked.clone()
    }

    /// All requests since the start, or since the log was cleared.
    pub fn all(&self) -> Vec<Request> {
        lock(&self.log).requests.clone()
    }

    /// The requests of one route.
    pub fn of(&self, route: Route) -> Vec<Request> {
        lock(&self.log)
            .requests
            .iter()
            .filter(|request| request.route == route)
            .cloned()
            .collect()
    }

    /// The number of requests of one route.
    pub fn count(&self, route: Route) -> usize {
        lock(&self.log)
            .requests
            .iter()
            .filter(|request| request.route == route)
            .count()
    }

    /// The most concurrent requests.
    pub fn most_at_once(&self) -> usize {
        lock(&self.log).all.most
    }

    /// The most concurrent requests of one route.
    pub fn most_at_once_of(&self, route: Route) -> usize {
        lock(&self.log)
            .under_way
            .get(&route)
            .map_or(0, |concurrency| concurrency.most)
    }

    /// The number of open requests, bodies included.
    pub fn under_way(&self) -> usize {
        lock(&self.log).all.now
    }

    /// Starts a new log. Open requests still count as open.
    pub fn forget(&self) {
        let mut log = lock(&self.log);
        log.forgotten += log.requests.len();
        log.requests.clear();
        log.all.most = log.all.now;
        for concurrency in log.under_way.values_mut() {
            concurrency.most = concurrency.now;
        }
    }
}

impl UnderWay {
    pub(crate) fn answered(&self, status: u16) {
        let mut log = lock(&self.log);
        // The log may have been cleared meanwhile; then there is no entry to change.
        let at = self.at.checked_sub(log.forgotten);
        if let Some(request) = at.and_then(|at| log.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut log = lock(&self.log);
        log.all.now -= 1;
        if let Some(concurrency) = log.under_way.get_mut(&self.route) {
            concurrency.now -= 1;
        }
    }
}
