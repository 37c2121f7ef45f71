//! Other people's servers as processes that end with this one, however it ends: the shell that watches a server reads
//! a pipe that breaks then.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs its arguments with their output in the file `$1`, and ends them when stdin does. It is deaf to Ctrl-C, which
/// would end it before the server, and says nothing of how the server ended.
const WATCHER: &str = r#"
log=$1; shift
"$@" >"$log" 2>&1 </dev/null &
server=$!
trap '' HUP INT TERM
exec 2>/dev/null
cat >/dev/null
kill -TERM "$server"
wait "$server"
"#;

/// A busy machine takes its time to start Node.
const PATIENCE: Duration = Duration::from_mins(3);

/// A server that ends when this is dropped.
pub(crate) struct Process {
    watcher: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`, in an environment of nothing but PATH and HOME. An ordinary user's
    /// PATH need not have the folder of servers.
    pub(crate) fn start(command: &[&str], folder: &Path, log: &Path) -> Self {
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        path.push(":/usr/sbin");
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "sh"])
            .arg(log)
            .args(command)
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            watcher,
            log: log.to_owned(),
        }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let mut said = Vec::new();
        if let Ok(mut log) = std::fs::File::open(&self.log) {
            log.read_to_end(&mut said).unwrap();
        }
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits until `ready` finds in its output, or elsewhere, what it waits for.
    pub(crate) async fn wait_for<T>(&self, what: &str, mut ready: impl FnMut(&str) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            let said = self.said();
            if let Some(found) = ready(&said) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{what} is not ready:\n{said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // The watcher waits for the server; what it ends with is not ours to judge.
        let _ended = self.watcher.wait();
    }
}
