//! What the status page reads besides the state: days of runs, single runs, gaps, rejects; and that it costs the same whether there are a
//! hundred runs or ten thousand.

use std::time::Duration;

use blueconic_sync::model::job::Job;
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::overview::RunQuery;
use blueconic_sync::model::ports::{JobStore, Observer as _, RunHistory as _, RunStore as _};
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::{Cause, RunStatus};
use blueconic_sync::postgres::{requests, store::PostgresStore};
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::support::eventually;
use crate::support::fixture::{Fixture, PROFILES_FULL, SEGMENTS, another_store, fixture};

const MIGRATION: &str = include_str!("../../migrations/0048_run_days.sql");

fn ended(status: RunStatus, inserted: u64) -> Ledger {
    Ledger {
        status,
        counts: Counts {
            read: inserted,
            inserted,
            ..Counts::default()
        },
        error: None,
        hint: None,
    }
}

async fn days(store: &PostgresStore) -> Vec<(String, &'static str, i64, i64)> {
    let overview = store.overview().await.unwrap();
    let days = overview.days.into_iter();
    days.map(|day| (day.resource, day.status.as_str(), day.runs, day.rows_written))
        .collect()
}

async fn run(db: &Fixture, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&db.look).await.unwrap();
}

/// The statement of the migration that fills in the days of runs that were there before.
fn filling() -> String {
    let (_, rest) = MIGRATION.split_once("\ninsert into sync.run_days").unwrap();
    format!("insert into sync.run_days{}", rest.split(';').next().unwrap())
}

#[tokio::test]
async fn each_run_is_added_to_its_day_once_when_it_ends() {
    let db = fixture().await;
    let lease = db.lease(SEGMENTS).await;
    assert_eq!(days(&db.store).await, []);
    db.store
        .close(&lease, &ended(RunStatus::Succeeded, 3))
        .await
        .unwrap();
    // Closing again closes nothing.
    db.store
        .close(&lease, &ended(RunStatus::Failed, 9))
        .await
        .unwrap();
    let lease = db.lease(SEGMENTS).await;
    db.store
        .close(&lease, &ended(RunStatus::Succeeded, 4))
        .await
        .unwrap();
    let lapsed = db.lease(SEGMENTS).await;
    run(&db, "update sync.leases set expires_at = 'epoch'").await;
    let lease = db.lease(SEGMENTS).await;
    let expected = [
        ("segments".to_owned(), "interrupted", 1, 0),
        ("segments".to_owned(), "succeeded", 2, 7),
    ];
    assert_eq!(days(&db.store).await, expected);
    db.store
        .close(&lapsed, &ended(RunStatus::Succeeded, 5))
        .await
        .unwrap();
    assert_eq!(days(&db.store).await, expected);
    db.store
        .close(&lease, &ended(RunStatus::Partial, 1))
        .await
        .unwrap();

    // What the migration makes of the same runs is the same.
    let all = "select array_agg(d::text order by d::text) from sync.run_days as d";
    let before: Vec<String> = db.one(all).await;
    run(&db, &format!("delete from sync.run_days; {}", filling())).await;
    assert_eq!(db.one::<Vec<String>>(all).await, before);
    // Days that are no longer shown leave, those of other slots stay.
    run(
        &db,
        "insert into sync.run_days select resource, mode, day - ago, status, 1, 1, 1, 1, 1, 1, 1
         from sync.run_days, unnest(array[29, 30, 59, 60]) as ago where status = 'partial';
         insert into sync.run_days select 'profiles', mode, day, status, 1, 1, 1, 1, 1, 1, 1 from sync.run_days where status = 'partial'",
    )
    .await;
    assert_eq!(days(&db.store).await.len(), 6);
    let lease = db.lease(SEGMENTS).await;
    db.store
        .close(&lease, &ended(RunStatus::Partial, 1))
        .await
        .unwrap();
    let kept = "select concat_ws(' ', resource, (sync.clock() at time zone 'UTC')::date - day, runs) from sync.run_days
                where status = 'partial' order by resource, day desc";
    assert_eq!(
        db.texts(kept).await,
        [
            "profiles 0 1",
            "profiles 29 1",
            "profiles 30 1",
            "profiles 59 1",
            "profiles 60 1",
            "segments 0 2",
            "segments 29 1",
            "segments 30 1",
            "segments 59 1"
        ]
    );
}

