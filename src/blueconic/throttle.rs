//! Bounds requests to the tenant: the rate, and the number of requests at once. The number is halved when the tenant
//! says that it is overloaded and grows by one after a quiet time, between 1 and the setting. In an outage one request at a time finds
//! out whether the tenant answers again.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;

use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::outage::Outage;
use crate::config::settings::Limits;

/// The time without an overload after which one more concurrent request is allowed.
const QUIET_SPELL: Duration = Duration::from_secs(10);

type Rate = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Duration>>;

/// The throttle of one tenant.
pub(super) struct Throttle {
    rate: Rate,
    gate: Arc<Gate>,
    monotonic: MonotonicClock,
}

/// The permit for one request, held until its body has been read.
pub(super) struct Permit {
    gate: Arc<Gate>,
    monotonic: MonotonicClock,
    entered: Duration,
    place: Place,
}

/// What a permit was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One of the requests that may be open at once.
    Usual,
    /// To find out whether an outage goes on. Probes are numbered.
    Probe(u64),
}

struct Gate {
    most: u32,
    state: Mutex<State>,
    left: Notify,
}

struct State {
    limit: u32,
    inside: u32,
    /// The time of the last change of the limit, or of the last overload.
    changed: Duration,
    /// The time of the last halving. Requests that entered before do not halve the limit again.
    halved: Option<Duration>,
    /// No request is sent before this time (`Retry-After`, or an outage).
    closed_until: Duration,
    outage: Outage,
    /// The probe that is under way, and how many there were.
    probe: Option<u64>,
    probes: u64,
}

impl Throttle {
    /// A throttle within the limits.
    pub(super) fn new(limits: &Limits, monotonic: MonotonicClock) -> Self {
        let quota = Quota::per_second(limits.requests_per_second).allow_burst(limits.burst);
        let most = limits.concurrent_requests.get();
        let state = State {
            limit: most,
            inside: 0,
            changed: monotonic.now(),
            halved: None,
            closed_until: Duration::ZERO,
            outage: Outage::off(),
            probe: None,
            probes: 0,
        };
        Self {
            rate: RateLimiter::direct_with_clock(quota, monotonic.clone()),
            gate: Arc::new(Gate {
                most,
                state: Mutex::new(state),
                left: Notify::new(),
            }),
            monotonic,
        }
    }

    /// Waits until a request may be sent.
    pub(super) async fn enter(&self) -> Permit {
        let permit = self.permit().await;
        loop {
            let closed_for = self
                .gate
                .state()
                .closed_until
                .saturating_sub(self.monotonic.now());
            if closed_for.is_zero() {
                break;
            }
            self.monotonic.sleep(closed_for).await;
        }
        self.pace().await;
        permit
    }

    /// Waits for the rate only: for a retry under the same permit.
    pub(super) async fn pace(&self) {
        while let Err(early) = self.rate.check() {
            self.monotonic
                .sleep(early.wait_time_from(self.monotonic.now()))
                .await;
        }
    }

    /// Reacts to an overload: halves the limit and pauses for `Retry-After`.
    pub(super) fn overloaded(&self, permit: &Permit, retry_after: Option<Duration>) {
        let now = self.monotonic.now();
        let mut state = self.gate.state();
        state.changed = now;
        if let Some(wait) = retry_after {
            state.closed_until = state.closed_until.max(now + wait);
        }
        if state.halved.is_none_or(|halved| permit.entered > halved) {
            state.halved = Some(now);
            state.limit = (state.limit / 2).max(1);
            let limit = state.limit;
            drop(state);
            tracing::info!(
                limit,
                "the tenant is overloaded: at most {limit} requests at once"
            );
        }
    }

    /// Takes faults in a row for an outage from now on; `first_pause` is that of one that begins.
    pub(super) fn watch_for_outages(&self, first_pause: Duration) {
        self.gate.state().outage = Outage::new(first_pause);
    }

    /// Whether the tenant is away.
    pub(super) fn is_outage(&self) -> bool {
        self.gate.state().outage.is_on()
    }

