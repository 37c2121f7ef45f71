//! The errors of an embedded PostgreSQL. The message says what failed and why; the program adds the advice, since it
//! knows its own settings and commands.

use std::io;
use std::path::PathBuf;

/// Why there is no embedded PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder with `initdb`, `postgres` and `psql` was found.
    #[error("PostgreSQL's own programs (`initdb`, `postgres`, `psql`) were not found on this machine")]
    ProgramsMissing,

    /// Only older programs were found.
    #[error("PostgreSQL {major} in `{}` is too old: {oldest} or newer is needed", folder.display())]
    ProgramsTooOld {
        /// The newest version that was found.
        major: u32,
        /// The oldest accepted version.
        oldest: u32,
        /// Where.
        folder: PathBuf,
    },

    /// `PGBIN` was set, and does not name a folder with usable programs.
    #[error("`PGBIN` names `{}`, which {why}", folder.display())]
    Pgbin {
        /// The value of `PGBIN`.
        folder: PathBuf,
        /// The reason.
        why: String,
    },

    /// Neither `XDG_DATA_HOME` nor `HOME` nor the user database names a home.
    #[error("this user has no home folder, so there is no place for the embedded PostgreSQL's data")]
    NoHome,

    /// The data folder's path is not valid text.
    #[error("the data folder `{}` is not valid UTF-8", path.display())]
    PathNotText {
        /// The path as it was given.
        path: PathBuf,
    },

    /// A file or folder could not be made, read or changed.
    #[error("cannot {action} `{}`", path.display())]
    Files {
        /// A verb: "create", "open", …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The data folder holds something else.
    #[error("the data folder `{}` is not empty and holds no embedded PostgreSQL", path.display())]
    NotOurs {
        /// The data folder.
        path: PathBuf,
    },

    /// The data folder belongs to another user.
    #[error("the data folder `{}` belongs to {owner}, and this process runs as {user}", path.display())]
    OtherOwner {
        /// The data folder.
        path: PathBuf,
        /// Its owner, by name where there is one.
        owner: String,
        /// The current user.
        user: String,
    },

    /// Root would hand the data to a user that cannot access the folder.
    #[error(
        "PostgreSQL does not run as root, and the user `{user}` cannot pass `{}` on the way to `{}`",
        blocker.display(),
        path.display()
    )]
    OutOfReach {
        /// The data folder.
        path: PathBuf,
        /// The folder on the path that the user cannot pass.
        blocker: PathBuf,
        /// The user that would run PostgreSQL.
        user: String,
    },

    /// The short folder for the socket exists and belongs to another user.
    #[error("the folder for the socket, `{}`, exists and is not private to {user}", path.display())]
    SocketFolder {
        /// The folder.
        path: PathBuf,
        /// The expected owner.
        user: String,
    },

    /// The cluster was made by another major version.
    #[error(
        "the data in `{}` were made by PostgreSQL {made_by}, and the programs in `{}` are version {found}",
        path.display(),
        folder.display()
    )]
    OtherVersion {
        /// The data folder.
        path: PathBuf,
        /// The version in `PG_VERSION`.
        made_by: String,
        /// The version found.
        found: u32,
        /// Where it was found.
        folder: PathBuf,
    },

    /// The supervisor could not be run.
    #[error("cannot run `/bin/sh` as {user} to supervise PostgreSQL")]
    Supervisor {
        /// The user that it should run as.
        user: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// `initdb` or `postgres` ended by itself.
    #[error("PostgreSQL did not {what}; the end of `{}` says:\n{tail}", log.display())]
    Ended {
        /// "make its data folder" or "start".
        what: &'static str,
        /// The log file.
        log: PathBuf,
        /// Its last lines since this start.
        tail: String,
    },

    /// A step took too long.
    #[error("{what} took longer than {seconds} seconds (data folder `{}`)", path.display())]
    TooLong {
        /// The step.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// The data folder.
        path: PathBuf,
    },

    /// The cluster runs and does not answer.
    #[error("the embedded PostgreSQL runs and did not let us {action}")]
    Session {
        /// "connect", "create the database", …
        action: &'static str,
        /// What PostgreSQL or the socket said.
        #[source]
        source: sqlx::Error,
    },
}
