//! Starts the supervisor (`supervisor.sh`), and connects to a running one. Defines the protocol of the pipe
//! and the lock; its callers decide when to use which.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::buffers;
use crate::config::Config;
use crate::data_dir::{DataDir, LogTail};
use crate::error::Error;
use crate::programs::Programs;

const SCRIPT: &str = include_str!("supervisor.sh");

/// Options that keep a cluster private, and its log the same everywhere. The program's options follow them.
const OPTIONS: &[&str] = &[
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    "log_line_prefix=%m [%p] ",
];

/// Whether the data stay after the last holder has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Persistent,
    Temporary,
}

/// A supervisor that this process started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) child: Child,
    /// Its output and PostgreSQL's.
    pub(crate) log: LogTail,
}

/// Starts a supervisor; `lock` is the supervisor's lock, which it inherits and holds until its end.
pub(crate) fn start(
    config: &Config,
    data_dir: &DataDir,
    programs: &Programs,
    lifetime: Lifetime,
    lock: File,
) -> Result<(Started, File), Error> {
    data_dir.prepare_run_folder()?;
    let (read_end, write_end) = make_pipe(data_dir)?;
    let (log, log_tail) = data_dir.open_log()?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SCRIPT).arg(config.process_name());
    command
        .arg(&programs.folder)
        .arg(&data_dir.path)
        .arg(&data_dir.run);
    command.arg(if lifetime == Lifetime::Persistent {
        "persistent"
    } else {
        "temporary"
    });
    let socket = format!("unix_socket_directories={}", data_dir.run.display());
    let buffers = buffers::option();
    let fixed = OPTIONS.iter().chain(config.options).copied();
    for option in fixed.chain([socket.as_str(), buffers.as_str()]) {
        command.args(["-c", option]);
    }
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command.current_dir(&data_dir.path);
    command.stdin(read_end).stdout(lock).stderr(log);
    detach(&mut command);
    data_dir.account.apply(&mut command);
    let child = command.spawn().map_err(|source| Error::Supervisor {
        user: data_dir.account.name(),
        source,
    })?;
    Ok((Started { child, log: log_tail }, write_end))
}

/// Opens the pipe of a running supervisor; none if the pipe has no reader.
pub(crate) fn connect(data_dir: &DataDir) -> Result<Option<File>, Error> {
    let path = data_dir.pipe();
    match open_pipe(&path, OpenOptions::new().write(true)) {
        Ok(pipe) => Ok(Some(pipe)),
        Err(error) if is_nobody_there(&error) => Ok(None),
        Err(source) => Err(Error::Files {
            action: "open",
            path,
            source,
        }),
    }
}

/// ENXIO is the error of a non-blocking writer to a pipe without a reader.
fn is_nobody_there(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32)
}

/// Ctrl-C goes to the whole foreground group, and PostgreSQL must outlive the shutdown of its holder.
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

/// A new pipe with both its ends, which children do not inherit.
fn make_pipe(data_dir: &DataDir) -> Result<(File, File), Error> {
    let path = data_dir.pipe();
    let failed = |source| Error::Files {
        action: "create",
        path: path.clone(),
        source,
    };
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| failed(errno.into()))?;
    data_dir.account.give(&path)?;
    let read_end = open_pipe(&path, OpenOptions::new().read(true)).map_err(failed)?;
    let write_end = open_pipe(&path, OpenOptions::new().write(true)).map_err(failed)?;
    // The shell has to block on reads; only the opening must not block.
    fcntl(&read_end, FcntlArg::F_SETFL(OFlag::empty())).map_err(|errno| failed(errno.into()))?;
    Ok((read_end, write_end))
}

fn open_pipe(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}
