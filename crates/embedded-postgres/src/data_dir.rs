//! The folder of one cluster: its layout, its owner, and the locks between processes. Starts nothing and
//! knows no SQL.
//!
//! ```text
//! data_dir/pgdata           the cluster
//!          log              the output of initdb and postgres
//!          start.lock       held while a process starts, joins or stops the cluster
//!          holders.lock     shared by all processes that use the cluster; the last one finds no other
//!          supervisor.lock  held by the supervisor while it runs
//!          run/             the socket, and the pipe `holders` (elsewhere if this path is too long for a socket)
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::account::Account;
use crate::error::Error;

/// The pause between two checks of a condition in another process.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// The longest wait for the start lock: another process may be in crash recovery.
const LONGEST_WAIT: Duration = Duration::from_secs(330);

/// `sun_path` holds 104 bytes on macOS and 108 on Linux, including the final NUL.
const LONGEST_SOCKET_PATH: usize = 103;

const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The next start renames a log that is longer than this (bytes), so that it does not grow without end.
const LONGEST_LOG: u64 = 4 << 20;

/// The checked folder of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) account: Account,
}

impl DataDir {
    /// Makes the folder if it does not exist, and refuses a folder with other content or of another user.
    pub(crate) fn open(program: &str, data_dir: &Path) -> Result<Self, Error> {
        let path = absolute(data_dir)?;
        let account = match fs::read_dir(&path) {
            Ok(entries) => adopt(&path, entries)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path)?,
            Err(source) => {
                return Err(Error::Files {
                    action: "open",
                    path,
                    source,
                });
            }
        };
        let path = fs::canonicalize(&path).map_err(|source| Error::Files {
            action: "open",
            path: path.clone(),
            source,
        })?;
        let run = run_folder(program, &path, &account)?;
        Ok(Self { path, run, account })
    }

    /// A data folder with a name of its own in the folder for temporary files, or, where the server's user cannot pass on
    /// the way to that, in `/tmp`.
    pub(crate) fn temporary(program: &str) -> Result<Self, Error> {
        let name = format!("{program}-{}", Uuid::new_v4().simple());
        let (usual, plain) = (std::env::temp_dir().join(&name), Path::new("/tmp").join(&name));
        match Self::open(program, &usual) {
            Err(Error::OutOfReach { .. }) => Self::open(program, &plain),
            opened => opened,
        }
    }

    pub(crate) fn pgdata(&self) -> PathBuf {
        self.path.join("pgdata")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn pipe(&self) -> PathBuf {
        self.run.join("holders")
    }

    /// The major version of the cluster, from `PG_VERSION`; none if there is no cluster yet.
    pub(crate) fn made_by(&self) -> Result<Option<String>, Error> {
        let path = self.pgdata().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(version) => Ok(Some(version.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Files {
                action: "read",
                path,
                source,
            }),
        }
    }

    /// Waits for the lock under which a process starts, joins or stops the cluster. It ends when the file is dropped.
    pub(crate) async fn lock_start(&self) -> Result<File, Error> {
        let file = self.open_lock("start.lock")?;
        let deadline = Instant::now() + LONGEST_WAIT;
        while !self.try_lock(&file, "start.lock")? {
            if Instant::now() > deadline {
                let (what, seconds) = ("another process's start or stop", LONGEST_WAIT.as_secs());
                return Err(Error::TooLong {
                    what,
                    seconds,
                    path: self.path.clone(),
                });
            }
            sleep(POLL).await;
        }
        Ok(file)
    }

    /// Opens one of the lock files, and makes it if needed. It stays empty.
    pub(crate) fn open_lock(&self, name: &str) -> Result<File, Error> {
        let path = self.path.join(name);
        let exists = path.exists();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|source| Error::Files {
                action: "open",
                path: path.clone(),
                source,
            })?;
        if !exists {
            self.account.give(&path)?;
        }
        Ok(file)
    }

    /// Takes the exclusive lock if no other process has it.
    pub(crate) fn try_lock(&self, file: &File, name: &str) -> Result<bool, Error> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(Error::Files {
                action: "lock",
                path: self.path.join(name),
                source,
            }),
        }
    }

    /// Makes the folder of the socket, or checks that the existing one is private.
    pub(crate) fn prepare_run_folder(&self) -> Result<(), Error> {
        if fs::symlink_metadata(&self.run).is_err() {
            self.account.make_private(&self.run)?;
        }
        if self.account.owns_privately(&self.run) {
            return Ok(());
        }
        Err(Error::SocketFolder {
            path: self.run.clone(),
            user: self.account.name(),
        })
    }

    /// Opens the log for this start: to write, and to read the lines of this start. The reading end stays valid
    /// after a temporary data folder is removed.
    pub(crate) fn open_log(&self) -> Result<(File, LogTail), Error> {
        let path = self.log();
        let failed = |source| Error::Files {
            action: "open",
            path: path.clone(),
            source,
        };
        if fs::metadata(&path).is_ok_and(|log| log.len() > LONGEST_LOG) {
            fs::rename(&path, self.path.join("log.old")).map_err(failed)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        self.account.give(&path)?;
        let mut reader = File::open(&path).map_err(failed)?;
        reader.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok((file, LogTail(reader)))
    }
}