#[tokio::test]
async fn a_run_says_what_started_it() {
    let db = fixture().await;
    let cause = async || {
        let lease = db.lease(SEGMENTS).await;
        let detail = db.store.run_detail(lease.run_id).await.unwrap().unwrap();
        db.store
            .close(&lease, &ended(RunStatus::Succeeded, 0))
            .await
            .unwrap();
        detail.run.cause
    };
    assert_eq!(cause().await, Some(Cause::Command));
    let job = Job {
        name: "segments".to_owned(),
        slot: SEGMENTS,
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
    };
    db.store
        .put(&job, JobStore::now(&db.store).await.unwrap())
        .await
        .unwrap();
    let claim = async |holder: &str| {
        let hold = Duration::from_secs(30);
        assert!(db.store.claim("segments", holder, hold).await.unwrap().is_some());
    };
    // Somebody else's job is not what started a run of ours.
    claim("another").await;
    assert_eq!(cause().await, Some(Cause::Command));
    run(&db, "update sync.schedule set claimed_until = 'epoch'").await;
    claim(db.store.holder()).await;
    assert_eq!(cause().await, Some(Cause::Schedule));
    run(&db, "update sync.schedule set claimed_until = 'epoch'").await;
    assert!(requests::request(&db.store, &job).await.unwrap());
    claim(db.store.holder()).await;
    assert_eq!(cause().await, Some(Cause::Request));
    let jobs = db.store.overview().await.unwrap().jobs;
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].is_running && jobs[0].is_requested && jobs[0].pause.is_none());
    run(
        &db,
        "insert into sync.pauses values ('segments', now(), null, 'somebody')",
    )
    .await;
    let jobs = db.store.overview().await.unwrap().jobs;
    assert_eq!(jobs[0].pause.as_ref().unwrap().by, "somebody");
}

/// Reasons and names of fields, no ids and no values.
#[tokio::test]
async fn rejects_are_counted_by_reason_and_field() {
    let db = fixture().await;
    let lease = db.lease(PROFILES_FULL).await;
    let reject = |id: u32, reason: &str, detail: &str, resolved: &str| {
        format!(
            "insert into sync.rejects (resource, element_id, reason, detail, raw, raw_bytes, sha256, run_id, noticed_at, resolved_at)
             values ('profiles', '{id}', '{reason}', '{detail}', 'secret', 6, '\\x00', '{}', now(), {resolved});",
            lease.run_id
        )
    };
    let all = [
        reject(
            1,
            "wrong_shape",
            "`creationDate` is not a date: somebody@example.com",
            "null",
        ),
        reject(2, "wrong_shape", "`creationDate` is not a date: 7", "now()"),
        reject(3, "wrong_shape", "`somebody@example.com` is not a text", "null"),
        reject(4, "wrong_shape", "somebody@example.com is wrong", "null"),
        reject(
            5,
            "too_large",
            "larger than `limits.element_size` (9 bytes)",
            "null",
        ),
    ]
    .concat();
    run(&db, &all).await;
    let detail = db.store.run_detail(lease.run_id).await.unwrap().unwrap();
    let found: Vec<_> = detail
        .rejects
        .iter()
        .map(|one| (one.reason.as_str(), one.field.as_deref(), one.count, one.resolved))
        .collect();
    assert_eq!(
        found,
        [
            ("wrong_shape", Some("creationDate"), 2, 1),
            ("wrong_shape", None, 2, 0),
            ("too_large", None, 1, 0),
        ]
    );
    let open = db.store.overview().await.unwrap().rejects;
    let open: Vec<_> = open.iter().map(|one| (one.reason.as_str(), one.count)).collect();
    assert_eq!(open, [("too_large", 1), ("wrong_shape", 3)]);
    assert_eq!(db.store.run_detail(Uuid::nil()).await.unwrap(), None);
}

/// How many rows of `sync.runs` the pages read. A session tells of its reads at the latest when it ends.
async fn rows_read(db: &Fixture) -> i64 {
    let sql = "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relid = 'sync.runs'::regclass";
    let count = async |pool: &PgPool| sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap();
    let before = count(&db.look).await;
    let store = another_store(&db.options, Duration::from_secs(30)).await;
    let query = RunQuery {
        resource: Some("segments".to_owned()),
        ..RunQuery::default()
    };
    store.status().await.unwrap();
    store.overview().await.unwrap();
    let list = store.run_list(&query).await.unwrap().unwrap();
    assert_eq!((list.runs.len(), list.has_older), (50, true));
    assert!(store.run_detail(list.runs[0].id).await.unwrap().is_some());
    store.disconnect().await;
    eventually("its sessions have ended", Duration::from_secs(10), async || {
        let others = "select count(*) from pg_stat_activity
                      where datname = current_database() and application_name like 'blueconic-sync %' and pid <> pg_backend_pid()";
        let others: i64 = sqlx::query_scalar(others).fetch_one(&db.look).await.unwrap();
        (others == 0).then_some(())
    })
    .await;
    count(&db.look).await - before
}

