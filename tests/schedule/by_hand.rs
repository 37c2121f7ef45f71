//! What a person does to the schedule: a pause holds a due run and makes it up once, a request is run once, and neither disturbs what
//! is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::fault::Outcome;
use blueconic_sync::model::job::{Again, ScheduledJob};
use blueconic_sync::model::ports::{JobStore as _, Runner};
use blueconic_sync::model::usage::PutOff;
use tokio_util::sync::CancellationToken;

use crate::schedule::memory::Memory;
use crate::schedule::running::{Counting, Replica, at, segments, settle};

#[tokio::test(start_paused = true)]
async fn a_pause_holds_what_is_due_in_every_replica_and_it_runs_once_afterwards() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    store
        .put(&segments().job, at("2025-06-10T12:15:00Z"))
        .await
        .unwrap();
    store.state().paused.insert("segments");
    let runner = Counting::taking(Duration::from_secs(2));
    let first = Replica::start("a", &store, vec![segments()], &runner);
    let second = Replica::start("b", &store, vec![segments()], &runner);
    let hour = Duration::from_hours(1);
    tokio::join!(first.beat(hour), second.beat(hour));
    assert_eq!(runner.count("segments"), 0, "four times were due");
    second.end().await;
    // A restart does not know of the pause by itself.
    first.end().await;
    let third = Replica::start("c", &store, vec![segments()], &runner);
    third.beat(Duration::from_mins(1)).await;
    assert_eq!(runner.count("segments"), 0);
    store.state().paused.clear();
    third.beat(Duration::from_secs(10)).await;
    assert_eq!(runner.count("segments"), 1, "made up once");
    assert_eq!(store.next("segments"), at("2025-06-10T13:15:00Z"));
    third.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_for_starts_at_the_next_heartbeat_and_the_due_one_stays() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    store
        .put(&segments().job, at("2025-06-10T12:15:00Z"))
        .await
        .unwrap();
    let runner = Counting::taking(Duration::from_mins(1));
    let first = Replica::start("a", &store, vec![segments()], &runner);
    let second = Replica::start("b", &store, vec![segments()], &runner);
    settle().await;
    store.request("segments");
    let both = async |time| tokio::join!(first.beat(time), second.beat(time));
    both(Duration::from_secs(10)).await;
    assert_eq!(runner.count("segments"), 1, "one replica runs it");
    // Asked for while it runs: once more, and no more often.
    store.request("segments");
    store.request("segments");
    both(Duration::from_mins(5)).await;
    assert_eq!(runner.count("segments"), 2);
    assert_eq!(store.next("segments"), at("2025-06-10T12:15:00Z"));
    both(Duration::from_mins(10)).await;
    assert_eq!(runner.count("segments"), 3, "the due one");
    first.end().await;
    second.end().await;
    assert!(store.state().services.is_empty(), "whoever ends leaves the list");
}

/// Puts everything off while it is told to.
#[derive(Debug)]
struct Thrifty {
    inner: Arc<Counting>,
    saves: AtomicBool,
}

impl Runner for Thrifty {
    async fn put_off(&self, job: &ScheduledJob, now: Time) -> Outcome<Option<PutOff>> {
        let put_off = self.saves.load(Ordering::SeqCst).then(|| PutOff {
            job: job.job.name.clone(),
            until: now,
            why: "it is too much".to_owned(),
        });
        Ok(put_off)
    }

    async fn run(&self, task: &ScheduledJob, cancel: CancellationToken) -> Again {
        self.inner.run(task, cancel).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_stays_due_and_is_made_up_once_unless_a_person_asks() {
    let store = Memory::at(at("2025-06-10T12:03:00Z"));
    store
        .put(&segments().job, at("2025-06-10T12:15:00Z"))
        .await
        .unwrap();
    let runner = Arc::new(Thrifty {
        inner: Counting::taking(Duration::from_secs(2)),
        saves: AtomicBool::new(true),
    });
    let first = Replica::start("a", &store, vec![segments()], &runner);
    let second = Replica::start("b", &store, vec![segments()], &runner);
    let both = async |time| tokio::join!(first.beat(time), second.beat(time));
    both(Duration::from_hours(1)).await;
    assert_eq!(runner.inner.count("segments"), 0, "four times were due");
    assert_eq!(store.next("segments"), at("2025-06-10T12:15:00Z"), "still due");
    store.request("segments");
    both(Duration::from_mins(1)).await;
    assert_eq!(runner.inner.count("segments"), 1, "a person asked");
    both(Duration::from_hours(1)).await;
    assert_eq!(runner.inner.count("segments"), 1);
    runner.saves.store(false, Ordering::SeqCst);
    both(Duration::from_secs(10)).await;
    assert_eq!(runner.inner.count("segments"), 2, "made up once");
    first.end().await;
    second.end().await;
}

/// Finds another process at work at first.
#[derive(Debug)]
struct Busy(Arc<Counting>);

impl Runner for Busy {
    async fn run(&self, task: &ScheduledJob, cancel: CancellationToken) -> Again {
        let is_first = self.0.count(&task.job.name) == 0;
        let again = self.0.run(task, cancel).await;
        if is_first { Again::ReadByAnother } else { again }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_a_backfill_is_not_lost_and_a_due_run_waits_for_its_next_time() {
    for is_requested in [true, false] {
        let store = Memory::at(at("2025-06-10T12:03:00Z"));
        let due = if is_requested {
            "2025-06-10T12:15:00Z"
        } else {
            "2025-06-10T12:03:00Z"
        };
        store.put(&segments().job, at(due)).await.unwrap();
        if is_requested {
            store.request("segments");
        }
        let counting = Counting::taking(Duration::from_secs(2));
        let runner = Arc::new(Busy(Arc::clone(&counting)));
        let replica = Replica::start("a", &store, vec![segments()], &runner);
        replica.beat(Duration::from_secs(30)).await;
        assert_eq!(counting.count("segments"), 1);
        replica.beat(Duration::from_mins(1)).await;
        let runs = if is_requested { 2 } else { 1 };
        assert_eq!(counting.count("segments"), runs, "asked for: {is_requested}");
        assert_eq!(store.next("segments"), at("2025-06-10T12:15:00Z"));
        replica.end().await;
    }
}
