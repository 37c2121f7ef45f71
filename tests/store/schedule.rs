//! Jobs: due, claimed by one, done.

use std::time::Duration;

use blueconic_sync::model::Time;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::job::{Job, JobClaim, StoredJob};
use blueconic_sync::model::ports::{JobStore, Observer as _};
use blueconic_sync::model::position::Slot;
use blueconic_sync::postgres::pauses::{self, End};
use blueconic_sync::postgres::store::PostgresStore;
use blueconic_sync::postgres::{requests, timetable};
use chrono::TimeDelta;

use crate::support::fixture::{Fixture, PROFILES_INCREMENT, SEGMENTS, another_store, fixture, run};

const HOLD: Duration = Duration::from_secs(20);

fn job(name: &str, slot: Slot) -> Job {
    Job {
        name: name.to_owned(),
        slot,
        cron: "*/5 * * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
    }
}

async fn change(db: &Fixture, sql: &str) {
    run(&mut db.look.acquire().await.unwrap(), sql).await;
}

/// The stored jobs, as a heartbeat reads them.
async fn jobs(store: &PostgresStore) -> Vec<StoredJob> {
    let heartbeat = Duration::from_secs(5);
    let (now, jobs) = store.beat("the heartbeat of a test", heartbeat).await.unwrap();
    let clock = JobStore::now(store).await.unwrap();
    assert!(
        now <= clock && clock - now < TimeDelta::minutes(1),
        "{now} {clock}"
    );
    jobs
}