/// Runs of all slots, evenly over 29 days, of which one in seven failed. What this itself reads is told at once.
async fn with_runs(db: &Fixture, runs: u32) {
    run(
        db,
        &format!(
            "insert into sync.runs (id, resource, mode, status, started_at, finished_at, rows_read, rows_inserted)
             select gen_random_uuid(), resource, mode, case when number % 7 = 0 then 'failed' else 'succeeded' end, at,
               at + interval '1 second', 10, 1
             from (values ('segments', 'full'), ('profiles', 'full'), ('profiles', 'increment'), ('audit_events', 'increment'))
               as slot (resource, mode)
             cross join generate_series(1, {runs}) as number
             cross join lateral (select sync.clock() - number * interval '29 days' / {runs} as at) as t;
             delete from sync.run_days; {};
             analyze sync.runs, sync.run_days; select pg_stat_force_next_flush()",
            filling()
        ),
    )
    .await;
}

/// How many pages of 8 KiB the view `freshness` reads.
async fn pages_of_freshness(db: &Fixture) -> i64 {
    let explain = "explain (analyze, buffers, format json) select * from blueconic.freshness";
    let plan: Json<Value> = sqlx::query_scalar(explain).fetch_one(&db.look).await.unwrap();
    let buffers = |name: &str| plan.0[0]["Plan"][name].as_i64().unwrap();
    buffers("Shared Hit Blocks") + buffers("Shared Read Blocks")
}

#[tokio::test]
async fn the_view_of_freshness_reads_few_pages_however_many_runs_there_are() {
    let db = fixture().await;
    db.store.record_resources(RESOURCES).await.unwrap();
    with_runs(&db, 100).await;
    let few = pages_of_freshness(&db).await;
    run(&db, "truncate sync.runs").await;
    with_runs(&db, 10_000).await;
    let many = pages_of_freshness(&db).await;
    // An index of 40,000 rows has one more level, for each look-up.
    assert!(
        many > 0 && many <= 2 * few,
        "{few} pages of 400 runs, {many} of 40,000"
    );
}

#[tokio::test]
async fn ten_thousand_runs_cost_no_more_than_a_hundred() {
    let db = fixture().await;
    db.store.record_resources(RESOURCES).await.unwrap();
    // The fixture's own sessions would be counted.
    db.store.disconnect().await;
    with_runs(&db, 100).await;
    let few = rows_read(&db).await;
    run(&db, "truncate sync.runs").await;
    with_runs(&db, 10_000).await;
    let many = rows_read(&db).await;
    assert!(
        many > 0 && many <= few.max(500),
        "{few} rows of 400 runs, {many} of 40,000"
    );
    let days: i64 = db.one("select count(*) from sync.run_days").await;
    assert!(days <= 4 * 30 * 2, "{days}");
}

#[tokio::test]
async fn runs_come_in_pages_each_once() {
    let db = fixture().await;
    with_runs(&db, 60).await;
    // Runs that began at one moment, too.
    run(&db, "update sync.runs set started_at = date_trunc('day', started_at), finished_at = null where resource = 'profiles'").await;
    let mut query = RunQuery {
        resource: Some("profiles".to_owned()),
        ..RunQuery::default()
    };
    let mut met: Vec<Uuid> = Vec::new();
    loop {
        let list = db.store.run_list(&query).await.unwrap().unwrap();
        met.extend(list.runs.iter().map(|run| run.id));
        query.before = list.runs.last().map(|run| run.id);
        if !list.has_older {
            break;
        }
    }
    let expected = "select id from sync.runs where resource = 'profiles' order by started_at desc, id desc";
    let expected: Vec<Uuid> = sqlx::query_scalar(expected).fetch_all(&db.look).await.unwrap();
    assert_eq!(met, expected);
    query.before = Some(Uuid::nil());
    assert!(db.store.run_list(&query).await.unwrap().is_none());
    let increments = RunQuery {
        scope: Some(Scope::Increment),
        ..RunQuery::default()
    };
    let list = db.store.run_list(&increments).await.unwrap().unwrap();
    assert!(list.runs.iter().all(|run| run.mode == Scope::Increment));
    assert!(list.runs.iter().any(|run| run.resource == "audit_events"));
}
