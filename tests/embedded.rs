//! The embedded PostgreSQL from outside: real clusters, several processes, and every way to die.
#![expect(clippy::print_stdout, reason = "the helper process talks over its stdout")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use blueconic_sync::postgres::embedded::{CONFIG, hint};
use embedded_postgres::{Cluster, Error};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{self, Tenant};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, PgPool};
use tempfile::TempDir;

use crate::support::database::Database;
use crate::support::program::{LONG, Program};
use crate::support::truth::{assert_ledgers_add_up, assert_profiles_equal};
use crate::support::{self, small};

/// Tells the helper process what to hold: a data folder, or nothing for a temporary cluster.
const HOLD: &str = "BLUECONIC_SYNC_TEST_HOLD";

/// A folder that the server's user may reach, whoever runs the tests.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("bc").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn number(url: &str, sql: &'static str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    number
}

async fn execute(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

/// The processes whose command line names this path, as (id, command line).
fn processes(path: &Path) -> Vec<(i32, String)> {
    let path = path.to_str().unwrap();
    let output = if Path::new("/proc/self/cmdline").exists() {
        "cd /proc; for d in [0-9]*; do c=$(tr '\\0' ' ' <$d/cmdline); [ -z \"$c\" ] || echo $d $c; done"
    } else {
        "ps -A -ww -o pid=,args="
    };
    let output = Command::new("sh")
        .args(["-c", output])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.trim().split_once(' '));
    lines
        .filter(|(_, command)| command.contains(path))
        .map(|(id, command)| (id.parse().unwrap(), command.to_owned()))
        .collect()
}

/// Waits until a condition holds, and fails when it does not within ten seconds.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "not within ten seconds: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Another process that holds a cluster, until it is killed.
struct Holder {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Holder {
    fn spawn(data_dir: Option<&Path>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "embedded::hold_until_killed",
            "--ignored",
            "--nocapture",
        ]);
        command
            .env(HOLD, data_dir.unwrap_or(Path::new("")))
            .stdout(Stdio::piped())
            .stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next answer: the data folder once the cluster is ready.
    fn answer(&mut self) -> PathBuf {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines
            .find_map(|line| line.split_once("holds ").map(|(_, path)| PathBuf::from(path)))
            .unwrap()
    }

    fn kill(&mut self) {
        kill(
            Pid::from_raw(self.child.id().try_into().unwrap()),
            Signal::SIGKILL,
        )
        .unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.kill();
        }
    }
}

/// No test of its own: the process that the others start and kill.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the helper process of the other tests"]
async fn hold_until_killed() {
    let data_dir = std::env::var_os(HOLD).unwrap();
    let held = if data_dir.is_empty() {
        Cluster::temporary(&CONFIG).await.unwrap()
    } else {
        Cluster::start(&CONFIG, Path::new(&data_dir)).await.unwrap()
    };
    println!("holds {}", held.data_dir().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn data_stay_between_runs_and_nothing_else_does() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    execute(&cluster.url(), "create table kept as select 7 as n").await;
    assert!(cluster.bin_dir().join("initdb").exists());
    let (home, run) = (cluster.data_dir().to_owned(), cluster.socket_dir().to_owned());
    cluster.stop().await.unwrap();
    assert_eq!(processes(&home), []);
    assert!(!run.exists());

    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select n from kept").await, 7);
    let settings = "select (current_setting('fsync')::bool and current_setting('server_encoding') = 'UTF8'
        and current_setting('listen_addresses') = '')::int";
    assert_eq!(number(&cluster.url(), settings).await, 1);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn libpq_reads_the_address_too() {
    let folder = folder();
    let cluster = Cluster::start(&CONFIG, &folder.path().join("with a blank & more"))
        .await
        .unwrap();
    let psql = cluster.bin_dir().join("psql");
    let output = Command::new(psql)
        .args([&cluster.url(), "-XAtc", "select current_database()"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "blueconic");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_process_joins_and_the_last_one_ends_the_cluster() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut holder = Holder::spawn(Some(&data_dir));
    let home = holder.answer();
    let joined = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    execute(&joined.url(), "create table shared as select 1 as n").await;

    // The one that started it is killed; the one that joined does not notice.
    holder.kill();
    assert_eq!(number(&joined.url(), "select n from shared").await, 1);
    let mut another = Holder::spawn(Some(&data_dir));
    another.answer();
    joined.stop().await.unwrap();
    assert_ne!(processes(&home), []);
    another.kill();
    eventually("the cluster ends with its last holder", || {
        processes(&home).is_empty()
    });
}

#[tokio::test]
async fn a_killed_process_leaves_no_server_and_no_file() {
    let mut holder = Holder::spawn(None);
    let home = holder.answer();
    assert_ne!(processes(&home), []);
    holder.kill();
    eventually("the server is gone", || processes(&home).is_empty());
    assert!(!home.exists());
}

#[tokio::test]
async fn a_process_killed_while_it_makes_the_cluster_leaves_nothing() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut holder = Holder::spawn(Some(&data_dir));
    eventually("initdb is at work", || {
        processes(&data_dir)
            .iter()
            .any(|(_, command)| command.contains("initdb"))
    });
    holder.kill();
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select 1").await, 1);
    let home = cluster.data_dir().to_owned();
    cluster.stop().await.unwrap();
    assert_eq!(processes(&home), []);
    let left: Vec<_> = fs::read_dir(&home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with("pgdata.new")),
        "{left:?}"
    );
}

