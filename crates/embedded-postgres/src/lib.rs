//! A private PostgreSQL cluster for people who have no server, and for tests. README.md shows its use.
//!
//! The crates that embed PostgreSQL refuse root, download from hosts that many networks block, or serve a single
//! connection; the programs that the system's package manager installs are enough. A cluster listens on a Unix
//! socket in a private folder only. It lives for as long as any process holds it: a second process on the same
//! data folder joins, the last one to let go ends it, and a supervisor (`supervisor.sh`) sees to that even if
//! they are killed. The crate knows nothing of the program that uses it: [`Config`] holds what differs.

mod account;
mod buffers;
mod config;
mod database;
mod error;
mod home;
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
pub use crate::error::Error;
use crate::home::{Home, POLL};
use crate::postmaster::{Postmaster, State};
use crate::programs::Programs;
use crate::supervisor::{Keep, Started};

/// A recovery after a crash reads up to `max_wal_size` of WAL: minutes on a slow disk.
const LONGEST_START: Duration = Duration::from_mins(5);

/// The supervisor ends PostgreSQL harder after a minute.
const LONGEST_STOP: Duration = Duration::from_secs(90);

/// A cluster that this process holds: it runs at least until this value is stopped or dropped.
#[derive(Debug)]
pub struct Cluster {
    config: Config,
    home: Home,
    programs: Programs,
    keep: Keep,
    /// Behind a lock, since whoever revives the cluster takes hold of it anew.
    hold: Mutex<Hold>,
}

/// What keeps the cluster alive, and tells the last holder that it is the last.
#[derive(Debug)]
struct Hold {
    /// The write end of the supervisor's pipe; its closing is the letting go.
    pipe: File,
    /// `holders.lock`, shared.
    holders: File,
    /// The supervisor, if this process started it: collected at the stop.
    started: Option<Started>,
}

impl Cluster {
    /// Starts the cluster in `data_dir`, or joins the one that runs there. The first start makes the folder, the
    /// cluster (UTF-8, locale C) and the database of `config`.
    pub async fn start(config: &Config, data_dir: &Path) -> Result<Self, Error> {
        if !data_dir.exists() {
            // Before anything is made that would be of no use without them.
            Programs::find(config.oldest_major, None)?;
        }
        Self::open(config, Home::open(config.name, data_dir)?, Keep::Kept).await
    }

    /// Starts a cluster in a new folder of its own, which vanishes with the last holder, killed or not.
    pub async fn temporary(config: &Config) -> Result<Self, Error> {
        Programs::find(config.oldest_major, None)?;
        let home = Home::temporary(config.name)?;
        let path = home.path.clone();
        let opened = Self::open(config, home, Keep::Temporary).await;
        if opened.is_err() {
            // The supervisor may have removed it already; the error that matters is the one that is returned.
            let _removed = std::fs::remove_dir_all(path);
        }
        opened
    }

    async fn open(config: &Config, home: Home, keep: Keep) -> Result<Self, Error> {
        let start_lock = home.lock_start().await?;
        let programs = programs_for(config, &home)?;
        let hold = obtain(config, &home, &programs, keep).await?;
        drop(start_lock);
        Ok(Self {
            config: *config,
            home,
            programs,
            keep,
            hold: Mutex::new(hold),
        })
    }

    /// Whether the server says of itself that it takes connections; one that was killed does not.
    pub fn is_ready(&self) -> bool {
        Postmaster::of(&self.home.data()).state() == State::Ready
    }

    /// Whether its data outlive it. A temporary cluster's belong to its holders and are not served twice.
    pub fn is_kept(&self) -> bool {
        matches!(self.keep, Keep::Kept)
    }

    /// Joins or starts the cluster anew if PostgreSQL has gone (killed, or crashed); does nothing while it runs.
    /// The address stays the same, so that a pool simply connects again.
    pub async fn revive(&self) -> Result<(), Error> {
        if self.is_ready()
            && database::ensure(&self.home.run, self.config.database)
                .await
                .is_ok()
        {
            return Ok(());
        }
        let start_lock = self.home.lock_start().await?;
        let mut current = self.hold.lock().await;
        let hold = obtain(&self.config, &self.home, &self.programs, self.keep).await?;
        let former = std::mem::replace(&mut *current, hold);
        drop(start_lock);
        match (former.started, &mut current.started) {
            // Two of ours: the former has ended, or the second could not have begun.
            (Some(former), Some(_)) => collect(&self.home, former),
            (former, current) => {
                *current = current.take().or(former);
                Ok(())
            }
        }
    }

    /// The address of the database, for sqlx and for libpq.
    pub fn url(&self) -> String {
        database::url(&self.home.run, self.config.database)
    }

    /// The folder of the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.home.run
    }

    /// The folder of `psql` and the other programs.
    pub fn bin_dir(&self) -> &Path {
        &self.programs.folder
    }

    /// The folder that holds the cluster, its log and its locks.
    pub fn data_dir(&self) -> &Path {
        &self.home.path
    }

    /// Lets go. If nobody else holds the cluster, waits until it has shut down.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { home, hold, .. } = self;
        let hold = hold.into_inner();
        let start_lock = home.lock_start().await?;
        let supervisor = home.open_lock("supervisor.lock")?;
        let is_last = home.try_lock(&hold.holders, "holders.lock")?;
        drop(hold.pipe);
        if is_last {
            let deadline = Instant::now() + LONGEST_STOP;
            while !home.try_lock(&supervisor, "supervisor.lock")? {
                within(deadline, LONGEST_STOP, "PostgreSQL's shutdown", &home)?;
                sleep(POLL).await;
            }
            if let Some(started) = hold.started {
                collect(&home, started)?;
            }
        }
        drop((hold.holders, start_lock));
        Ok(())
    }
}

