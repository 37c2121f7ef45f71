//! The loop: what is due runs once, also with two replicas, a database that goes away, panics and shutdowns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::job::{Again, Jitter, Job, ScheduledJob};
use blueconic_sync::model::liveness::Liveness;
use blueconic_sync::model::ports::{JobStore, Runner};
use blueconic_sync::model::position::{Scope, Slot};
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::schedule::error::ScheduleError;
use blueconic_sync::schedule::heartbeat::{Heartbeat, ManualTicks};
use blueconic_sync::schedule::jobs::jobs;
use blueconic_sync::schedule::scheduler::{SchedulerOptions, run};
use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::schedule::memory::Memory;
use crate::support::registry::list_names;

const HOLD: Duration = Duration::from_secs(30);

pub(crate) fn at(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

pub(crate) fn task(name: &str, resource: &'static str, scope: Scope, cron: &str) -> ScheduledJob {
    ScheduledJob {
        job: Job {
            name: name.to_owned(),
            slot: Slot { resource, scope },
            cron: cron.to_owned(),
            time_zone: "UTC".to_owned(),
        },
        overlap: None,
        at_once: true,
        jitter: Jitter::default(),
    }
}

pub(crate) fn segments() -> ScheduledJob {
    task("segments", "segments", Scope::Full, "*/15 * * * *")
}

/// Counts runs, and how many of one slot were at work together at most.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    runs: Mutex<Vec<String>>,
    busy: Mutex<BTreeMap<String, u64>>,
    most: AtomicU64,
    takes: Duration,
    panics: bool,
}

impl Counting {
    pub(crate) fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            takes,
            ..Self::default()
        })
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.runs
            .lock()
            .unwrap()
            .iter()
            .filter(|run| *run == name)
            .count()
    }
}

impl Runner for Counting {
    async fn run(&self, task: &ScheduledJob, cancel: CancellationToken) -> Again {
        let lease = task.job.slot.lease_name();
        self.runs.lock().unwrap().push(task.job.name.clone());
        let busy = {
            let mut busy = self.busy.lock().unwrap();
            let busy = busy.entry(lease.clone()).or_default();
            *busy += 1;
            *busy
        };
        self.most.fetch_max(busy, Ordering::SeqCst);
        assert!(!self.panics, "ordered");
        let again = tokio::select! {
            () = cancel.cancelled() => {
                sleep(Duration::from_millis(700)).await; // to the next safe place
                Again::After(Duration::ZERO)
            }
            () = sleep(self.takes) => Again::OnTime,
        };
        *self.busy.lock().unwrap().get_mut(&lease).unwrap() -= 1;
        again
    }
}

pub(crate) struct Replica {
    hand: ManualTicks,
    cancel: CancellationToken,
    liveness: Liveness,
    handle: JoinHandle<Result<(), ScheduleError>>,
}

impl Replica {
    pub(crate) fn start<R: Runner>(
        name: &str,
        store: &Arc<Memory>,
        tasks: Vec<ScheduledJob>,
        runner: &Arc<R>,
    ) -> Self {
        let (hand, heartbeat) = Heartbeat::manual();
        let (cancel, liveness) = (CancellationToken::new(), Liveness::new());
        let options = SchedulerOptions {
            holder: name.to_owned(),
            hold: HOLD,
            heartbeat: Duration::from_secs(5),
            liveness: liveness.clone(),
        };
        let handle = tokio::spawn(run(
            Arc::clone(store),
            tasks,
            Arc::clone(runner),
            heartbeat,
            options,
            cancel.clone(),
        ));
        Self {
            hand,
            cancel,
            liveness,
            handle,
        }
    }

    /// Beats every five seconds for a while.
    pub(crate) async fn beat(&self, time: Duration) {
        for _ in 0..time.as_secs() / 5 {
            sleep(Duration::from_secs(5)).await;
            self.hand.tick();
        }
        settle().await;
    }

    pub(crate) async fn end(self) {
        self.cancel.cancel();
        self.handle.await.unwrap().unwrap();
    }
}

