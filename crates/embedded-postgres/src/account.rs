//! Who PostgreSQL runs as: it refuses root, so root hands it to `postgres` or `nobody`; everybody else runs it as
//! themselves. It knows users and permission bits, nothing of PostgreSQL.

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
    /// This process is root and must change over.
    changes_over: bool,
}

impl Account {
    /// The account for data that have no owner yet.
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
        // 65534 is `nobody` wherever the user database is so bare that it does not list one.
        let (uid, gid) = user.map_or((65534, 65534), |user| (user.uid.as_raw(), user.gid.as_raw()));
        Self {
            uid,
            gid,
            changes_over: true,
        }
    }

    /// The account for a folder that exists: its owner, if we are that owner or root. What root owns counts as new.
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

    /// The user's name, or its number where it has none.
    pub(crate) fn name(&self) -> String {
        user_name(self.uid)
    }

    /// Lets a command run as this user.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.changes_over {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Hands a file or folder that we just made to this user.
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

    /// Makes a folder that only this user may enter.
    pub(crate) fn make_private(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Files {
            action: "create",
            path: path.to_owned(),
            source,
        };
        // From its first moment: until the permissions are set, another user could put something into it.
        fs::DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
        // Whatever the mask took away of them.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        self.give(path)
    }

    /// Whether the folder is a real one, of this user, closed to all others.
    pub(crate) fn owns_privately(&self, path: &Path) -> bool {
        fs::symlink_metadata(path)
            .is_ok_and(|folder| folder.is_dir() && folder.uid() == self.uid && folder.mode() & 0o777 == 0o700)
    }

    /// The first folder above `path` that this user cannot pass. Only root asks: it may pass itself where the
    /// user that it hands over to may not.
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

/// The home folder of the current user: `HOME`, else what the user database says.
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