    /// For how long nothing is sent because of an outage.
    pub(super) fn outage_pause(&self) -> Duration {
        let state = self.gate.state();
        if state.outage.is_on() {
            state.closed_until.saturating_sub(self.monotonic.now())
        } else {
            Duration::ZERO
        }
    }

    /// Notes that the tenant has answered. What waits for the end of an outage goes on.
    pub(super) fn answered(&self) {
        let now = self.monotonic.now();
        let mut state = self.gate.state();
        let Some(lasted) = state.outage.answered(now) else {
            return;
        };
        state.probe = None;
        state.closed_until = now;
        let free = state.limit.saturating_sub(state.inside);
        drop(state);
        self.gate.let_in(free);
        let seconds = lasted.as_secs();
        tracing::info!(seconds, "the tenant answers again, after {seconds} s");
    }

    /// Notes that the tenant has not answered a request, in a way that any other request may meet.
    pub(super) fn unanswered(&self) {
        let now = self.monotonic.now();
        let mut state = self.gate.state();
        let Some((pause, begins)) = state.outage.failed(now) else {
            return;
        };
        state.closed_until = state.closed_until.max(now + pause);
        drop(state);
        if begins {
            tracing::warn!("the tenant does not answer: one request at a time is sent until it does");
        }
    }

    async fn permit(&self) -> Permit {
        loop {
            // Registered before the gate is checked, so that no returned permit is missed in between.
            let mut left = pin!(self.gate.left.notified());
            left.as_mut().enable();
            let now = self.monotonic.now();
            if let Some(place) = self.gate.state().enter(now, self.gate.most) {
                return Permit {
                    gate: Arc::clone(&self.gate),
                    monotonic: self.monotonic.clone(),
                    entered: now,
                    place,
                };
            }
            left.await;
        }
    }
}

impl State {
    /// Takes a place, if one is free; in an outage as its probe. Requests whose answers are still being read do not hold up a probe.
    fn enter(&mut self, now: Duration, most: u32) -> Option<Place> {
        self.grow(now, most);
        let place = if !self.outage.is_on() {
            (self.inside < self.limit).then_some(Place::Usual)?
        } else if self.probe.is_none() {
            self.probes += 1;
            self.probe = Some(self.probes);
            Place::Probe(self.probes)
        } else {
            return None;
        };
        self.inside += 1;
        Some(place)
    }

    /// Gives a place back. Returns how many may come in now.
    fn leave(&mut self, now: Duration, most: u32, place: Place) -> u32 {
        self.inside -= 1;
        self.grow(now, most);
        if self.probe.map(Place::Probe) == Some(place) {
            self.probe = None;
        }
        if self.outage.is_on() {
            return u32::from(self.probe.is_none());
        }
        self.limit.saturating_sub(self.inside)
    }

