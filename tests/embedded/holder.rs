//! Another process that holds a cluster and is killed, and looks at what is left.
#![expect(clippy::print_stdout, reason = "the helper process talks over its stdout")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use blueconic_sync::postgres::embedded::CONFIG;
use embedded_postgres::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tempfile::TempDir;

/// Tells the helper process what to hold: a data folder, or nothing for a temporary cluster.
pub(super) const HOLD: &str = "BLUECONIC_SYNC_TEST_HOLD";

/// A folder that the server's user may reach, whoever runs the tests.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("bc").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub(super) async fn number(url: &str, sql: &'static str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    number
}

pub(super) async fn execute(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

/// The processes whose command line names this path, as (id, command line).
pub(super) fn processes(path: &Path) -> Vec<(i32, String)> {
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
pub(super) fn eventually(what: &str, condition: impl Fn() -> bool) {
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
pub(super) struct Holder {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Holder {
    pub(super) fn spawn(data_dir: Option<&Path>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "embedded::holder::hold_until_killed",
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
    pub(super) fn answer(&mut self) -> PathBuf {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines
            .find_map(|line| line.split_once("holds ").map(|(_, path)| PathBuf::from(path)))
            .unwrap()
    }

    pub(super) fn kill(&mut self) {
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

pub(super) fn kill_server(data_dir: &Path) {
    let file = fs::read_to_string(data_dir.join("pgdata/postmaster.pid")).unwrap();
    let id = file.lines().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
    eventually("the server is dead", || {
        !processes(data_dir).iter().any(|(other, _)| *other == id)
    });
}
