//! The embedded PostgreSQL: a private cluster for people who have no server, and for the tests.
//!
//! The crates that embed PostgreSQL refuse root, download from hosts that many networks block, or serve a single
//! connection; the programs that the system's package manager installs are enough. A cluster listens on a unix
//! socket in a private folder only. It lives for as long as any process holds it: a second process on the same
//! data folder joins, the last one to let go ends it, and a supervisor (`supervisor.sh`) sees to that even if
//! they are killed. This module knows no table and no setting.

mod account;
mod buffers;
pub mod error;
mod home;
mod postmaster;
mod programs;
mod supervisor;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, Executor};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

pub use crate::postgres::embedded::error::EmbeddedError;
use crate::postgres::embedded::home::{Home, POLL};
use crate::postgres::embedded::postmaster::{Postmaster, State};
pub use crate::postgres::embedded::programs::OLDEST_MAJOR;
use crate::postgres::embedded::programs::Programs;
use crate::postgres::embedded::supervisor::{Keep, Started};
use crate::postgres::session::{self, Purpose};

/// The database within the cluster.
const DATABASE: &str = "blueconic";

/// The cluster's superuser; whoever may enter the socket's folder may use it.
const USER: &str = "postgres";

/// A recovery after a crash reads up to `max_wal_size` of WAL: minutes on a slow disk.
const LONGEST_START: Duration = Duration::from_mins(5);

/// The supervisor ends PostgreSQL harder after a minute.
const LONGEST_STOP: Duration = Duration::from_secs(90);

/// The image sets this: a forgotten volume must not lose anybody's data.
const IN_IMAGE: &str = "BLUECONIC_SYNC_IN_IMAGE";

/// A cluster that this process holds: it runs at least until this value is stopped or dropped.
#[derive(Debug)]
pub struct Embedded {
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

impl Embedded {
    /// Starts the cluster in `data_dir`, or joins the one that runs there. The first start makes the folder, the
    /// cluster (UTF-8, locale C) and the database `blueconic`.
    pub async fn start(data_dir: &Path) -> Result<Self, EmbeddedError> {
        if !data_dir.exists() {
            // Before anything is made that would be of no use without them.
            Programs::find(None)?;
        }
        Self::open(Home::open(data_dir)?, Keep::Kept).await
    }

    /// Starts a cluster in a new folder of its own, which vanishes with the last holder, killed or not.
    pub async fn temporary() -> Result<Self, EmbeddedError> {
        Programs::find(None)?;
        let home = Home::temporary()?;
        let path = home.path.clone();
        let opened = Self::open(home, Keep::Temporary).await;
        if opened.is_err() {
            // The supervisor may have removed it already; the error that matters is the one that is returned.
            let _removed = std::fs::remove_dir_all(path);
        }
        opened
    }

