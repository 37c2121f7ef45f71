//! Jobs: due, claimed by one, done.

use std::time::Duration;

use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::job::Job;
use blueconic_sync::model::ports::JobStore as _;
use chrono::TimeDelta;

use crate::support::fixture::{PROFILES_INCREMENT, SEGMENTS, another_store, fixture};

const HOLD: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_due_job_is_claimed_by_one() {
    let db = fixture().await;
    let store = &db.store;
    let now = blueconic_sync::model::ports::JobStore::now(store).await.unwrap();
    let job = |name: &str, slot| Job {
        name: name.to_owned(),
        slot,
        cron: "*/5 * * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
    };
    let due = job("profiles/increment", PROFILES_INCREMENT);
    let later = job("segments", SEGMENTS);
    store.put(&due, now - TimeDelta::seconds(1)).await.unwrap();
    store.put(&later, now + TimeDelta::hours(1)).await.unwrap();
    assert!(!store.claim("segments", "h", HOLD).await.unwrap());

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
    assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 1);
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
    assert!(
        !store.claim("profiles/increment", "other", HOLD).await.unwrap(),
        "done by a stranger"
    );

    let next = now + TimeDelta::minutes(5);
    store.done("profiles/increment", &holder, next).await.unwrap();
    assert_eq!(
        store.stored().await.unwrap(),
        [(due.clone(), next), (later, now + TimeDelta::hours(1))]
    );
    store.keep_only(&["profiles/increment".to_owned()]).await.unwrap();
    assert_eq!(store.stored().await.unwrap(), [(due, next)]);
    store.keep_only(&[]).await.unwrap();
    assert_eq!(store.stored().await.unwrap(), []);
}
