//! A private PostgreSQL cluster for users without a server, and for tests. README.md shows its use.
//!
//! The crates that embed PostgreSQL refuse root, download from hosts that many networks block, or serve a single
//! connection. This one uses the programs of the system's package manager. A cluster listens on a Unix
//! socket in a private folder only. It runs as long as any process holds it: a second process on the same
//! data folder joins, and the last holder ends it. A supervisor (`supervisor.sh`) ends it even if the holders
//! are killed. The crate does not depend on the program that uses it: [`Config`] holds the program's settings.

mod account;
mod buffers;
mod config;
mod data_dir;
mod database;
mod error;
pub mod install;
mod postmaster;
mod programs;
mod supervisor;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

pub use crate::config::Config;
use crate::data_dir::{DataDir, POLL};
pub use crate::error::Error;
use crate::postmaster::{Postmaster, State};
use crate::programs::Programs;
use crate::supervisor::{Lifetime, Started};

/// A recovery after a crash reads up to `max_wal_size` of WAL: minutes on a slow disk.
const LONGEST_START: Duration = Duration::from_mins(5);

/// The supervisor requests an immediate shutdown after a minute.
const LONGEST_STOP: Duration = Duration::from_secs(90);

/// A cluster that this process holds: it runs at least until this value is stopped or dropped.
#[derive(Debug)]
pub struct Cluster {
    config: Config,
    data_dir: DataDir,
    programs: Programs,
    lifetime: Lifetime,
    /// Behind a lock, since reviving the cluster registers this process again.
    registration: Mutex<Registration>,
}

/// This process as a holder: keeps the cluster running, and shows other holders that they are not the last.
#[derive(Debug)]
struct Registration {
    /// The write end of the supervisor's pipe; closing it releases the cluster.
    pipe: File,
    /// `holders.lock`, shared.
    holders: File,
    /// The supervisor, if this process started it: `stop` waits for it.
    started: Option<Started>,
}

impl Cluster {
    /// Starts the cluster in `data_dir`, or joins the one that runs there. The first start makes the folder, the
    /// cluster (UTF-8, locale C) and the database of `config`.
    pub async fn start(config: &Config, data_dir: &Path) -> Result<Self, Error> {
        if !data_dir.exists() {
            // First, since nothing can be made without them.
            Programs::find(config.oldest_major, None)?;
        }
        Self::open(
            config,
            DataDir::open(config.name, data_dir)?,
            Lifetime::Persistent,
        )
        .await
    }

    /// Starts a cluster in a new folder of its own, which is removed with the last holder, even if that is killed.
    pub async fn temporary(config: &Config) -> Result<Self, Error> {
        Programs::find(config.oldest_major, None)?;
        let data_dir = DataDir::temporary(config.name)?;
        let path = data_dir.path.clone();
        let opened = Self::open(config, data_dir, Lifetime::Temporary).await;
        if opened.is_err() {
            // The supervisor may have removed it already; the returned error is the important one.
            let _removed = std::fs::remove_dir_all(path);
        }
        opened
    }

    async fn open(config: &Config, data_dir: DataDir, lifetime: Lifetime) -> Result<Self, Error> {
        let start_lock = data_dir.lock_start().await?;
        let programs = programs_for(config, &data_dir)?;
        let registration = obtain(config, &data_dir, &programs, lifetime).await?;
        drop(start_lock);
        Ok(Self {
            config: *config,
            data_dir,
            programs,
            lifetime,
            registration: Mutex::new(registration),
        })
    }

    /// Whether the server reports that it accepts connections; false for a killed one.
    pub fn is_ready(&self) -> bool {
        Postmaster::of(&self.data_dir.pgdata()).state() == State::Ready
    }

    /// Whether the data stay after its end. The data of a temporary cluster are not served again.
    pub fn is_persistent(&self) -> bool {
        matches!(self.lifetime, Lifetime::Persistent)
    }