/// Lets everything that can go on at this moment go on (the clock is paused, so this takes no time).
pub(crate) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_database_runs_everything_at_once_and_then_on_time() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Counting::taking(Duration::from_secs(2));
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    settle().await;
    assert_eq!(runner.count("segments"), 1, "before any heartbeat");
    replica.beat(Duration::from_secs(10)).await;
    assert_eq!(store.next("segments"), at("2025-06-10T12:15:00Z"));
    replica.beat(Duration::from_hours(1)).await;
    assert_eq!(runner.count("segments"), 5, "12:03, 12:15, 12:30, 12:45, 13:00");
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_week_of_downtime_a_job_runs_once() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let task = segments();
    store.put(&task.job, at("2025-06-03T12:15:00Z")).await.unwrap();
    let runner = Counting::taking(Duration::from_secs(2));
    let replica = Replica::start("a", &store, vec![task], &runner);
    replica.beat(Duration::from_mins(5)).await;
    assert_eq!(runner.count("segments"), 1);
    assert_eq!(store.next("segments"), at("2025-06-10T12:15:00Z"));
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_replicas_never_run_a_job_together_and_a_long_run_keeps_its_claim() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Counting::taking(Duration::from_secs(1000));
    let first = Replica::start("a", &store, vec![segments()], &runner);
    let second = Replica::start("b", &store, vec![segments()], &runner);
    tokio::join!(
        first.beat(Duration::from_hours(2)),
        second.beat(Duration::from_hours(2))
    );
    assert_eq!(runner.most.load(Ordering::SeqCst), 1);
    assert!(
        store.state().extended > 30,
        "the claim of 30 s was held for 1000 s"
    );
    let runs = runner.count("segments");
    assert!((4..=8).contains(&runs), "{runs} runs of 1000 s each in two hours");
    first.cancel.cancel();
    second.end().await;
    first.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_killed_process_lapses_and_the_job_runs() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let task = segments();
    store.put(&task.job, at("2025-06-10T12:00:00Z")).await.unwrap();
    assert!(store.claim("segments", "killed", HOLD).await.unwrap().is_some());
    let runner = Counting::taking(Duration::from_secs(2));
    let replica = Replica::start("a", &store, vec![task], &runner);
    replica.beat(Duration::from_secs(25)).await;
    assert_eq!(runner.count("segments"), 0, "the claim still holds");
    replica.beat(Duration::from_secs(10)).await;
    assert_eq!(runner.count("segments"), 1);
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_of_one_slot_take_turns_and_none_is_lost() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let event = |name: &str| task(name, "audit_events", Scope::Increment, "0 12 * * *");
    let tasks = vec![
        event("audit_events"),
        event("audit_events/scan-1"),
        event("audit_events/scan-2"),
    ];
    let runner = Counting::taking(Duration::from_mins(1));
    let replica = Replica::start("a", &store, tasks, &runner);
    sleep(Duration::from_secs(181)).await; // not one heartbeat: the end of one turn begins the next
    assert_eq!(
        *runner.runs.lock().unwrap(),
        ["audit_events", "audit_events/scan-1", "audit_events/scan-2"]
    );
    assert_eq!(runner.most.load(Ordering::SeqCst), 1);
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_goes_away_ends_nothing() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    store.state().away = true;
    let runner = Counting::taking(Duration::from_secs(20));
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    replica.beat(Duration::from_mins(1)).await;
    assert_eq!(runner.count("segments"), 0);
    store.state().away = false;
    replica.beat(Duration::from_secs(5)).await;
    assert_eq!(
        runner.count("segments"),
        1,
        "it is back, also for the start that was due"
    );
    // It goes away under a running job, over its end, and beyond the life of its claim.
    store.state().away = true;
    replica.beat(Duration::from_mins(2)).await;
    store.state().away = false;
    replica.beat(Duration::from_secs(10)).await;
    assert_eq!(
        store.next("segments"),
        at("2025-06-10T12:15:00Z"),
        "its next time was stored after all"
    );
    assert_eq!(runner.count("segments"), 1);
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_run_and_the_job_comes_again() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Arc::new(Counting {
        panics: true,
        ..Counting::default()
    });
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    replica.beat(Duration::from_mins(4)).await;
    assert_eq!(runner.count("segments"), 1, "no loop of panics");
    let next = store.next("segments");
    assert!(
        next >= at("2025-06-10T12:08:00Z") && next < at("2025-06-10T12:08:10Z"),
        "{next}"
    );
    assert_eq!(store.state().rows["segments"].claim, None);
    replica.beat(Duration::from_mins(2)).await;
    assert_eq!(runner.count("segments"), 2);
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_run_and_leaves_its_job_due() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Counting::taking(Duration::from_secs(1000));
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    replica.beat(Duration::from_secs(10)).await;
    let before = tokio::time::Instant::now();
    replica.end().await;
    let took = before.elapsed();
    assert!(
        took >= Duration::from_millis(700) && took < Duration::from_secs(2),
        "{took:?}"
    );
    let row = store.state().rows["segments"].clone();
    assert_eq!(row.claim, None, "the claim is given back");
    assert!(
        row.next <= store.state().now(),
        "the next start goes on with it at once"
    );
    let next = Replica::start("b", &store, vec![segments()], &runner);
    settle().await;
    assert_eq!(runner.count("segments"), 2);
    next.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_the_database_is_away_is_bounded() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Counting::taking(Duration::from_secs(1000));
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    replica.beat(Duration::from_secs(10)).await;
    store.state().away = true;
    let before = tokio::time::Instant::now();
    replica.end().await;
    assert!(
        before.elapsed() < Duration::from_secs(6),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_settings_no_longer_name_is_forgotten() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let gone = task(
        "audit_events/scan-9",
        "audit_events",
        Scope::Increment,
        "0 0 * * *",
    );
    store.put(&gone.job, at("2025-06-10T12:00:00Z")).await.unwrap();
    let runner = Counting::taking(Duration::from_secs(2));
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    replica.beat(Duration::from_secs(10)).await;
    assert_eq!(store.state().rows.keys().collect::<Vec<_>>(), ["segments"]);
    // A row that is lost while the schedule is kept comes back.
    store.state().rows.clear();
    replica.beat(Duration::from_secs(10)).await;
    assert_eq!(runner.count("segments"), 2);
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn times_go_by_the_clock_of_the_database() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Counting::taking(Duration::from_secs(1));
    let replica = Replica::start("a", &store, vec![segments()], &runner);
    replica.beat(Duration::from_secs(5)).await;
    store.forward(chrono::Duration::days(7));
    replica.beat(Duration::from_secs(10)).await;
    assert_eq!(runner.count("segments"), 2, "a week later: once");
    assert_eq!(store.next("segments"), at("2025-06-17T12:15:00Z"));
    assert!(replica.liveness.age() < Duration::from_mins(1));
    replica.end().await;
}