/// Collects a supervisor of this process that is known to end, so that no zombie stays.
fn collect(home: &Home, mut started: Started) -> Result<(), Error> {
    match started.child.wait() {
        Ok(_status) => Ok(()),
        Err(source) => Err(Error::Supervisor {
            user: home.account.name(),
            source,
        }),
    }
}

/// Whether a cluster has been made in this folder.
pub fn is_made(data_dir: &Path) -> bool {
    data_dir.join("pgdata").join("PG_VERSION").exists()
}

/// The programs that fit the cluster that is there, or any that are new enough.
fn programs_for(config: &Config, home: &Home) -> Result<Programs, Error> {
    let made_by = home.made_by()?;
    let wanted = made_by.as_deref().and_then(|version| version.parse().ok());
    let programs = Programs::find(config.oldest_major, wanted)?;
    match made_by {
        Some(made_by) if wanted != Some(programs.major) => Err(Error::OtherVersion {
            path: home.path.clone(),
            made_by,
            found: programs.major,
            folder: programs.folder,
        }),
        _ => Ok(programs),
    }
}

/// Joins the running cluster or starts it. The caller holds the start lock, so nobody else starts, joins or stops.
async fn obtain(config: &Config, home: &Home, programs: &Programs, keep: Keep) -> Result<Hold, Error> {
    let postmaster = Postmaster::of(&home.data());
    let holders = home.open_lock("holders.lock")?;
    let deadline = Instant::now() + LONGEST_START;
    loop {
        let lock = home.open_lock("supervisor.lock")?;
        if home.try_lock(&lock, "supervisor.lock")? {
            end_unsupervised(home, &postmaster, deadline).await?;
            return begin(config, home, programs, keep, lock, holders, deadline).await;
        }
        if let Some(pipe) = join(config, home, &postmaster, deadline).await? {
            share(home, &holders)?;
            return Ok(Hold {
                pipe,
                holders,
                started: None,
            });
        }
        within(deadline, LONGEST_START, "the end of the former PostgreSQL", home)?;
        sleep(POLL).await;
    }
}

/// A server whose supervisor was killed serves on with nobody to end it: end it, and let the start begin cleanly.
async fn end_unsupervised(home: &Home, postmaster: &Postmaster, deadline: Instant) -> Result<(), Error> {
    if postmaster.state() != State::Absent {
        tracing::warn!(data_dir = %home.path.display(), "ending a PostgreSQL that lost its supervisor");
        postmaster.interrupt();
    }
    while postmaster.state() != State::Absent {
        within(
            deadline,
            LONGEST_START,
            "the end of a PostgreSQL without supervisor",
            home,
        )?;
        sleep(POLL).await;
    }
    postmaster.clear_stale_file()
}

/// Starts a supervisor and waits until its cluster serves.
async fn begin(
    config: &Config,
    home: &Home,
    programs: &Programs,
    keep: Keep,
    lock: File,
    holders: File,
    deadline: Instant,
) -> Result<Hold, Error> {
    let is_new = home.made_by()?.is_none();
    tracing::info!(data_dir = %home.path.display(), is_new, "starting the embedded PostgreSQL");
    let (mut started, pipe) = supervisor::start(config, home, programs, keep, lock)?;
    let postmaster = Postmaster::of(&home.data());
    while postmaster.state() != State::Ready {
        let ended = started.child.try_wait();
        let ended = ended.map_err(|source| Error::Supervisor {
            user: home.account.name(),
            source,
        })?;
        if ended.is_some() {
            let was_made = !is_new || home.made_by()?.is_some();
            let what = if was_made { "start" } else { "make its data folder" };
            let tail = started.log.last_lines();
            return Err(Error::Ended {
                what,
                log: home.log(),
                tail,
            });
        }
        within(deadline, LONGEST_START, "PostgreSQL's start", home)?;
        sleep(POLL).await;
    }
    database::ensure(&home.run, config.database).await?;
    share(home, &holders)?;
    Ok(Hold {
        pipe,
        holders,
        started: Some(started),
    })
}

/// Holds on to the cluster of a supervisor that runs; none if that one is on its way out.
async fn join(
    config: &Config,
    home: &Home,
    postmaster: &Postmaster,
    deadline: Instant,
) -> Result<Option<File>, Error> {
    let Some(pipe) = supervisor::hold(home)? else {
        return Ok(None);
    };
    // Absent: the supervisor is still making the cluster, or is tidying up after it; its pipe tells which.
    while matches!(postmaster.state(), State::Starting | State::Absent) {
        if supervisor::hold(home)?.is_none() {
            return Ok(None);
        }
        within(
            deadline,
            LONGEST_START,
            "the start of the PostgreSQL that another process began",
            home,
        )?;
        sleep(POLL).await;
    }
    if postmaster.state() != State::Ready {
        return Ok(None);
    }
    match database::ensure(&home.run, config.database).await {
        Ok(()) => Ok(Some(pipe)),
        // It went between the look and the connection.
        Err(_) if postmaster.state() != State::Ready => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts this process among the holders.
fn share(home: &Home, holders: &File) -> Result<(), Error> {
    let path = home.path.join("holders.lock");
    holders.lock_shared().map_err(|source| Error::Files {
        action: "lock",
        path,
        source,
    })
}

fn within(deadline: Instant, limit: Duration, what: &'static str, home: &Home) -> Result<(), Error> {
    if Instant::now() <= deadline {
        return Ok(());
    }
    Err(Error::TooLong {
        what,
        seconds: limit.as_secs(),
        path: home.path.clone(),
    })
}