    /// Joins or starts the cluster again if PostgreSQL has ended (killed, or crashed); does nothing while it runs.
    /// The address stays the same, so that a pool can connect again.
    pub async fn revive(&self) -> Result<(), Error> {
        if self.is_ready()
            && database::ensure(&self.data_dir.run, self.config.database)
                .await
                .is_ok()
        {
            return Ok(());
        }
        let start_lock = self.data_dir.lock_start().await?;
        let mut current = self.registration.lock().await;
        let registration = obtain(&self.config, &self.data_dir, &self.programs, self.lifetime).await?;
        let former = std::mem::replace(&mut *current, registration);
        drop(start_lock);
        match (former.started, &mut current.started) {
            // Both are of this process: the first one has ended, otherwise the second could not have started.
            (Some(former), Some(_)) => collect(&self.data_dir, former),
            (former, current) => {
                *current = current.take().or(former);
                Ok(())
            }
        }
    }

    /// The address of the database, for sqlx and for libpq.
    pub fn url(&self) -> String {
        database::url(&self.data_dir.run, self.config.database)
    }

    /// The folder of the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.data_dir.run
    }

    /// The folder of `psql` and the other programs.
    pub fn bin_dir(&self) -> &Path {
        &self.programs.folder
    }

    /// The folder that holds the cluster, its log and its locks.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir.path
    }

    /// Releases the cluster. If no other process holds it, waits until it has shut down.
    pub async fn stop(self) -> Result<(), Error> {
        let Self {
            data_dir,
            registration,
            ..
        } = self;
        let registration = registration.into_inner();
        let start_lock = data_dir.lock_start().await?;
        let supervisor = data_dir.open_lock("supervisor.lock")?;
        let is_last = data_dir.try_lock(&registration.holders, "holders.lock")?;
        drop(registration.pipe);
        if is_last {
            let deadline = Instant::now() + LONGEST_STOP;
            while !data_dir.try_lock(&supervisor, "supervisor.lock")? {
                within(deadline, LONGEST_STOP, "PostgreSQL's shutdown", &data_dir)?;
                sleep(POLL).await;
            }
            if let Some(started) = registration.started {
                collect(&data_dir, started)?;
            }
        }
        drop((registration.holders, start_lock));
        Ok(())
    }
}

/// Waits for an ending supervisor of this process, so that no zombie stays.
fn collect(data_dir: &DataDir, mut started: Started) -> Result<(), Error> {
    match started.child.wait() {
        Ok(_status) => Ok(()),
        Err(source) => Err(Error::Supervisor {
            user: data_dir.account.name(),
            source,
        }),
    }
}

/// Whether there is a cluster in this folder.
pub fn is_made(data_dir: &Path) -> bool {
    data_dir.join("pgdata").join("PG_VERSION").exists()
}

/// The programs of the existing cluster's version, or any that are new enough.
fn programs_for(config: &Config, data_dir: &DataDir) -> Result<Programs, Error> {
    let made_by = data_dir.made_by()?;
    let wanted = made_by.as_deref().and_then(|version| version.parse().ok());
    let programs = Programs::find(config.oldest_major, wanted)?;
    match made_by {
        Some(made_by) if wanted != Some(programs.major) => Err(Error::OtherVersion {
            path: data_dir.path.clone(),
            made_by,
            found: programs.major,
            folder: programs.folder,
        }),
        _ => Ok(programs),
    }
}

/// Joins the running cluster or starts it. The caller holds the start lock, so no other process starts, joins or stops it.
async fn obtain(
    config: &Config,
    data_dir: &DataDir,
    programs: &Programs,
    lifetime: Lifetime,
) -> Result<Registration, Error> {
    let postmaster = Postmaster::of(&data_dir.pgdata());
    let holders = data_dir.open_lock("holders.lock")?;
    let deadline = Instant::now() + LONGEST_START;
    loop {
        let lock = data_dir.open_lock("supervisor.lock")?;
        if data_dir.try_lock(&lock, "supervisor.lock")? {
            end_unsupervised(data_dir, &postmaster, deadline).await?;
            return begin(config, data_dir, programs, lifetime, lock, holders, deadline).await;
        }
        if let Some(pipe) = join(config, data_dir, &postmaster, deadline).await? {
            share(data_dir, &holders)?;
            return Ok(Registration {
                pipe,
                holders,
                started: None,
            });
        }
        within(
            deadline,
            LONGEST_START,
            "the end of the former PostgreSQL",
            data_dir,
        )?;
        sleep(POLL).await;
    }
}