    async fn open(home: Home, keep: Keep) -> Result<Self, EmbeddedError> {
        let turn = home.turn().await?;
        let programs = programs_for(&home)?;
        let hold = obtain(&home, &programs, keep).await?;
        drop(turn);
        Ok(Self {
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
    pub async fn revive(&self) -> Result<(), EmbeddedError> {
        if self.is_ready() && ensure_database(&self.home).await.is_ok() {
            return Ok(());
        }
        let turn = self.home.turn().await?;
        let mut current = self.hold.lock().await;
        let hold = obtain(&self.home, &self.programs, self.keep).await?;
        let former = std::mem::replace(&mut *current, hold);
        drop(turn);
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
        let folder = percent_encoded(&self.home.run.to_string_lossy());
        format!("postgres:///{DATABASE}?host={folder}&port=5432&user={USER}&sslmode=disable")
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
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        let Self { home, hold, .. } = self;
        let hold = hold.into_inner();
        let turn = home.turn().await?;
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
        drop((hold.holders, turn));
        Ok(())
    }
}

/// Collects a supervisor of this process that is known to end, so that no zombie stays.
fn collect(home: &Home, mut started: Started) -> Result<(), EmbeddedError> {
    match started.child.wait() {
        Ok(_status) => Ok(()),
        Err(source) => Err(EmbeddedError::Supervisor {
            user: home.account.name(),
            source,
        }),
    }
}

/// Where the cluster lies unless `database.data_dir` says otherwise: `/var/lib/blueconic-sync` for root,
/// `$XDG_DATA_HOME/blueconic-sync` (`~/.local/share`) for others.
pub fn default_data_dir() -> Result<PathBuf, EmbeddedError> {
    if account::is_root() {
        return Ok(PathBuf::from("/var/lib/blueconic-sync"));
    }
    let given = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let share = given.or_else(|| account::home_folder().map(|home| home.join(".local/share")));
    share
        .map(|share| share.join("blueconic-sync"))
        .ok_or(EmbeddedError::NoHome)
}

/// Whether a cluster has been made in this folder.
pub fn is_made(data_dir: &Path) -> bool {
    data_dir.join("pgdata").join("PG_VERSION").exists()
}

/// Whether this process runs in our container image, where an embedded database is refused.
pub fn is_in_image() -> bool {
    std::env::var_os(IN_IMAGE).is_some_and(|value| value == "1")
}

/// The programs that fit the cluster that is there, or any that are new enough.
fn programs_for(home: &Home) -> Result<Programs, EmbeddedError> {
    let made_by = home.made_by()?;
    let wanted = made_by.as_deref().and_then(|version| version.parse().ok());
    let programs = Programs::find(wanted)?;
    match made_by {
        Some(made_by) if wanted != Some(programs.major) => Err(EmbeddedError::OtherVersion {
            path: home.path.clone(),
            made_by,
            found: programs.major,
            folder: programs.folder,
        }),
        _ => Ok(programs),
    }
}

/// Joins the running cluster or starts it. The caller has its turn, so nobody else starts, joins or stops.
async fn obtain(home: &Home, programs: &Programs, keep: Keep) -> Result<Hold, EmbeddedError> {
    let postmaster = Postmaster::of(&home.data());
    let holders = home.open_lock("holders.lock")?;
    let deadline = Instant::now() + LONGEST_START;
    loop {
        let lock = home.open_lock("supervisor.lock")?;
        if home.try_lock(&lock, "supervisor.lock")? {
            end_unsupervised(home, &postmaster, deadline).await?;
            return begin(home, programs, keep, lock, holders, deadline).await;
        }
        if let Some(pipe) = join(home, &postmaster, deadline).await? {
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
async fn end_unsupervised(
    home: &Home,
    postmaster: &Postmaster,
    deadline: Instant,
) -> Result<(), EmbeddedError> {
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
    home: &Home,
    programs: &Programs,
    keep: Keep,
    lock: File,
    holders: File,
    deadline: Instant,
) -> Result<Hold, EmbeddedError> {
    let is_new = home.made_by()?.is_none();
    tracing::info!(data_dir = %home.path.display(), is_new, "starting the embedded PostgreSQL");
    let (mut started, pipe) = supervisor::start(home, programs, keep, lock)?;
    let postmaster = Postmaster::of(&home.data());
    while postmaster.state() != State::Ready {
        let ended = started.child.try_wait();
        let ended = ended.map_err(|source| EmbeddedError::Supervisor {
            user: home.account.name(),
            source,
        })?;
        if ended.is_some() {
            let was_made = !is_new || home.made_by()?.is_some();
            let what = if was_made { "start" } else { "make its data folder" };
            let tail = started.log.last_lines();
            return Err(EmbeddedError::Ended {
                what,
                log: home.log(),
                tail,
            });
        }
        within(deadline, LONGEST_START, "PostgreSQL's start", home)?;
        sleep(POLL).await;
    }
    ensure_database(home).await?;
    share(home, &holders)?;
    Ok(Hold {
        pipe,
        holders,
        started: Some(started),
    })
}

/// Holds on to the cluster of a supervisor that runs; none if that one is on its way out.
async fn join(
    home: &Home,
    postmaster: &Postmaster,
    deadline: Instant,
) -> Result<Option<File>, EmbeddedError> {
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
    match ensure_database(home).await {
        Ok(()) => Ok(Some(pipe)),
        // It went between the look and the connection.
        Err(_) if postmaster.state() != State::Ready => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts this process among the holders.
fn share(home: &Home, holders: &File) -> Result<(), EmbeddedError> {
    let path = home.path.join("holders.lock");
    holders.lock_shared().map_err(|source| EmbeddedError::Files {
        action: "lock",
        path,
        source,
    })
}

/// Makes the database at the first start, or at the next one if the first was cut short.
async fn ensure_database(home: &Home) -> Result<(), EmbeddedError> {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(&home.run)
        .port(5432)
        .username(USER)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    let failed = |action| move |source| EmbeddedError::Session { action, source };
    let mut connection = session::dial(&options).await.map_err(failed("connect"))?;
    session::prepare(&mut connection, Purpose::Looking)
        .await
        .map_err(failed("prepare the session"))?;
    let exists = sqlx::query_scalar::<_, bool>("select exists (select from pg_database where datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await
        .map_err(failed("look for its database"))?;
    if !exists {
        connection
            .execute("create database blueconic")
            .await
            .map_err(failed("create the database"))?;
    }
    connection.close().await.map_err(failed("end the session"))
}

fn within(deadline: Instant, limit: Duration, what: &'static str, home: &Home) -> Result<(), EmbeddedError> {
    if Instant::now() <= deadline {
        return Ok(());
    }
    Err(EmbeddedError::TooLong {
        what,
        seconds: limit.as_secs(),
        path: home.path.clone(),
    })
}

/// Percent-encodes what a query value of a URL cannot hold as it is; a blank becomes `%20`, since libpq does not
/// read `+` as one.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}