#[tokio::test]
async fn an_expression_that_never_comes_true_is_refused_at_the_start() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    let runner = Counting::taking(Duration::ZERO);
    let never = task("segments", "segments", Scope::Full, "0 0 30 2 *");
    let error = Replica::start("a", &store, vec![never], &runner)
        .handle
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("`segments`"), "{error}");
    assert_eq!(store.state().calls, 0);
}

/// The real heartbeat, on the real clock.
#[tokio::test]
async fn the_heartbeat_beats_and_ends() {
    let mut heartbeat = Heartbeat::every(Duration::from_secs(1)).await.unwrap();
    let before = std::time::Instant::now();
    for _ in 0..3 {
        heartbeat.next().await;
    }
    let took = before.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(8),
        "{took:?}"
    );
    heartbeat.stop().await;
}

#[test]
fn the_default_settings_make_these_jobs() {
    let settings = blueconic_sync::config::load::load(None, &BTreeMap::default(), RESOURCES).unwrap();
    let tasks = jobs(&settings);
    let names: Vec<_> = tasks.iter().map(|task| task.job.name.as_str()).collect();
    let others = [
        "profiles/full",
        "profiles/increment",
        "audit_events",
        "audit_events/scan-1",
        "audit_events/scan-2",
    ];
    let expected: Vec<&str> = list_names()
        .into_iter()
        .chain(others)
        .chain(["drift", "housekeeping"])
        .collect();
    assert_eq!(names, expected);
    let overlap = |name: &str| {
        let task = tasks.iter().find(|task| task.job.name == name).unwrap();
        task.overlap.map(|overlap| overlap.as_secs())
    };
    assert_eq!(overlap("audit_events"), Some(15 * 60));
    assert_eq!(overlap("audit_events/scan-1"), Some(26 * 3600));
    assert_eq!(overlap("audit_events/scan-2"), Some(29 * 24 * 3600));
    assert_eq!(overlap("profiles/full"), None);
}