/// The log, from the first line of a start on.
#[derive(Debug)]
pub(crate) struct LogTail(File);

impl LogTail {
    /// The last lines, for an error.
    pub(crate) fn last_lines(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            return format!("(the log cannot be read: {error})");
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let first = lines.len().saturating_sub(12);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

fn absolute(data_dir: &Path) -> Result<PathBuf, Error> {
    let path = std::path::absolute(data_dir).map_err(|source| Error::Files {
        action: "find",
        path: data_dir.to_owned(),
        source,
    })?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(Error::PathNotText { path }),
    }
}

/// Makes a new data folder: the current user owns the folders above it, the account owns the data folder.
fn create(path: &Path) -> Result<Account, Error> {
    let account = Account::for_new_data();
    if let Some(blocker) = account.blocker(path) {
        return Err(Error::OutOfReach {
            path: path.to_owned(),
            blocker,
            user: account.name(),
        });
    }
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).map_err(|source| Error::Files {
            action: "create",
            path: above.to_owned(),
            source,
        })?;
    }
    match account.make_private(path) {
        // Another process was faster; the next check shows the owner.
        Err(Error::Files { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(account),
        Err(error) => Err(error),
        Ok(()) => Ok(account),
    }
}

/// Checks an existing folder: it holds a cluster, is empty, or is refused. Files of other users never change their owner.
fn adopt(path: &Path, entries: fs::ReadDir) -> Result<Account, Error> {
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_ours = names.iter().any(|name| name == "pgdata" || name == "start.lock");
    // A freshly formatted disk counts as empty.
    let is_empty = names.iter().all(|name| name == "lost+found");
    let account = Account::for_folder(path)?;
    if let Some(blocker) = account.blocker(path) {
        return Err(Error::OutOfReach {
            path: path.to_owned(),
            blocker,
            user: account.name(),
        });
    }
    match (is_ours, is_empty) {
        (true, _) => Ok(account),
        (false, true) => account.give(path).map(|()| account),
        (false, false) => Err(Error::NotOurs {
            path: path.to_owned(),
        }),
    }
}

/// The folder of the socket: `run` below the data folder. If that path is too long or holds a character with a
/// meaning in `unix_socket_directories`, it is a folder in `/tmp` with a name derived from the data folder's path.
fn run_folder(program: &str, data_dir: &Path, account: &Account) -> Result<PathBuf, Error> {
    let inside = data_dir.join("run");
    let text = inside.to_str().ok_or_else(|| Error::PathNotText {
        path: data_dir.to_owned(),
    })?;
    let is_plain = text
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "/._- +~@".contains(letter));
    if is_plain && text.len() + 1 + SOCKET_NAME.len() <= LONGEST_SOCKET_PATH {
        return Ok(inside);
    }
    let name = xxh3_64(data_dir.as_os_str().as_encoded_bytes());
    Ok(PathBuf::from(format!(
        "/tmp/{program}-{}-{name:016x}",
        account.uid
    )))
}
