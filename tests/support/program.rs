//! The real binary in a process of its own: a test sets all of its variables, its output is
//! captured, and its time is limited.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than any test takes, also on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(3);

/// The binary and its variables.
#[derive(Clone)]
pub(crate) struct Program {
    variables: BTreeMap<String, String>,
}

impl Program {
    /// For a tenant and a database, with limits that suit a tenant on this machine.
    pub(crate) fn new(tenant: &str, database: &str) -> Self {
        let program = Self {
            variables: BTreeMap::new(),
        };
        program
            .with("BLUECONIC_URL", tenant)
            .with("BLUECONIC_CLIENT_ID", "simulated-client")
            .with("BLUECONIC_CLIENT_SECRET", "simulated-secret")
            .with("DATABASE_URL", database)
            .set("limits.requests_per_second", "10000")
            .set("limits.burst", "10000")
            .set("retry.initial_delay", "10ms")
            .set("retry.max_delay", "200ms")
            .set("retry.give_up_after", "20s")
            .set("schedule.lease_ttl", "2s")
    }

    /// With a variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut program = self.clone();
        program.variables.insert(name.to_owned(), value.to_owned());
        program
    }

    /// Without a variable.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut program = self.clone();
        program.variables.remove(name);
        program
    }

    /// With a setting, by its key.
    pub(crate) fn set(&self, key: &str, value: &str) -> Self {
        let name = format!("BLUECONIC_SYNC__{}", key.to_uppercase().replace('.', "__"));
        self.with(&name, value)
    }

    /// Its variables, for a test that starts the binary itself.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, Stdio::null())
    }

    /// Starts it with an open stdin: see [`Running::write`].
    pub(crate) fn start_reading(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, Stdio::piped())
    }

    fn start_with(&self, arguments: &[&str], stdin: Stdio) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_blueconic-sync"))
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = Capture::of(child.stdout.take().unwrap());
        let stderr = Capture::of(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
            began: Instant::now(),
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended(LONG).await
    }

    /// Runs it and expects this exit code.
    pub(crate) async fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments).await;
        ended.expect(code);
        ended
    }
}

/// A stream that is read in the background.
struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Capture {
    fn of(mut stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&text);
        let reading = tokio::spawn(async move {
            let mut part = [0; 8192];
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                into.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Self { text, reading }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A running process; dropping this kills it.
pub(crate) struct Running {
    child: Child,
    stdout: Capture,
    stderr: Capture,
    began: Instant,
}

impl Running {
    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id().try_into().unwrap()), signal).unwrap();
    }

    /// Writes to its stdin.
    pub(crate) async fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self, within: Duration) -> Ended {
        let Ok(status) = timeout(within, self.child.wait()).await else {
            panic!("still running after {} s:\n{}", within.as_secs(), self.stderr());
        };
        self.stdout.reading.await.unwrap();
        self.stderr.reading.await.unwrap();
        let text = |text: Arc<Mutex<Vec<u8>>>| String::from_utf8_lossy(&text.lock().unwrap()).into_owned();
        Ended {
            status: status.unwrap(),
            stdout: text(self.stdout.text),
            stderr: text(self.stderr.text),
            took: self.began.elapsed(),
        }
    }
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ended {
    /// The exit code; after a signal 128 plus its number, as in a shell.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .or_else(|| self.status.signal().map(|signal| 128 + signal))
            .unwrap()
    }

    /// Fails with all that was written unless the exit code is this.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) {
        assert_eq!(
            self.code(),
            code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
    }

    /// Fails unless stderr contains all of these.
    #[track_caller]
    pub(crate) fn tells(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is not in stderr:\n{}",
                self.stderr
            );
        }
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }
}
