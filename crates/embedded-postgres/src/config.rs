//! The settings of a program for its cluster. All names of the program come from here.

use std::path::PathBuf;

use crate::account;
use crate::error::Error;

/// A program's settings for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The program's name: lower-case letters, digits and hyphens. It is part of the names of folders and of the supervisor's
    /// process.
    pub name: &'static str,
    /// The database that the first start makes.
    pub database: &'static str,
    /// The oldest accepted major version of PostgreSQL.
    pub oldest_major: u32,
    /// Server options, such as `max_wal_size=2GB`. Each start puts them on the command line, so that a new release
    /// of the program can change them for an existing cluster.
    pub options: &'static [&'static str],
}

impl Config {
    /// The usual data folder: `/var/lib/NAME` for root, `$XDG_DATA_HOME/NAME` (`~/.local/share/NAME`) for others.
    pub fn default_data_dir(&self) -> Result<PathBuf, Error> {
        if account::is_root() {
            return Ok(PathBuf::from("/var/lib").join(self.name));
        }
        let given = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let share = given.or_else(|| account::home_folder().map(|home| home.join(".local/share")));
        share.map(|share| share.join(self.name)).ok_or(Error::NoHome)
    }

    /// The first argument of the supervisor, which `ps` shows.
    pub(crate) fn process_name(&self) -> String {
        format!("{}-postgres", self.name)
    }
}
