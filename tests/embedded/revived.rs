//! A server that was killed comes back, under the cluster, a backfill and a service.

use std::path::Path;
use std::time::Duration;

use blueconic_sync::postgres::embedded::CONFIG;
use embedded_postgres::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{self, Tenant};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

use crate::support::database::Database;
use crate::support::discarded::Discarded;
use crate::support::program::{LONG, Program};
use crate::support::truth::{assert_ledgers_add_up, assert_profiles_equal};
use crate::support::{self, small};

use super::holder::{execute, folder, kill_server, number, processes};

#[tokio::test]
async fn a_server_that_was_killed_comes_back_at_the_same_address() {
    let folder = folder();
    let cluster = Cluster::start(&CONFIG, &folder.path().join("data"))
        .await
        .unwrap();
    let url = cluster.url();
    execute(&url, "create table kept as select 7 as n").await;
    cluster.revive().await.unwrap();
    kill_server(cluster.data_dir());
    cluster.revive().await.unwrap();
    assert_eq!(cluster.url(), url);
    assert_eq!(number(&url, "select n from kept").await, 7);
    cluster.stop().await.unwrap();
}

/// Under the real binary: the server is started again, what was lost with it is read again, and the run ends well.
#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_outlives_its_killed_server() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let tenant = Settings {
        latency: Duration::from_millis(25),
        ..small(3_000)
    };
    let tenant = tenant::start(tenant).await.unwrap();
    let program = embedded_program(&tenant, &data_dir).set("resources.profiles.page_size", "100");
    let mut running = program.start(&["backfill"]);
    support::eventually("pages are asked for", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (tenant.requests().count(Route::Profiles) >= 10).then_some(())
    })
    .await;
    tokio::task::block_in_place(|| kill_server(&data_dir));
    let ended = running.ended(LONG).await;
    ended.expect(0);
    ended.tells(&["the embedded PostgreSQL is gone; starting it again"]);
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    let database = look_at(&cluster);
    assert_profiles_equal(&database, &tenant).await;
    assert_ledgers_add_up(&database).await;
    database.pool.close().await;
    cluster.stop().await.unwrap();
    assert_eq!(processes(&data_dir), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_outlives_its_killed_server() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let tenant = tenant::start(small(200)).await.unwrap();
    let program = embedded_program(&tenant, &data_dir)
        .set("web.bind", "127.0.0.1:0")
        .set("schedule.heartbeat", "1s")
        .set("resources.segments.schedule", "* * * * * *");
    let mut running = program.start(&["serve"]);
    let succeeded = |text: &str| text.matches("segments/full succeeded").count();
    support::eventually("the first runs are over", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let reported = running.stderr();
        (succeeded(&reported) > 0 && reported.contains("audit_events/increment succeeded")).then_some(())
    })
    .await;
    for _ in 0..2 {
        let before = succeeded(&running.stderr());
        tokio::task::block_in_place(|| kill_server(&data_dir));
        support::eventually("it runs again", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            (succeeded(&running.stderr()) > before + 1).then_some(())
        })
        .await;
    }
    running.signal(Signal::SIGTERM);
    running.ended(LONG).await.expect(0);
    assert_eq!(processes(&data_dir), [], "nothing stays behind");
}

#[tokio::test]
async fn a_server_whose_supervisor_was_killed_is_ended_and_started_again() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    execute(&cluster.url(), "create table kept as select 7 as n").await;
    let data_dir = cluster.data_dir().to_owned();
    for (id, command) in processes(&data_dir) {
        if command.contains("blueconic-sync-postgres") {
            kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
        }
    }
    drop(cluster);
    assert_ne!(processes(&data_dir), []);
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select n from kept").await, 7);
    cluster.stop().await.unwrap();
    assert_eq!(processes(&data_dir), []);
}

fn embedded_program(tenant: &Tenant, data_dir: &Path) -> Program {
    Program::new(tenant.url(), "")
        .without("DATABASE_URL")
        .set("database.data_dir", data_dir.to_str().unwrap())
        .with("PATH", &std::env::var("PATH").unwrap())
}

fn look_at(cluster: &Cluster) -> Database {
    let options: PgConnectOptions = cluster.url().parse().unwrap();
    Database {
        name: options.get_database().unwrap().to_owned(),
        url: cluster.url(),
        pool: PgPool::connect_lazy_with(options),
        discarded: Discarded::never(),
    }
}
