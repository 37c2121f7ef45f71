//! Decides whether to retry a request, how long to wait before, and when to give up. The only file that uses the
//! `backoff` crate, so that it can be replaced.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::blueconic::error::ClientError;
use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::status::Patience;
use crate::config::settings::{Limits, Retry as Settings};
use crate::model::Time;

/// The longest wait that is accepted from `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);
/// Retries after an answer that is not the API's: proxies show web pages while they restart.
const FOREIGN_REPEATS: u32 = 3;
/// The number of broken bodies whose reading time is not counted against the budget: after a body of half an hour, more
/// than one retry must be possible.
const EXCUSED_BODIES: u32 = 5;
/// Retries per request sent: an outage adds at most a tenth to the usual rate.
const SHARE: f64 = 0.1;
/// Retries that may be sent at once after a quiet period.
const RESERVE: f64 = 10.0;

/// The delays and the quota on retries, which all requests share.
#[derive(Debug)]
pub(super) struct Retry {
    settings: Settings,
    quota: Mutex<Quota>,
    monotonic: MonotonicClock,
}

/// The retry budget that one logical request has spent.
#[derive(Debug)]
pub(super) struct Budget {
    delays: ExponentialBackoff<SystemClock>,
    first_fault: Option<Duration>,
    tries: u32,
    foreign: u32,
    bodies: u32,
}

impl Retry {
    pub(super) fn new(settings: Settings, limits: &Limits, monotonic: MonotonicClock) -> Self {
        let a_second = SHARE * f64::from(limits.requests_per_second.get());
        Self {
            settings,
            quota: Mutex::new(Quota::new(a_second, monotonic.now())),
            monotonic,
        }
    }