/// Ends a server whose supervisor was killed: nothing else would end it. Then a clean start is possible.
async fn end_unsupervised(
    data_dir: &DataDir,
    postmaster: &Postmaster,
    deadline: Instant,
) -> Result<(), Error> {
    if postmaster.state() != State::Absent {
        tracing::warn!(data_dir = %data_dir.path.display(), "ending a PostgreSQL that lost its supervisor");
        postmaster.interrupt();
    }
    while postmaster.state() != State::Absent {
        within(
            deadline,
            LONGEST_START,
            "the end of a PostgreSQL without supervisor",
            data_dir,
        )?;
        sleep(POLL).await;
    }
    postmaster.clear_stale_file()
}

/// Starts a supervisor and waits until its cluster accepts connections.
async fn begin(
    config: &Config,
    data_dir: &DataDir,
    programs: &Programs,
    lifetime: Lifetime,
    lock: File,
    holders: File,
    deadline: Instant,
) -> Result<Registration, Error> {
    let is_new = data_dir.made_by()?.is_none();
    tracing::info!(data_dir = %data_dir.path.display(), is_new, "starting the embedded PostgreSQL");
    let (mut started, pipe) = supervisor::start(config, data_dir, programs, lifetime, lock)?;
    let postmaster = Postmaster::of(&data_dir.pgdata());
    while postmaster.state() != State::Ready {
        let ended = started.child.try_wait();
        let ended = ended.map_err(|source| Error::Supervisor {
            user: data_dir.account.name(),
            source,
        })?;
        if ended.is_some() {
            let was_made = !is_new || data_dir.made_by()?.is_some();
            let what = if was_made { "start" } else { "make its data folder" };
            let tail = started.log.last_lines();
            return Err(Error::Ended {
                what,
                log: data_dir.log(),
                tail,
            });
        }
        within(deadline, LONGEST_START, "PostgreSQL's start", data_dir)?;
        sleep(POLL).await;
    }
    database::ensure(&data_dir.run, config.database).await?;
    share(data_dir, &holders)?;
    Ok(Registration {
        pipe,
        holders,
        started: Some(started),
    })
}

/// Registers with a running supervisor; none if it is ending.
async fn join(
    config: &Config,
    data_dir: &DataDir,
    postmaster: &Postmaster,
    deadline: Instant,
) -> Result<Option<File>, Error> {
    let Some(pipe) = supervisor::connect(data_dir)? else {
        return Ok(None);
    };
    // Absent: the supervisor is making the cluster or cleaning up after it; the pipe shows which.
    while matches!(postmaster.state(), State::Starting | State::Absent) {
        if supervisor::connect(data_dir)?.is_none() {
            return Ok(None);
        }
        within(
            deadline,
            LONGEST_START,
            "the start of the PostgreSQL that another process began",
            data_dir,
        )?;
        sleep(POLL).await;
    }
    if postmaster.state() != State::Ready {
        return Ok(None);
    }
    match database::ensure(&data_dir.run, config.database).await {
        Ok(()) => Ok(Some(pipe)),
        // It ended between the check and the connection.
        Err(_) if postmaster.state() != State::Ready => Ok(None),
        Err(error) => Err(error),
    }
}

/// Registers this process as a holder.
fn share(data_dir: &DataDir, holders: &File) -> Result<(), Error> {
    let path = data_dir.path.join("holders.lock");
    holders.lock_shared().map_err(|source| Error::Files {
        action: "lock",
        path,
        source,
    })
}

fn within(deadline: Instant, limit: Duration, what: &'static str, data_dir: &DataDir) -> Result<(), Error> {
    if Instant::now() <= deadline {
        return Ok(());
    }
    Err(Error::TooLong {
        what,
        seconds: limit.as_secs(),
        path: data_dir.path.clone(),
    })
}
