//! When to try again, how long to wait before, and when to give up. The only file that uses the `backoff` crate, so that
//! another one can take its place. It decides and waits; what is tried is not its business.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::blueconic::error::ClientError;
use crate::blueconic::steady::Steady;
use crate::config::settings::{Limits, Retry as Settings};
use crate::model::Time;

/// `Retry-After` is believed up to here.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);
/// An answer that is not the API's is repeated so many times: proxies show web pages while they restart.
const FOREIGN_REPEATS: u32 = 3;
/// Repeats for each request sent: an outage costs at most a tenth more than quiet times.
const SHARE: f64 = 0.1;
/// Repeats that may come at once after a quiet while.
const RESERVE: f64 = 10.0;

/// What all requests share: the delays, and the quota on repeats.
#[derive(Debug)]
pub(super) struct Retry {
    settings: Settings,
    quota: Mutex<Quota>,
    steady: Steady,
}

/// What one logical request has spent: kept across its repeats, also those after a body that broke off.
#[derive(Debug)]
pub(super) struct Budget {
    delays: ExponentialBackoff<SystemClock>,
    first_fault: Option<Duration>,
    tries: u32,
    foreign: u32,
}

impl Retry {
    pub(super) fn new(settings: Settings, limits: &Limits, steady: Steady) -> Self {
        let a_second = SHARE * f64::from(limits.requests_per_second.get());
        Self {
            settings,
            quota: Mutex::new(Quota::new(a_second, steady.now())),
            steady,
        }
    }

    /// The budget of a request that has not been sent yet.
    pub(super) fn budget(&self) -> Budget {
        // Full jitter: between nothing and the whole delay. The crate spreads evenly around its interval, so the
        // interval is half of the delay and the spread all of it.
        Budget {
            delays: ExponentialBackoff {
                current_interval: self.settings.initial_delay / 2,
                initial_interval: self.settings.initial_delay / 2,
                randomization_factor: 1.0,
                multiplier: 2.0,
                max_interval: self.settings.max_delay / 2,
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            },
            first_fault: None,
            tries: 0,
            foreign: 0,
        }
    }

    /// Notes a first try: it earns a share of a repeat.
    pub(super) fn earn(&self) {
        self.quota().earn();
    }

    /// Decides about a fault: how long to wait before the next try, or the error to give back.
    pub(super) fn wait_after(
        &self,
        budget: &mut Budget,
        fault: ClientError,
    ) -> Result<Duration, ClientError> {
        budget.tries += 1;
        if !fault.is_repeatable() {
            return Err(fault);
        }
        let fault = budget.settle(fault)?;
        let now = self.steady.now();
        let first = *budget.first_fault.get_or_insert(now);
        let spent = now.saturating_sub(first);
        let delay = budget.delays.next_backoff().unwrap_or(self.settings.max_delay);
        // What the tenant asks for, and some jitter on top, so that not all come back in the same moment.
        let wait = match fault.retry_after() {
            Some(asked) => asked + delay.min(self.settings.initial_delay),
            None => delay,
        };
        let wait = wait.max(self.quota().wait(now));
        if spent + wait > self.settings.give_up_after {
            return Err(budget.give_up(spent, fault));
        }
        self.quota().spend(now);
        Ok(wait)
    }

    /// Waits after a fault, or gives back the error when there is nothing to wait for.
    pub(super) async fn pause(&self, budget: &Mutex<Budget>, fault: ClientError) -> Result<(), ClientError> {
        let sentence = fault.to_string();
        let why = fault.why().unwrap_or_default();
        let (wait, tries) = {
            let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
            (self.wait_after(&mut budget, fault)?, budget.tries)
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(tries, wait_ms, why, "{sentence}; trying again in {wait_ms} ms");
        self.steady.sleep(wait).await;
        Ok(())
    }

    fn quota(&self) -> std::sync::MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budget {
    /// Goes on as if so many tries had failed before: for a request whose budget is no longer known.
    pub(super) fn skip(&mut self, tries: u32) {
        for _ in 0..tries.min(64) {
            let _ = self.delays.next_backoff();
        }
        self.tries = tries;
    }

    /// An answer that is foreign again and again is no accident.
    fn settle(&mut self, fault: ClientError) -> Result<ClientError, ClientError> {
        let ClientError::Foreign { call, why, .. } = fault else {
            return Ok(fault);
        };
        self.foreign += 1;
        let settled = self.foreign > FOREIGN_REPEATS;
        let fault = ClientError::Foreign { call, why, settled };
        if settled { Err(fault) } else { Ok(fault) }
    }

    fn give_up(&self, spent: Duration, last: ClientError) -> ClientError {
        ClientError::GaveUp {
            tries: self.tries,
            spent,
            last: Box::new(last),
        }
    }
}

/// A bucket of repeats, filled by time and by requests. Waiting draws on the future, so repeats queue up in order.
#[derive(Debug)]
struct Quota {
    a_second: f64,
    left: f64,
    at: Duration,
}

impl Quota {
    fn new(a_second: f64, now: Duration) -> Self {
        Self {
            a_second,
            left: RESERVE,
            at: now,
        }
    }

    fn earn(&mut self) {
        self.left = (self.left + SHARE).min(RESERVE);
    }

    /// How long until the next repeat is allowed.
    fn wait(&mut self, now: Duration) -> Duration {
        self.refill(now);
        if self.left >= 1.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64((1.0 - self.left) / self.a_second).unwrap_or(Duration::MAX)
    }

    fn spend(&mut self, now: Duration) {
        self.refill(now);
        self.left -= 1.0;
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * self.a_second).min(RESERVE);
        self.at = now;
    }
}

/// Reads `Retry-After`: seconds, or an HTTP date. What is longer than is believed is cut.
pub(super) fn parse_retry_after(header: &str, wall: Time) -> Option<Duration> {
    let header = header.trim();
    let asked = if let Ok(seconds) = header.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let date = Time::from(httpdate::parse_http_date(header).ok()?);
        (date - wall).to_std().unwrap_or_default()
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}
