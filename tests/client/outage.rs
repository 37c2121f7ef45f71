//! A tenant that is away: what the jobs of an idle service send meanwhile, and how soon they go on. The clock jumps from event to event.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::clock::SystemClock;
use blueconic_sync::model::Time;
use blueconic_sync::model::metrics::Counter;
use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::{Clock, Source as _};
use tokio::sync::oneshot;

use crate::support::client::{Tenant, html, json, listing, read};

const MINUTE: Duration = Duration::from_mins(1);
/// When a failed job runs again.
const AGAIN: Duration = Duration::from_mins(5);
/// How often the jobs of an idle service run: audit events, increments, lists.
const JOBS: [Duration; 6] = [
    AGAIN,
    Duration::from_mins(10),
    Duration::from_mins(15),
    Duration::from_mins(15),
    Duration::from_mins(15),
    Duration::from_mins(15),
];

/// A clock that moves to the next time for which somebody waits, once nobody does anything else.
struct EventClock {
    state: Mutex<Sleepers>,
    /// Grows with everything that happens.
    events: AtomicU64,
}

struct Sleepers {
    now: Time,
    waiting: BTreeMap<(Time, u64), oneshot::Sender<()>>,
}

impl EventClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Sleepers {
                now: SystemClock.now(),
                waiting: BTreeMap::new(),
            }),
            events: AtomicU64::new(0),
        })
    }

    fn happened(&self) -> u64 {
        self.events.fetch_add(1, Ordering::SeqCst)
    }

    /// Moves the clock from event to event until `end`.
    async fn until(&self, end: Time, is_in_flight: impl Fn() -> bool) {
        loop {
            // No answer is under way, and nothing has happened for a while.
            let mut before = self.events.load(Ordering::SeqCst);
            loop {
                tokio::time::sleep(Duration::from_millis(2)).await;
                let now = self.events.load(Ordering::SeqCst);
                if now == before && !is_in_flight() && !self.state.lock().unwrap().waiting.is_empty() {
                    break;
                }
                before = now;
            }
            let mut state = self.state.lock().unwrap();
            let Some(next) = state.waiting.first_entry().filter(|next| next.key().0 <= end) else {
                state.now = end;
                return;
            };
            let ((at, _), wake) = next.remove_entry();
            state.now = state.now.max(at);
            drop(state);
            // Whoever waited may have given up.
            let _ = wake.send(());
        }
    }
}

impl Clock for EventClock {
    fn now(&self) -> Time {
        self.state.lock().unwrap().now
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let (wake, woken) = oneshot::channel();
        let number = self.happened();
        let mut state = self.state.lock().unwrap();
        let until = state.now + time;
        state.waiting.insert((until, number), wake);
        Box::pin(async move {
            woken.await.unwrap();
            self.happened();
        })
    }
}

/// An idle service: jobs that send one request each, at their times.
struct Service {
    tenant: Tenant,
    clock: Arc<EventClock>,
    is_away: Arc<AtomicBool>,
    client: Arc<Client<MemoryTokens>>,
    /// Of all requests.
    meter: Meter,
    /// How often each job has succeeded.
    succeeded: Arc<[AtomicU64; JOBS.len()]>,
}

impl Service {
    async fn start() -> Self {
        let (tenant, clock) = (Tenant::start().await, EventClock::new());
        let store = MemoryTokens::new(Arc::clone(&clock) as _);
        let client = Client::new(&tenant.settings(&[]), store, Arc::clone(&clock) as _).unwrap();
        client.watch_for_outages();
        let service = Self {
            tenant,
            clock,
            is_away: Arc::default(),
            client: Arc::new(client),
            meter: Meter::default(),
            succeeded: Arc::default(),
        };
        let (is_away, clock) = (Arc::clone(&service.is_away), Arc::clone(&service.clock));
        service.tenant.always(move |_| {
            clock.happened();
            if is_away.load(Ordering::SeqCst) {
                html(503)
            } else {
                json(r#"{"totalResults":0,"profiles":[]}"#)
            }
        });
        for (number, every) in JOBS.into_iter().enumerate() {
            let (client, clock) = (Arc::clone(&service.client), Arc::clone(&service.clock));
            let (succeeded, meter) = (Arc::clone(&service.succeeded), service.meter.clone());
            tokio::spawn(async move {
                let request = listing(&format!("/job-{number}"), "abc");
                loop {
                    let done = match client.open(&request, 0, &meter).await {
                        Ok(page) => read(page).await.is_ok(),
                        Err(_) => false,
                    };
                    succeeded[number].fetch_add(u64::from(done), Ordering::SeqCst);
                    clock.sleep(if done { every } else { AGAIN.min(every) }).await;
                }
            });
        }
        service
    }

    /// Lets a time go by. Returns the requests that were sent meanwhile, without those for tokens.
    async fn pass(&self, time: Duration) -> usize {
        let before = self.tenant.requests();
        let traffic = self.client.traffic();
        let is_in_flight = || {
            let answered: u64 = traffic.requests.iter().map(Counter::read).sum();
            answered < self.meter.read().0
        };
        self.clock.until(self.clock.now() + time, is_in_flight).await;
        self.tenant.requests() - before
    }

    fn succeeded(&self) -> Vec<u64> {
        let counts = self.succeeded.iter();
        counts.map(|count| count.load(Ordering::SeqCst)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_away_gets_no_more_requests_than_usual_and_is_read_soon_after() {
    let service = Service::start().await;
    let hours = Duration::from_hours(6);
    service.pass(hours).await;
    let usual = service.pass(hours).await;
    assert!((190..=240).contains(&usual), "{usual}");

    service.is_away.store(true, Ordering::SeqCst);
    let meanwhile = service.pass(hours).await;
    assert!(
        meanwhile * 10 <= usual * 11,
        "{meanwhile} requests while it was away, {usual} otherwise"
    );
    assert!(meanwhile >= 60, "it is asked every five minutes: {meanwhile}");

    service.is_away.store(false, Ordering::SeqCst);
    let before = service.succeeded();
    service.pass(AGAIN * 2 + MINUTE).await;
    let after = service.succeeded();
    for (job, (before, after)) in before.iter().zip(&after).enumerate() {
        assert!(after > before, "job {job} has not run again: {before}, {after}");
    }
    let again = service.pass(hours).await;
    assert!(again.abs_diff(usual) <= 12, "{again}, {usual}");
}

/// Outages of ten minutes, at different minutes of the hour.
#[tokio::test(flavor = "multi_thread")]
async fn minutes_without_the_tenant_cost_no_more_requests_than_usual_either() {
    let service = Service::start().await;
    service.pass(Duration::from_hours(6)).await;
    let requests = async |is_away: bool| {
        let mut sum = 0;
        for _ in 0..12 {
            service.is_away.store(is_away, Ordering::SeqCst);
            sum += service.pass(MINUTE * 10).await;
            service.is_away.store(false, Ordering::SeqCst);
            let before = service.succeeded();
            service.pass(MINUTE * 57).await;
            assert!(
                before
                    .iter()
                    .zip(service.succeeded())
                    .all(|(before, after)| after > *before),
                "a job has not run again"
            );
        }
        sum
    };
    let usual = requests(false).await;
    let meanwhile = requests(true).await;
    assert!(
        meanwhile * 10 <= usual * 11,
        "{meanwhile} requests while it was away, {usual} otherwise"
    );
}