    fn grow(&mut self, now: Duration, most: u32) {
        if self.limit < most && now.saturating_sub(self.changed) >= QUIET_SPELL {
            self.limit += 1;
            self.changed = now;
        }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_in(&self, waiting: u32) {
        for _ in 0..waiting {
            self.left.notify_one();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = self.monotonic.now();
        let free = self.gate.state().leave(now, self.gate.most, self.place);
        self.gate.let_in(free);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use std::num::NonZeroU32;

    use futures_util::FutureExt;

    use super::*;
    use crate::blueconic::monotonic_clock::manual::ManualClock;

    fn throttle(monotonic: &MonotonicClock, rate: u32, burst: u32, most: u32) -> Throttle {
        let limits = Limits {
            requests_per_second: NonZeroU32::new(rate).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
            concurrent_requests: NonZeroU32::new(most).unwrap(),
            requests_per_month: None,
            traffic_per_month: None,
            element_size: 1,
            batch_size: 1,
            memory: 1,
        };
        Throttle::new(&limits, monotonic.clone())
    }

    fn free(throttle: &Throttle) -> usize {
        let mut held = Vec::new();
        while let Some(permit) = throttle.permit().now_or_never() {
            held.push(permit);
        }
        held.len()
    }

    #[tokio::test]
    async fn a_burst_goes_at_once_and_the_rest_at_its_rate() {
        let (_clock, monotonic) = ManualClock::new();
        let throttle = throttle(&monotonic, 5, 5, 100);
        for _ in 0..5 {
            drop(throttle.enter().await);
        }
        assert_eq!(monotonic.now(), Duration::ZERO);
        for _ in 0..50 {
            drop(throttle.enter().await);
        }
        let took = monotonic.now();
        assert!(
            took >= Duration::from_millis(9_990) && took < Duration::from_millis(10_100),
            "{took:?}"
        );
    }

    #[tokio::test]
    async fn an_overload_halves_once_for_all_that_were_inside_and_a_quiet_spell_gives_back() {
        let (clock, monotonic) = ManualClock::new();
        let throttle = throttle(&monotonic, 1000, 1000, 8);
        assert_eq!(free(&throttle), 8);
        let mut inside = Vec::new();
        for _ in 0..8 {
            inside.push(throttle.permit().await);
        }
        clock.advance(Duration::from_secs(1));
        for permit in &inside {
            throttle.overloaded(permit, None);
        }
        assert_eq!(free(&throttle), 0);
        inside.clear();
        assert_eq!(free(&throttle), 4);
        for expected in [2, 1, 1] {
            clock.advance(Duration::from_secs(1));
            let permit = throttle.permit().await;
            throttle.overloaded(&permit, None);
            drop(permit);
            assert_eq!(free(&throttle), expected);
        }
        for expected in [2, 3, 4, 5, 6, 7, 8, 8] {
            clock.advance(QUIET_SPELL);
            assert_eq!(free(&throttle), expected);
        }
    }

    #[tokio::test]
    async fn nobody_enters_before_the_time_that_the_tenant_names() {
        let (_clock, monotonic) = ManualClock::new();
        let throttle = throttle(&monotonic, 1000, 1000, 8);
        let permit = throttle.enter().await;
        throttle.overloaded(&permit, Some(Duration::from_secs(30)));
        drop(throttle.enter().await);
        assert!(monotonic.now() >= Duration::from_secs(30));
    }

    #[tokio::test]
    async fn in_an_outage_one_at_a_time_finds_out_and_an_answer_lets_all_in() {
        let (clock, monotonic) = ManualClock::new();
        let throttle = throttle(&monotonic, 1000, 1000, 4);
        throttle.watch_for_outages(Duration::from_secs(1));
        // Its answer is still being read.
        let reading = throttle.enter().await;
        for _ in 0..4 {
            throttle.unanswered();
        }
        assert_eq!(free(&throttle), 3, "no outage yet");
        throttle.unanswered();
        assert!(throttle.is_outage());
        let before = monotonic.now();
        let probe = throttle.enter().await;
        assert_eq!(monotonic.now(), before + Duration::from_secs(1));
        assert_eq!(free(&throttle), 0, "one probe");
        throttle.unanswered();
        drop(probe);
        let before = monotonic.now();
        let probe = throttle.enter().await;
        assert_eq!(monotonic.now(), before + Duration::from_secs(2));
        throttle.answered();
        assert!(!throttle.is_outage());
        assert_eq!(free(&throttle), 2);
        drop((reading, probe));
        assert_eq!(free(&throttle), 4);
        // A probe of an earlier outage is none of this one.
        for _ in 0..5 {
            throttle.unanswered();
        }
        let abandoned = throttle.permit().await;
        throttle.answered();
        for _ in 0..5 {
            throttle.unanswered();
        }
        let probe = throttle.permit().await;
        drop(abandoned);
        assert_eq!(free(&throttle), 0, "the probe is under way");
        drop(probe);
        clock.advance(Duration::from_mins(5));
        assert_eq!(free(&throttle), 1);
    }

    #[tokio::test]
    async fn every_permit_comes_back_under_contention() {
        let monotonic = MonotonicClock::new(Arc::new(crate::clock::SystemClock));
        let throttle = Arc::new(throttle(&monotonic, 1_000_000, 1_000_000, 3));
        let mut tasks = Vec::new();
        for _ in 0..300 {
            let throttle = Arc::clone(&throttle);
            tasks.push(tokio::spawn(async move {
                let permit = throttle.enter().await;
                assert!(throttle.gate.state().inside <= 3);
                tokio::task::yield_now().await;
                drop(permit);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(free(&throttle), 3);
    }
}