    /// The budget of a request that has not been sent yet.
    pub(super) fn budget(&self) -> Budget {
        // Full jitter, between zero and the whole delay: the crate spreads evenly around its interval, so the interval
        // is half of the delay and the spread is the whole interval.
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
            bodies: 0,
        }
    }

    /// Notes a first attempt, which earns a share of a retry.
    pub(super) fn earn(&self) {
        self.quota().earn();
    }

    /// Counts the time from now on against the budget, though the request has met no fault: it waits for the end of an outage.
    pub(super) fn begin_waiting(&self, budget: &Mutex<Budget>) {
        let now = self.monotonic.now();
        let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.first_fault.get_or_insert(now);
    }

    /// Decides about a fault: returns the wait before the next attempt, of `least` at least, or the final error.
    fn wait_after(
        &self,
        least: Duration,
        budget: &mut Budget,
        fault: ClientError,
    ) -> Result<Duration, ClientError> {
        budget.tries += 1;
        if !fault.is_repeatable() {
            return Err(fault);
        }
        let fault = budget.charge(fault)?;
        let now = self.monotonic.now();
        let first = *budget.first_fault.get_or_insert(now);
        let spent = now.saturating_sub(first);
        let delay = budget.delays.next_backoff().unwrap_or(self.settings.max_delay);
        // The wait that the tenant asks for, plus jitter, so that requests do not all return at the same moment.
        let wait = match fault.retry_after() {
            Some(asked) => asked + delay.min(self.settings.initial_delay),
            None => delay,
        };
        let wait = wait.max(self.quota().wait(now)).max(least);
        if spent + wait > self.settings.give_up_after {
            return Err(budget.give_up(spent, fault));
        }
        self.quota().spend(now);
        Ok(wait)
    }

    /// Waits after a fault; returns the error if there is nothing to wait for.
    pub(super) async fn pause(&self, budget: &Mutex<Budget>, fault: ClientError) -> Result<(), ClientError> {
        self.pause_at_least(Duration::ZERO, budget, fault).await
    }

    /// The same, for `least` at least.
    pub(super) async fn pause_at_least(
        &self,
        least: Duration,
        budget: &Mutex<Budget>,
        fault: ClientError,
    ) -> Result<(), ClientError> {
        let sentence = fault.to_string();
        let why = fault.why().unwrap_or_default();
        let (wait, tries) = {
            let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
            (self.wait_after(least, &mut budget, fault)?, budget.tries)
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(tries, wait_ms, why, "{sentence}; trying again in {wait_ms} ms");
        self.monotonic.sleep(wait).await;
        Ok(())
    }

    fn quota(&self) -> std::sync::MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budget {
    /// Counts `tries` failed attempts: for a request whose budget is no longer known.
    pub(super) fn skip(&mut self, tries: u32) {
        for _ in 0..tries.min(64) {
            let _ = self.delays.next_backoff();
        }
        self.tries = tries;
    }

    /// Excludes the time for which a broken body was read.
    pub(super) fn excuse(&mut self, reading: Duration) {
        self.bodies += 1;
        if let Some(first) = self
            .first_fault
            .as_mut()
            .filter(|_| self.bodies <= EXCUSED_BODIES)
        {
            *first += reading;
        }
    }

    /// Charges a fault to the budget. An answer that keeps coming from something else becomes final.
    fn charge(&mut self, mut fault: ClientError) -> Result<ClientError, ClientError> {
        let Some(patience) = fault.patience().filter(|patience| **patience == Patience::Few) else {
            return Ok(fault);
        };
        self.foreign += 1;
        if self.foreign <= FOREIGN_REPEATS {
            return Ok(fault);
        }
        *patience = Patience::Over;
        Err(fault)
    }

    fn give_up(&self, spent: Duration, last: ClientError) -> ClientError {
        ClientError::GaveUp {
            tries: self.tries,
            spent,
            last: Box::new(last),
        }
    }
}

/// A token bucket of retries, filled by time and by requests. Waiting borrows from the future, so retries queue up in
/// order.
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

    /// The time until the next retry is allowed.
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

/// Reads `Retry-After`: seconds (`2.5` becomes 3) or an HTTP date, up to the longest accepted wait.
pub(super) fn parse_retry_after(header: &str, wall: Time) -> Option<Duration> {
    let header = header.trim();
    let asked = if let Ok(seconds) = header.parse::<u64>() {
        Duration::from_secs(seconds)
    } else if let Some(seconds) = fraction(header) {
        seconds
    } else {
        let date = Time::from(httpdate::parse_http_date(header).ok()?);
        (date - wall).to_std().unwrap_or_default()
    };
    Some(asked.min(LONGEST_RETRY_AFTER))
}

/// Seconds with a fraction, rounded up.
fn fraction(text: &str) -> Option<Duration> {
    let is_plain = text.bytes().all(|one| one.is_ascii_digit() || one == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| is_plain)?;
    Some(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use std::num::NonZeroU32;

    use super::*;
    use crate::blueconic::monotonic_clock::manual::ManualClock;

    fn retry(monotonic: MonotonicClock, initial: u64, longest: u64, give_up_after: u64) -> Retry {
        let settings = Settings {
            initial_delay: Duration::from_secs(initial),
            max_delay: Duration::from_secs(longest),
            give_up_after: Duration::from_secs(give_up_after),
        };
        let limits = Limits {
            requests_per_second: NonZeroU32::new(5).unwrap(),
            burst: NonZeroU32::MIN,
            concurrent_requests: NonZeroU32::MIN,
            requests_per_month: None,
            traffic_per_month: None,
            element_size: 1,
            batch_size: 1,
            memory: 1,
        };
        Retry::new(settings, &limits, monotonic)
    }

    fn overload(retry_after: Option<Duration>) -> ClientError {
        ClientError::Status {
            call: "GET /p".to_owned(),
            status: 503,
            message: String::new(),
            retry_after,
        }
    }

    #[test]
    fn delays_double_up_to_the_longest_with_full_jitter() {
        let (clock, monotonic) = ManualClock::new();
        let mut most = [Duration::ZERO; 8];
        let mut least = [Duration::MAX; 8];
        for _ in 0..500 {
            let retry = retry(monotonic.clone(), 1, 16, 10_000);
            let mut budget = retry.budget();
            for step in 0..8 {
                let wait = retry
                    .wait_after(Duration::ZERO, &mut budget, overload(None))
                    .unwrap();
                most[step] = most[step].max(wait);
                least[step] = least[step].min(wait);
                clock.advance(Duration::from_secs(100));
            }
        }
        for (step, whole) in [1_u64, 2, 4, 8, 16, 16, 16, 16].into_iter().enumerate() {
            let whole = Duration::from_secs(whole);
            assert!(most[step] <= whole + Duration::from_micros(1), "{:?}", most[step]);
            assert!(most[step] > whole.mul_f64(0.9) && least[step] < whole.mul_f64(0.1));
        }
    }

    #[test]
    fn the_tenants_wish_is_honoured_and_bounded() {
        let (_, monotonic) = ManualClock::new();
        let retry = retry(monotonic, 1, 60, 900);
        let asked = Duration::from_secs(30);
        let wait = retry
            .wait_after(Duration::ZERO, &mut retry.budget(), overload(Some(asked)))
            .unwrap();
        assert!(wait >= asked && wait <= asked + Duration::from_secs(1));
        let wall = Time::UNIX_EPOCH + Duration::from_mins(1);
        assert_eq!(parse_retry_after(" 30 ", wall), Some(asked));
        assert_eq!(
            parse_retry_after("Thu, 01 Jan 1970 00:01:30 GMT", wall),
            Some(asked)
        );
        assert_eq!(
            parse_retry_after("Thu, 01 Jan 1970 00:00:30 GMT", wall),
            Some(Duration::ZERO)
        );
        assert_eq!(parse_retry_after("86400", wall), Some(LONGEST_RETRY_AFTER));
        assert_eq!(
            parse_retry_after("18446744073709551615", wall),
            Some(LONGEST_RETRY_AFTER)
        );
        for fraction in ["29.2", "30.0", " 30. "] {
            assert_eq!(parse_retry_after(fraction, wall), Some(asked), "{fraction}");
        }
        for none in ["soon", "inf", "NaN", "1e3", "-2.5", ".", ""] {
            assert_eq!(parse_retry_after(none, wall), None, "{none}");
        }
        assert_eq!(parse_retry_after("-1", wall), None);
    }

    #[test]
    fn the_budget_counts_from_the_first_fault() {
        let (clock, monotonic) = ManualClock::new();
        let retry = retry(monotonic, 1, 4, 60);
        let mut budget = retry.budget();
        // A body that took hours before it broke off is repeated all the same.
        clock.advance(Duration::from_hours(5));
        let mut waited = Duration::ZERO;
        let gave_up = loop {
            match retry.wait_after(Duration::ZERO, &mut budget, overload(None)) {
                Ok(wait) => {
                    clock.advance(wait);
                    waited += wait;
                }
                Err(error) => break error,
            }
        };
        assert!(
            waited <= Duration::from_mins(1) && waited > Duration::from_secs(50),
            "{waited:?}"
        );
        assert!(matches!(gave_up, ClientError::GaveUp { tries, .. } if tries == budget.tries));
        assert!(gave_up.is_transient() && !gave_up.is_repeatable());
    }

    #[test]
    fn the_time_of_a_few_long_bodies_is_not_counted() {
        let (clock, monotonic) = ManualClock::new();
        let retry = retry(monotonic, 0, 0, 60);
        let mut budget = retry.budget();
        let reading = Duration::from_hours(1);
        let mut bodies = 0;
        loop {
            clock.advance(reading);
            budget.excuse(reading);
            bodies += 1;
            if retry
                .wait_after(Duration::ZERO, &mut budget, overload(None))
                .is_err()
            {
                break;
            }
        }
        assert_eq!(bodies, EXCUSED_BODIES + 1);
    }

    /// An outage of ten minutes with many requests in the air: the retries together stay below a tenth of the rate.
    #[test]
    fn all_repeats_together_stay_within_the_quota() {
        let (clock, monotonic) = ManualClock::new();
        let retry = retry(monotonic.clone(), 0, 0, 100_000);
        let mut budgets: Vec<Budget> = (0..100).map(|_| retry.budget()).collect();
        let mut retries = 0_u32;
        while monotonic.now() < Duration::from_mins(10) {
            let budget = &mut budgets[retries as usize % 100];
            let wait = retry.wait_after(Duration::ZERO, budget, overload(None)).unwrap();
            clock.advance(wait);
            retries += 1;
        }
        // 5 a second for 600 seconds, a tenth of it, and the reserve.
        assert!((300..=312).contains(&retries), "{retries} retries");
    }
}
