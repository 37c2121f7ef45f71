//! The ledger of usage: one row a month, whoever adds to it, and what runs cost.

use std::time::Duration;

use blueconic_sync::model::ports::{RunHistory as _, UsageStore as _};
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::usage::{MonthTotals, Used};
use sqlx::{Connection as _, PgConnection};

use crate::support::fixture::{another_store, fixture, run};

const MORE: Used = Used {
    requests: 1,
    received: 10,
    unpacked: 40,
    profiles: 3,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_processes_add_at_once_is_in_the_month() {
    let db = fixture().await;
    let empty = db.store.usage().await.unwrap();
    assert_eq!((empty.requests.used, empty.last_month), (0, None));
    assert!(empty.costs.is_empty());
    let mut connection = PgConnection::connect_with(&db.options).await.unwrap();
    run(
        &mut connection,
        "insert into sync.usage values
           ((date_trunc('month', now() at time zone 'UTC') - interval '1 month')::date, 7, 70, 280, 21, now(), now()),
           ((date_trunc('month', now() at time zone 'UTC') - interval '2 months')::date, 1, 1, 1, 1, now(), now()),
           ((date_trunc('month', now() at time zone 'UTC') - interval '12 months')::date, 9, 9, 9, 9, now(), now())",
    )
    .await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = another_store(&db.options, Duration::from_secs(30)).await;
        tasks.spawn(async move {
            let mut last = (0, 0);
            for _ in 0..20 {
                last = store.add_usage(&MORE).await.unwrap();
            }
            last
        });
    }
    let most = tasks.join_all().await.into_iter().max();
    assert_eq!(most, Some((120, 1200)), "each write returns the month so far");
    let usage = db.store.usage().await.unwrap();
    assert_eq!(
        (
            usage.requests.used,
            usage.bytes_received.used,
            usage.bytes_unpacked,
            usage.profiles_read
        ),
        (120, 1200, 4800, 360)
    );
    let last = MonthTotals {
        requests: 7,
        bytes_received: 70,
        profiles_read: 21,
    };
    assert_eq!(usage.last_month, Some(last));
    let months = db.store.overview().await.unwrap().months;
    let requests: Vec<i64> = months.iter().map(|month| month.requests).collect();
    assert_eq!(
        requests,
        [1, 7, 120],
        "the oldest first, without the month a year ago"
    );
    let right: bool = db
        .one(&format!(
            "select '{}'::timestamptz <= now() and '{}'::timestamptz > now()
               and count(*) = 4 and max(month)::timestamp at time zone 'UTC' = '{0}'::timestamptz
             from sync.usage",
            usage.starts_at.to_rfc3339(),
            usage.ends_at.to_rfc3339()
        ))
        .await;
    assert!(right, "{usage:?}");
}

/// A walk of several runs costs what all of them took, and a failed run is paid by those that came to their end.
#[tokio::test]
async fn a_run_costs_what_was_sent_until_one_came_to_its_end() {
    let db = fixture().await;
    let mut connection = PgConnection::connect_with(&db.options).await.unwrap();
    run(
        &mut connection,
        "insert into sync.runs (id, resource, mode, status, started_at, finished_at, requests, bytes_read)
         select gen_random_uuid(), 'profiles', mode, status, now() - ago, now() - ago + interval '10 seconds', requests, 1000
         from (values
           ('full', 'interrupted', interval '5 hours', 30), ('full', 'interrupted', interval '4 hours', 30),
           ('full', 'succeeded', interval '3 hours', 40), ('full', 'failed', interval '2 hours', 20),
           ('full', 'partial', interval '1 hour', 80),
           ('increment', 'failed', interval '1 hour', 3)
         ) as r (mode, status, ago, requests);
         insert into sync.runs (id, resource, mode, status, started_at, requests)
         values (gen_random_uuid(), 'profiles', 'full', 'running', now(), 900);
         insert into sync.runs (id, resource, mode, status, started_at, finished_at, requests)
         select gen_random_uuid(), 'segments', 'full', 'succeeded', now() - number * interval '1 hour', now(), number
         from generate_series(1, 60) as number",
    )
    .await;
    let usage = db.store.usage().await.unwrap();
    let full = usage.cost("profiles", Scope::Full).unwrap();
    assert_eq!(full.runs, 2);
    let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted}");
    close(full.requests, 100.0);
    close(full.bytes_unpacked, 2500.0);
    close(full.seconds, 25.0);
    assert!(full.last_ended_at.unwrap() > full.last_started_at);
    assert!(!full.is_open && !full.was_complete, "no cursor");
    let increment = usage.cost("profiles", Scope::Increment).unwrap();
    assert_eq!((increment.runs, increment.last_ended_at), (0, None));
    close(increment.requests, 3.0);
    // The last thirty alone.
    close(usage.cost("segments", Scope::Full).unwrap().requests, 15.5);
    assert_eq!(usage.cost("audit_events", Scope::Increment), None);
}
