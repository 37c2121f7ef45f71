//! What is no longer kept leaves, and nothing else: runs into totals by day, audit events by whole months.

use std::time::Duration;

use blueconic_sync::model::retention::{Kept, Removed};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::support::fixture::{Fixture, fixture, run};

const DAY: Duration = Duration::from_hours(24);
/// What must be the same before and after: sums over the runs that are there and the totals of those that are not.
const SUMS: &str = "
select concat_ws(' ', resource, mode, status, sum(runs), sum(rows_read), sum(rows_inserted), sum(bytes_read), round(sum(seconds)::numeric, 3))
from (
  select resource, mode, status, 1 as runs, rows_read, rows_inserted, bytes_read, extract(epoch from finished_at - started_at) as seconds
  from sync.runs
  union all select resource, mode, status, runs, rows_read, rows_inserted, bytes_read, seconds from sync.run_totals
) as all_runs group by resource, mode, status order by 1";

async fn tidy(db: &Fixture, kept: Kept) -> Removed {
    db.store
        .keep_house(kept, &CancellationToken::new())
        .await
        .unwrap()
}

/// Two runs a day of four kinds for 800 days, and one kind whose last run was 500 days ago.
async fn with_runs(db: &Fixture) {
    let mut connection = PgConnection::connect_with(&db.options).await.unwrap();
    run(
        &mut connection,
        "insert into sync.runs (id, resource, mode, status, started_at, finished_at, rows_read, rows_inserted, bytes_read)
         select gen_random_uuid(), resource, 'full', status, at, at + interval '1.5 seconds' * (number % 7), number, number % 3, number * 10
         from generate_series(1, 1600) as number
         cross join lateral (select sync.clock() - number * interval '12 hours' - interval '1 hour' as at) as t
         cross join (values ('segments', 'succeeded'), ('segments', 'failed'), ('profiles', 'succeeded'), ('profiles', 'partial'))
           as kind (resource, status);
         insert into sync.runs (id, resource, mode, status, started_at, finished_at, rows_read)
         select gen_random_uuid(), 'users', 'full', 'skipped', at, at, 1
         from (values (sync.clock() - interval '500 days'), (sync.clock() - interval '600 days')) as old (at);
         insert into sync.runs (id, resource, mode, status, started_at)
         values (gen_random_uuid(), 'segments', 'full', 'running', sync.clock() - interval '700 days')",
    )
    .await;
}

#[tokio::test]
async fn old_runs_become_totals_and_the_last_of_each_kind_stays() {
    let db = fixture().await;
    with_runs(&db).await;
    let before = db.texts(SUMS).await;
    let kept = Kept {
        runs: DAY * 365,
        audit_events: None,
    };
    let removed = tidy(&db, kept).await;
    assert_eq!(removed.runs, 4 * 871 + 1);
    assert_eq!(db.texts(SUMS).await, before);
    let left = "select concat_ws(' ', resource, status, count(*)) from sync.runs group by resource, status order by 1";
    assert_eq!(
        db.texts(left).await,
        [
            "profiles partial 729",
            "profiles succeeded 729",
            "segments failed 729",
            "segments running 1",
            "segments succeeded 729",
            "users skipped 1"
        ]
    );
    let oldest = "select count(*) from sync.runs where finished_at < sync.clock() - interval '365 days'";
    assert_eq!(db.one::<i64>(oldest).await, 1);
    assert_eq!(tidy(&db, kept).await, Removed::default());

    // Fewer days: the totals of a day that is there already grow.
    let shorter = Kept {
        runs: DAY * 100,
        ..kept
    };
    assert!(tidy(&db, shorter).await.runs > 2000);
    assert_eq!(db.texts(SUMS).await, before);
}

#[tokio::test]
async fn a_stop_ends_it_between_two_steps() {
    let db = fixture().await;
    with_runs(&db).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let kept = Kept {
        runs: DAY * 365,
        audit_events: Some(DAY * 365),
    };
    assert_eq!(
        db.store.keep_house(kept, &stop).await.unwrap(),
        Removed::default()
    );
}

/// Partitions for the last 26 months with an event each.
async fn with_events(db: &Fixture) -> PgConnection {
    let mut connection = PgConnection::connect_with(&db.options).await.unwrap();
    run(
        &mut connection,
        "select sync.make_month_partitions('audit_events', sync.clock() - interval '25 months', sync.clock());
         insert into blueconic.audit_events (occurred_at, event_key, occurrence, objects, synced_at)
         select sync.clock() - number * interval '1 month', sha256(number::text::bytea), 0, '[]', sync.clock()
         from generate_series(0, 25) as number",
    )
    .await;
    connection
}