#[tokio::test]
async fn temporary_clusters_are_apart_and_vanish() {
    let (first, second) = tokio::try_join!(Cluster::temporary(&CONFIG), Cluster::temporary(&CONFIG)).unwrap();
    assert_ne!(first.url(), second.url());
    let (home, other) = (first.data_dir().to_owned(), second.data_dir().to_owned());
    first.stop().await.unwrap();
    assert!(!home.exists());
    drop(second);
    eventually("a dropped cluster goes as well", || {
        !other.exists() && processes(&other).is_empty()
    });
}

#[tokio::test]
async fn starters_at_the_same_moment_share_one_cluster() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let mut others = [Holder::spawn(Some(&data_dir)), Holder::spawn(Some(&data_dir))];
    let (first, second) = tokio::try_join!(
        Cluster::start(&CONFIG, &data_dir),
        Cluster::start(&CONFIG, &data_dir)
    )
    .unwrap();
    for other in &mut others {
        other.answer();
    }
    assert_eq!(first.url(), second.url());
    let servers = processes(first.data_dir());
    let servers: Vec<_> = servers
        .iter()
        .filter(|(_, command)| command.contains("/postgres -D"))
        .collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    others.iter_mut().for_each(Holder::kill);
    first.stop().await.unwrap();
    assert_eq!(number(&second.url(), "select 1").await, 1);
    second.stop().await.unwrap();
}

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
        let told = running.stderr();
        (succeeded(&told) > 0 && told.contains("audit_events/increment succeeded")).then_some(())
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
    }
}

#[tokio::test]
async fn a_server_whose_supervisor_was_killed_is_ended_and_started_again() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    execute(&cluster.url(), "create table kept as select 7 as n").await;
    let home = cluster.data_dir().to_owned();
    for (id, command) in processes(&home) {
        if command.contains("blueconic-sync-postgres") {
            kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
        }
    }
    drop(cluster);
    assert_ne!(processes(&home), []);
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select n from kept").await, 7);
    cluster.stop().await.unwrap();
    assert_eq!(processes(&home), []);
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_one() {
    let folder = folder();
    let data_dir = folder.path().join("long-".repeat(30)).join("and, with a comma");
    let cluster = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(number(&cluster.url(), "select 1").await, 1);
    let run = cluster.socket_dir().to_owned();
    assert!(
        run.starts_with("/tmp") && run.to_str().unwrap().len() < 60,
        "{run:?}"
    );
    assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o700);
    let joined = Cluster::start(&CONFIG, &data_dir).await.unwrap();
    assert_eq!(joined.url(), cluster.url());
    joined.stop().await.unwrap();
    cluster.stop().await.unwrap();
    assert!(!run.exists());
}

#[tokio::test]
async fn a_folder_with_other_things_is_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("thesis.tex"), "…").unwrap();
    let error = Cluster::start(&CONFIG, folder.path()).await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn data_of_another_version_are_named_with_both_versions() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    Cluster::start(&CONFIG, &data_dir)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    fs::write(data_dir.join("pgdata/PG_VERSION"), "14\n").unwrap();
    let error = Cluster::start(&CONFIG, &data_dir).await.unwrap_err();
    assert!(
        matches!(&error, Error::OtherVersion { made_by, .. } if made_by == "14"),
        "{error}"
    );
    assert!(hint(&error).contains("install PostgreSQL 14"), "{}", hint(&error));
}

#[tokio::test]
async fn a_server_that_does_not_start_is_quoted() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    Cluster::start(&CONFIG, &data_dir)
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    fs::write(data_dir.join("pgdata/postgresql.conf"), "shared_bufers = 1\n").unwrap();
    let error = Cluster::start(&CONFIG, &data_dir).await.unwrap_err();
    assert!(matches!(error, Error::Ended { what: "start", .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("unrecognized configuration parameter \"shared_bufers\""),
        "{error}"
    );
}

#[test]
fn a_temporary_cluster_that_cannot_be_made_says_why_and_leaves_nothing() {
    let folder = folder();
    let script = "printf '#!/bin/sh\\n' | tee psql postgres initdb >/dev/null &&
        echo 'echo \"postgres (PostgreSQL) 17.0\"' >> postgres &&
        echo 'echo no more space >&2; exit 1' >> initdb && chmod 755 psql postgres initdb";
    let (programs, temporary) = (folder.path().join("bin"), folder.path().join("tmp"));
    fs::create_dir(&programs).unwrap();
    fs::create_dir(&temporary).unwrap();
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(&programs)
        .status()
        .unwrap();
    assert!(status.success());

    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "embedded::hold_until_killed",
        "--ignored",
        "--nocapture",
    ]);
    command
        .env(HOLD, "")
        .env("PGBIN", &programs)
        .env("TMPDIR", &temporary);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("no more space"),
        "{text}"
    );
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[tokio::test]
async fn root_does_not_put_data_where_the_server_cannot_go() {
    if !geteuid().is_root() {
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = Cluster::start(&CONFIG, &folder.path().join("data"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::OutOfReach { blocker, .. } if blocker == folder.path()),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The same tests once more as `nobody`, when root runs them.
#[test]
fn an_ordinary_user_has_all_of_it_too() {
    if !geteuid().is_root() {
        return;
    }
    let folder = folder();
    let program = folder.path().join("embedded");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .arg("embedded::");
    let output = command
        .env("HOME", "/nonexistent")
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("test embedded::a_killed_process_leaves_no_server_and_no_file ... ok"),
        "{text}"
    );
}

fn kill_server(home: &Path) {
    let file = fs::read_to_string(home.join("pgdata/postmaster.pid")).unwrap();
    let id = file.lines().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
    eventually("the server is dead", || {
        !processes(home).iter().any(|(other, _)| *other == id)
    });
}
