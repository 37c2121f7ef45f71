//! The user that runs PostgreSQL: it refuses root, so root uses `postgres` or `nobody`; other users run it as
//! themselves. Knows users and permission bits, nothing of PostgreSQL.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User, getegid, geteuid};

use crate::error::Error;

/// The user that owns the data and runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// This process is root and must change to this user.
    changes_over: bool,
}

impl Account {
    /// The account for data without an owner.
    pub(crate) fn for_new_data() -> Self {
        let (uid, gid) = (geteuid(), getegid());
        if !uid.is_root() {
            return Self {
                uid: uid.as_raw(),
                gid: gid.as_raw(),
                changes_over: false,
            };
        }
        let user = ["postgres", "_postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        // 65534 is `nobody` if a minimal user database does not list it.
        let (uid, gid) = user.map_or((65534, 65534), |user| (user.uid.as_raw(), user.gid.as_raw()));
        Self {
            uid,
            gid,
            changes_over: true,
        }
    }

    /// The account for an existing folder: its owner, if this process runs as that owner or as root. A folder of root counts as
    /// new.
    pub(crate) fn for_folder(path: &Path) -> Result<Self, Error> {
        let look = |source| Error::Files {
            action: "look at",
            path: path.to_owned(),
            source,
        };
        let owner = fs::metadata(path).map_err(look)?;
        let ourselves = geteuid();
        match (ourselves.is_root(), owner.uid()) {
            (true, 0) => Ok(Self::for_new_data()),
            (true, uid) => Ok(Self {
                uid,
                gid: owner.gid(),
                changes_over: true,
            }),
            (false, uid) if uid == ourselves.as_raw() => Ok(Self {
                uid,
                gid: owner.gid(),
                changes_over: false,
            }),
            (false, uid) => Err(Error::OtherOwner {
                path: path.to_owned(),
                owner: user_name(uid),
                user: user_name(ourselves.as_raw()),
            }),
        }
    }

    /// The user's name, or its number if it has no name.
    pub(crate) fn name(&self) -> String {
        user_name(self.uid)
    }

    /// Makes a command run as this user.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.changes_over {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Hands a new file or folder to this user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        if !self.changes_over {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(|source| Error::Files {
            action: "hand over",
            path: path.to_owned(),
            source,
        })
    }

    /// Makes a folder that only this user may access.
    pub(crate) fn make_private(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Files {
            action: "create",
            path: path.to_owned(),
            source,
        };
        // With its permissions from the start: otherwise another user could put a file into it first.
        fs::DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
        // Sets permissions that the umask removed.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        self.give(path)
    }

    /// Whether it is a real folder of this user that all others cannot access.
    pub(crate) fn owns_privately(&self, path: &Path) -> bool {
        fs::symlink_metadata(path)
            .is_ok_and(|folder| folder.is_dir() && folder.uid() == self.uid && folder.mode() & 0o777 == 0o700)
    }

    /// The first folder above `path` that this user cannot pass. Only root needs this: root itself can pass where the
    /// other user cannot.
    pub(crate) fn blocker(&self, path: &Path) -> Option<PathBuf> {
        if !self.changes_over {
            return None;
        }
        let above: Vec<&Path> = path.ancestors().skip(1).collect();
        above
            .into_iter()
            .rev()
            .find(|folder| !self.passes(folder))
            .map(Path::to_owned)
    }

    fn passes(&self, folder: &Path) -> bool {
        let Ok(folder) = fs::metadata(folder) else {
            return true;
        };
        let bit = match (folder.uid() == self.uid, folder.gid() == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        folder.mode() & bit != 0
    }
}

/// The home folder of the current user: `HOME`, else the one of the user database.
pub(crate) fn home_folder() -> Option<PathBuf> {
    let from_environment = std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute());
    from_environment.or_else(|| User::from_uid(geteuid()).ok().flatten().map(|user| user.dir))
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("user {uid}"), |user| user.name)
}