const KEPT: Kept = Kept {
    runs: Duration::from_hours(24 * 365),
    audit_events: Some(Duration::from_hours(24 * 365)),
};
const EVENTS: &str = "select count(*) from blueconic.audit_events";
const TABLES: &str = "select count(*) from pg_class where relname ~ '^audit_events_y' and relkind = 'r'
                      and relnamespace = 'blueconic'::regnamespace";

#[tokio::test]
async fn months_of_audit_events_leave_whole() {
    let db = fixture().await;
    let mut connection = with_events(&db).await;
    let last =
        "select count(*) from blueconic.audit_events where occurred_at >= sync.clock() - interval '365 days'";
    let young: i64 = db.one(last).await;
    let for_ever = Kept {
        audit_events: None,
        ..KEPT
    };
    assert_eq!(tidy(&db, for_ever).await, Removed::default());
    let removed = tidy(&db, KEPT).await;
    assert_eq!(removed.postponed, None);
    assert!((12..=14).contains(&removed.partitions.len()), "{removed:?}");
    assert_eq!(db.one::<i64>(last).await, young);
    let events: i64 = db.one(EVENTS).await;
    assert!(events - young <= 1, "one month is older only in part");
    assert_eq!(db.one::<i64>(TABLES).await, events);
    assert_eq!(tidy(&db, KEPT).await, Removed::default());
    // The months ahead can be made as before.
    run(
        &mut connection,
        "select sync.make_month_partitions('audit_events', sync.clock(), sync.clock() + interval '2 months')",
    )
    .await;
}

#[tokio::test]
async fn a_reader_in_the_way_is_not_waited_for_for_ever_and_makes_nobody_wait() {
    let db = fixture().await;
    let mut other = with_events(&db).await;
    let mut reader = PgConnection::connect_with(&db.options).await.unwrap();
    run(&mut reader, "begin; select count(*) from blueconic.audit_events").await;
    let store = db.store.clone();
    let tidying = tokio::spawn(async move { store.keep_house(KEPT, &CancellationToken::new()).await });
    let waits = "select count(*) from pg_stat_activity where query like '%detach partition%' and wait_event_type = 'Lock'";
    crate::support::eventually(
        "it waits for the reader",
        crate::support::program::LONG,
        async || (db.one::<i64>(waits).await == 1).then_some(()),
    )
    .await;
    run(
        &mut other,
        "set statement_timeout = '5s'; select count(*) from blueconic.audit_events;
         insert into blueconic.audit_events (occurred_at, event_key, occurrence, objects, synced_at)
         values (sync.clock(), sha256('new'), 0, '[]', sync.clock())",
    )
    .await;
    run(&mut reader, "rollback").await;
    let removed = tidying.await.unwrap().unwrap();
    assert!(removed.partitions.len() >= 12, "{removed:?}");
    assert_eq!(tidy(&db, KEPT).await, Removed::default());
}

#[tokio::test]
async fn what_was_broken_off_is_finished() {
    let db = fixture().await;
    let mut connection = with_events(&db).await;
    let names: Vec<String> = db
        .texts("select relname::text from pg_class where relname ~ '^audit_events_y.*m..$' and relkind = 'r' order by relname")
        .await;
    let detach = |name: &str, how: &str| {
        format!("alter table blueconic.audit_events detach partition blueconic.{name} {how}")
    };
    // One was detached and not dropped.
    run(&mut connection, &detach(&names[1], "")).await;
    // Of another one the detachment began, waited for a reader, and broke off.
    let mut reader = PgConnection::connect_with(&db.options).await.unwrap();
    run(&mut reader, "begin; select count(*) from blueconic.audit_events").await;
    run(&mut connection, "set lock_timeout = '100ms'").await;
    let detached = sqlx::raw_sql(AssertSqlSafe(detach(&names[0], "concurrently")));
    assert!(detached.execute(&mut connection).await.is_err());
    run(&mut reader, "rollback").await;
    let pending = "select count(*) from pg_inherits where inhdetachpending";
    assert_eq!(db.one::<i64>(pending).await, 1);

    let removed = tidy(&db, KEPT).await;
    assert_eq!(removed.partitions[..2], names[..2], "{removed:?}");
    assert_eq!(db.one::<i64>(pending).await, 0);
}
