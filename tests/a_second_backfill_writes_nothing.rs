//! An unchanged profile costs no write: PostgreSQL's own counters and its WAL say so.

use std::time::Duration;

use simulated_tenant::shape::Shape;

use crate::support::database::Database;
use crate::support::{Scene, eventually, scene, small};

/// `n_tup_ins`, `n_tup_upd`, `n_tup_del` of the tables of `blueconic`, partitions included, by name.
async fn writes(database: &Database) -> Vec<(String, i64, i64, i64)> {
    // A session hands in its last counts when it ends, which is a moment after its client is gone.
    eventually(
        "the program's sessions end",
        Duration::from_secs(30),
        async || {
            let sessions: i64 = database
                .one("select count(*) from pg_stat_activity where application_name like 'blueconic-sync%'")
                .await;
            (sessions == 0).then_some(())
        },
    )
    .await;
    database.run("select pg_stat_clear_snapshot()").await;
    database
        .rows(
            "select relname::text, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables
             where schemaname = 'blueconic' order by relname",
        )
        .await
}

async fn wal(database: &Database) -> i64 {
    database
        .one("select (pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'))::bigint")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_full_backfill_writes_no_row_and_hardly_any_log() {
    let cluster = crate::support::cluster::Cluster::start();
    let Scene {
        tenant,
        program,
        database: _database,
    } = scene(small(30_000)).await;
    // A server of its own: its log is this test's alone.
    let database = Database::on(&cluster).await;
    // Autovacuum may begin in either run, and its log would count.
    database.run("alter system set autovacuum = off").await;
    database.run("select pg_reload_conf()").await;
    let program = program.with("DATABASE_URL", &database.url);
    // Each small list costs a staging table, which has nothing to do with the number of profiles.
    let command = [
        "backfill",
        "--full",
        "segments",
        "profile_properties",
        "profiles",
        "audit_events",
    ];
    let start = wal(&database).await;
    program.expect(0, &command).await;
    let (first, before) = (wal(&database).await - start, writes(&database).await);
    let profiles = before.iter().find(|(table, ..)| table == "profiles").unwrap();
    assert!(profiles.1 >= 30_000, "the counters count: {profiles:?}");
    // What the first one left to autovacuum and to a checkpoint is done before, so that it does not count here.
    database.run("vacuum blueconic.profiles").await;
    database.run("checkpoint").await;
    let start = wal(&database).await;
    program.expect(0, &command).await;
    let second = wal(&database).await - start;
    assert_eq!(writes(&database).await, before);
    // Most of it is the images of some sixty catalog pages that the staging tables touch first after the checkpoint.
    assert!(second * 40 < first, "{second} bytes of log after {first}");
    let unchanged: i64 = database
        .one("select rows_unchanged from sync.runs where resource = 'profiles' order by started_at desc limit 1")
        .await;
    assert_eq!(unchanged, 30_000);
    drop(tenant);
    database.pool.close().await;
}

/// The bytes differ, the meaning does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_answers_in_a_new_order_changes_no_content() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(2_000)).await;
    program.expect(0, &["backfill", "--full"]).await;
    let content = "select md5(string_agg(id || synced_at || properties::text, ',' order by id)) from blueconic.profiles";
    let before: String = database.one(content).await;
    tenant.set_shape(Shape {
        shuffled_lists: true,
        ..Shape::default()
    });
    program.expect(0, &["backfill", "--full"]).await;
    assert_eq!(before, database.one::<String>(content).await);
    let (updated, rehashed): (i64, i64) = database
        .rows("select rows_updated, rows_rehashed from sync.runs where resource = 'profiles' order by started_at desc")
        .await[0];
    assert_eq!(updated, 0);
    assert!(
        rehashed <= 1_000,
        "at most 1,000 rows (or 5%) are rehashed, not {rehashed}"
    );
}