fn stored(job: &Job, next_run_at: Time) -> StoredJob {
    StoredJob {
        job: job.clone(),
        next_run_at,
        is_requested: false,
        is_paused: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_due_job_is_claimed_by_one() {
    let db = fixture().await;
    let store = &db.store;
    let now = JobStore::now(store).await.unwrap();
    let due = job("profiles/increment", PROFILES_INCREMENT);
    let later = job("segments", SEGMENTS);
    store.put(&due, now - TimeDelta::seconds(1)).await.unwrap();
    store.put(&later, now + TimeDelta::hours(1)).await.unwrap();
    assert_eq!(store.claim("segments", "h", HOLD).await.unwrap(), None);

    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = another_store(&db.options, HOLD).await;
        tasks.spawn(async move {
            store
                .claim("profiles/increment", &format!("h{number}"), HOLD)
                .await
                .unwrap()
        });
    }
    let claimed = tasks.join_all().await;
    assert_eq!(claimed.iter().flatten().count(), 1);
    let holder: String = db
        .one("select claimed_by from sync.schedule where claimed_by is not null")
        .await;
    store.extend("profiles/increment", &holder, HOLD).await.unwrap();
    assert_eq!(
        store
            .extend("profiles/increment", "other", HOLD)
            .await
            .unwrap_err()
            .kind,
        Kind::Fenced
    );
    store.done("profiles/increment", "other", now).await.unwrap();
    assert_eq!(
        store.claim("profiles/increment", "other", HOLD).await.unwrap(),
        None,
        "done by a stranger"
    );

    let next = now + TimeDelta::minutes(5);
    store.done("profiles/increment", &holder, next).await.unwrap();
    assert_eq!(
        jobs(store).await,
        [stored(&due, next), stored(&later, now + TimeDelta::hours(1))]
    );
    store.keep_only(&["profiles/increment".to_owned()]).await.unwrap();
    assert_eq!(jobs(store).await, [stored(&due, next)]);
    store.keep_only(&[]).await.unwrap();
    assert_eq!(jobs(store).await, []);
}

#[tokio::test]
async fn a_paused_job_is_claimed_by_nobody_and_stays_due() {
    let db = fixture().await;
    let store = &db.store;
    let now = JobStore::now(store).await.unwrap();
    store
        .put(&job("segments", SEGMENTS), now - TimeDelta::hours(1))
        .await
        .unwrap();
    let first = pauses::pause(store, "segments", End::Open).await.unwrap();
    assert_eq!(first.ends_at, None);
    assert_eq!(store.claim("segments", "h", HOLD).await.unwrap(), None);
    assert!(jobs(store).await[0].is_paused);
    // The beginning stays, and what the pause holds cannot be asked for.
    let again = pauses::pause(store, "segments", End::After(Duration::from_mins(1)))
        .await
        .unwrap();
    assert_eq!(again.since, first.since);
    assert!(again.ends_at.unwrap() > now + TimeDelta::seconds(50));
    assert!(
        !requests::request(store, &job("segments", SEGMENTS))
            .await
            .unwrap()
    );
    assert!(!jobs(store).await[0].is_requested);
    let state = store.status().await.unwrap();
    let segments = state.resources.iter().find(|it| it.resource == "segments");
    assert_eq!(segments.unwrap().pause.as_ref(), Some(&again));
    // A pause whose time has passed holds nothing, and is no pause to end.
    change(
        &db,
        "update sync.pauses set ends_at = now() - interval '1 second'",
    )
    .await;
    assert!(!jobs(store).await[0].is_paused);
    assert_eq!(pauses::resume(store, "segments").await.unwrap(), None);
    change(&db, "insert into sync.pauses values ('segments', now() - interval '1 day', now() - interval '1 hour', 'x')")
        .await;
    let new = pauses::pause(store, "segments", End::At(now + TimeDelta::days(1)))
        .await
        .unwrap();
    assert!(new.since >= now, "a pause of its own: {new:?}");
    assert!(new.by.contains(" on "), "{new:?}");
    assert_eq!(pauses::resume(store, "segments").await.unwrap(), Some(new));
    assert_eq!(
        store.claim("segments", "h", HOLD).await.unwrap(),
        Some(JobClaim { is_requested: false })
    );
}

#[tokio::test]
async fn a_request_is_done_with_by_a_run_that_was_claimed_after_it() {
    let db = fixture().await;
    let store = &db.store;
    let now = JobStore::now(store).await.unwrap();
    let (known, unknown) = (
        job("segments", SEGMENTS),
        job("profiles/increment", PROFILES_INCREMENT),
    );
    let later = now + TimeDelta::hours(1);
    store.put(&known, later).await.unwrap();
    assert!(requests::request(store, &known).await.unwrap());
    assert!(
        requests::request(store, &unknown).await.unwrap(),
        "nobody has scheduled it"
    );
    let requested = JobClaim { is_requested: true };
    assert_eq!(store.claim("segments", "h", HOLD).await.unwrap(), Some(requested));
    assert_eq!(
        store.claim("segments", "other", HOLD).await.unwrap(),
        None,
        "one runs it"
    );
    let state = timetable::read(store, "segments").await.unwrap();
    assert_eq!(state.jobs[0].running_by.as_deref(), Some("h"));
    // Asked for once more while it runs: another run follows.
    assert!(requests::request(store, &known).await.unwrap());
    store.done("segments", "h", later).await.unwrap();
    assert_eq!(store.claim("segments", "h", HOLD).await.unwrap(), Some(requested));
    store.done("segments", "h", later).await.unwrap();
    assert_eq!(store.claim("segments", "h", HOLD).await.unwrap(), None);
    assert_eq!(jobs(store).await[1], stored(&known, later));
    // A process that was killed leaves the request behind.
    assert!(requests::request(store, &known).await.unwrap());
    assert_eq!(
        store.claim("segments", "killed", HOLD).await.unwrap(),
        Some(requested)
    );
    change(
        &db,
        "update sync.schedule set claimed_until = now() - interval '1 second'",
    )
    .await;
    assert_eq!(store.claim("segments", "h", HOLD).await.unwrap(), Some(requested));
}

#[tokio::test]
async fn services_are_alive_for_three_heartbeats_and_ten_seconds() {
    let db = fixture().await;
    let store = &db.store;
    let alive = async || {
        let state = timetable::read(store, "segments").await.unwrap();
        state
            .alive()
            .map(|service| service.holder.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(alive().await, [""; 0]);
    store.beat("a", Duration::from_secs(5)).await.unwrap();
    store.beat("b", Duration::from_secs(2)).await.unwrap();
    assert_eq!(alive().await, ["b", "a"], "the latest first");
    let state = timetable::read(store, "segments").await.unwrap();
    assert_eq!(state.starts_within(), Some(Duration::from_secs(2)));
    let silent =
        async |seconds: i32| {
            change(&db, &format!(
            "update sync.services set seen_at = now() - interval '{seconds} seconds' where holder = 'a'"
        ))
        .await;
        };
    silent(24).await;
    assert_eq!(alive().await, ["b", "a"]);
    silent(26).await;
    assert_eq!(alive().await, ["b"]);
    // From before the clock was set back.
    silent(-3600).await;
    assert_eq!(alive().await, ["b"]);
    silent(90_000).await;
    store.beat("b", Duration::from_secs(2)).await.unwrap();
    assert_eq!(
        db.one::<i64>("select count(*) from sync.services").await,
        1,
        "a day of silence"
    );
    store.leave("b").await.unwrap();
    assert_eq!(db.one::<i64>("select count(*) from sync.services").await, 0);
}
