//! The server of one data folder, by its `postmaster.pid` and the process table. This file reads and signals;
//! its callers decide whether to start or to join.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;

/// The state that the server itself writes on the eighth line of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No server: no file, or the file of a crashed server.
    Absent,
    /// Starting up, or recovering from a crash.
    Starting,
    /// Accepts connections.
    Ready,
    /// Shutting down.
    Stopping,
}

/// The server of one data folder.
#[derive(Debug)]
pub(crate) struct Postmaster {
    data: PathBuf,
}

impl Postmaster {
    pub(crate) fn of(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
        }
    }

    /// The server's state.
    pub(crate) fn state(&self) -> State {
        match self.read() {
            Some((pid, state)) if self.is_ours(pid) => state,
            _ => State::Absent,
        }
    }

    /// Asks the server for a fast shutdown.
    pub(crate) fn interrupt(&self) {
        if let Some((pid, _)) = self.read().filter(|(pid, _)| self.is_ours(*pid)) {
            // The server may have ended already, which is the goal.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
    }

    /// Removes the file of a crashed server if its process id now belongs to another process:
    /// `postgres` would take that process for a running server and refuse to start.
    pub(crate) fn clear_stale_file(&self) -> Result<(), Error> {
        let path = self.file();
        match self.read() {
            Some((pid, _)) if !self.is_ours(pid) => fs::remove_file(&path).map_err(|source| Error::Files {
                action: "remove",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }

    fn file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    fn read(&self) -> Option<(i32, State)> {
        parse(&fs::read_to_string(self.file()).ok()?)
    }

    /// Whether the process is a server on this data folder. The id alone is not enough: after a crash, and
    /// especially in a container, another process soon has it.
    fn is_ours(&self, pid: i32) -> bool {
        command_line(pid)
            .is_some_and(|line| line.contains("postgres") && line.contains(&*self.data.to_string_lossy()))
    }
}

/// The first line is the process id, the eighth the state, padded with blanks (since version 10).
fn parse(file: &str) -> Option<(i32, State)> {
    let mut lines = file.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    let state = match lines.nth(6).map(str::trim) {
        Some("ready" | "standby") => State::Ready,
        Some("stopping") => State::Stopping,
        _ => State::Starting,
    };
    Some((pid, state))
}

/// The command line of a process, its words separated by blanks; none if there is no such process.
fn command_line(pid: i32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let mut command = Command::new("ps");
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const READY: &str = "4711\n/data/pgdata\n1763764000\n5432\n/data/run\n\n   196655    131080\nready   \n";

    #[test]
    fn the_state_stands_on_the_eighth_line() {
        assert_eq!(parse(READY), Some((4711, State::Ready)));
        assert_eq!(
            parse(&READY.replace("ready   ", "stopping")),
            Some((4711, State::Stopping))
        );
        assert_eq!(
            parse(&READY.replace("ready   ", "starting")),
            Some((4711, State::Starting))
        );
        assert_eq!(parse("4711\n/data/pgdata\n"), Some((4711, State::Starting)));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_file_whose_number_now_belongs_to_another_process_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let postmaster = Postmaster::of(folder.path());
        let ourselves = std::process::id().to_string();
        fs::write(postmaster.file(), READY.replace("4711", &ourselves)).unwrap();
        assert_eq!(postmaster.state(), State::Absent);
        postmaster.clear_stale_file().unwrap();
        assert!(!postmaster.file().exists());
        postmaster.clear_stale_file().unwrap();
    }
}
