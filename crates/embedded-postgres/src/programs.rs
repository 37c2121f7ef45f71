//! Finds PostgreSQL's own programs on this machine. Distributions leave `initdb` and `postgres` out of `PATH`,
//! and a program on `PATH` may be a wrapper. A folder counts only if it holds both and `psql`, and prints its version.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// Folders of distributions; a `*` stands for any text within one name.
const USUAL_FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // PostgreSQL's own packages for Fedora, RHEL
    "/usr/libexec/postgresql*",                           // Alpine
    "/usr/lib/postgresql*/bin",                           // openSUSE
    "/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew, Apple silicon
    "/usr/local/opt/postgresql@*/bin",                    // Homebrew, Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew, Linux
    "/opt/local/lib/postgresql*/bin",                     // MacPorts
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
    "/usr/local/pgsql/bin",                               // built by hand
];

/// A folder with `initdb`, `postgres` and `psql` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) folder: PathBuf,
    pub(crate) major: u32,
}

impl Programs {
    /// Finds the programs: only `PGBIN` if it is set. Else, of the folders on `PATH` and the usual ones, the first
    /// of version `wanted` (that of an existing cluster), else the one on `PATH` if it is new enough, else the newest.
    pub(crate) fn find(oldest: u32, wanted: Option<u32>) -> Result<Self, Error> {
        if let Some(folder) = env::var_os("PGBIN").filter(|value| !value.is_empty()) {
            return from_pgbin(oldest, Path::new(&folder));
        }
        let on_path = env::var_os("PATH").map_or_else(Vec::new, |path| env::split_paths(&path).collect());
        let mut usual: Vec<Self> = USUAL_FOLDERS
            .iter()
            .flat_map(|pattern| expand(pattern))
            .filter_map(|folder| Self::inspect(&folder))
            .collect();
        usual.sort_by_key(|programs| std::cmp::Reverse(programs.major));
        let mut found: Vec<Self> = on_path
            .iter()
            .filter_map(|folder| Self::inspect(folder))
            .collect();
        found.extend(usual);
        choose(oldest, &found, wanted)
    }

    /// The programs of one folder. If `postgres` is a link, the folder of its target.
    fn inspect(folder: &Path) -> Option<Self> {
        let real = fs::canonicalize(folder.join("postgres")).ok();
        let real_folder = real.as_deref().and_then(Path::parent);
        let folder = [Some(folder), real_folder]
            .into_iter()
            .flatten()
            .find(|folder| is_complete(folder))?;
        let major = version(&folder.join("postgres"))?;
        Some(Self {
            folder: folder.to_owned(),
            major,
        })
    }
}

fn from_pgbin(oldest: u32, folder: &Path) -> Result<Programs, Error> {
    let refuse = |why: String| Error::Pgbin {
        folder: folder.to_owned(),
        why,
    };
    if !is_complete(folder) {
        return Err(refuse("does not hold `initdb`, `postgres` and `psql`".to_owned()));
    }
    match version(&folder.join("postgres")) {
        Some(major) if major >= oldest => Ok(Programs {
            folder: folder.to_owned(),
            major,
        }),
        Some(major) => Err(refuse(format!("holds PostgreSQL {major}, older than {oldest}"))),
        None => Err(refuse(
            "holds a `postgres` that does not tell its version".to_owned(),
        )),
    }
}

fn choose(oldest: u32, found: &[Programs], wanted: Option<u32>) -> Result<Programs, Error> {
    let usable = || found.iter().filter(|programs| programs.major >= oldest);
    let matching = usable().find(|programs| Some(programs.major) == wanted);
    if let Some(programs) = matching.or_else(|| usable().next()) {
        return Ok(programs.clone());
    }
    let newest = found.iter().max_by_key(|programs| programs.major);
    Err(
        newest.map_or(Error::ProgramsMissing, |programs| Error::ProgramsTooOld {
            major: programs.major,
            oldest,
            folder: programs.folder.clone(),
        }),
    )
}

fn is_complete(folder: &Path) -> bool {
    folder.is_absolute()
        && ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| is_executable(&folder.join(name)))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Runs `postgres --version`, which works for root, too.
fn version(postgres: &Path) -> Option<u32> {
    let mut command = Command::new(postgres);
    command
        .arg("--version")
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` and `postgres (PostgreSQL) 18beta1` have a major version.
fn parse_version(answer: &str) -> Option<u32> {
    let number = answer.trim().strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The folders that a pattern with `*` names, sorted by name.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        folders = match part.split_once('*') {
            None => folders.into_iter().map(|folder| folder.join(part)).collect(),
            Some((head, tail)) => folders
                .iter()
                .flat_map(|folder| children(folder, head, tail))
                .collect(),
        };
    }
    folders
}

/// The entries of a folder whose names begin with `head` and end with `tail`; empty if it cannot be read.
fn children(folder: &Path, head: &str, tail: &str) -> Vec<PathBuf> {
    let fits = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .filter(|entry| fits(&entry.file_name()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn programs(folder: &str, major: u32) -> Programs {
        Programs {
            folder: folder.into(),
            major,
        }
    }

    #[test]
    fn versions_of_distributions_betas_and_strangers() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_version("psql (PostgreSQL) 15.14\n"), None);
        assert_eq!(parse_version("EDB wrapper 1.0"), None);
    }

    #[test]
    fn path_comes_first_unless_it_is_too_old_or_another_version_is_wanted() {
        let found = [programs("/old", 13), programs("/path", 15), programs("/new", 17)];
        assert_eq!(choose(15, &found, None).unwrap().folder, Path::new("/path"));
        assert_eq!(choose(15, &found, Some(17)).unwrap().folder, Path::new("/new"));
        assert_eq!(choose(15, &found, Some(16)).unwrap().folder, Path::new("/path"));
    }

    #[test]
    fn what_is_too_old_is_named_with_its_folder() {
        let error = choose(15, &[programs("/a", 11), programs("/b", 14)], None).unwrap_err();
        assert!(
            matches!(&error, Error::ProgramsTooOld { major: 14, oldest: 15, folder } if folder == Path::new("/b"))
        );
        assert!(matches!(choose(15, &[], None), Err(Error::ProgramsMissing)));
    }

    #[test]
    fn a_link_on_path_leads_to_the_folder_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let (real, links) = (folder.path().join("real"), folder.path().join("links"));
        fs::create_dir(&real).unwrap();
        fs::create_dir(&links).unwrap();
        // Another process writes it: a fork in another thread could inherit this process's open file, which then cannot be run.
        let script = "for name in postgres initdb psql; do \
            printf '#!/bin/sh\\necho \"postgres (PostgreSQL) 16.2\"\\n' >$name && chmod 755 $name; done";
        let status = Command::new("sh")
            .args(["-c", script])
            .current_dir(&real)
            .status()
            .unwrap();
        assert!(status.success());
        std::os::unix::fs::symlink(real.join("postgres"), links.join("postgres")).unwrap();
        let found = Programs::inspect(&links).unwrap();
        assert_eq!(
            found,
            Programs {
                folder: fs::canonicalize(&real).unwrap(),
                major: 16
            }
        );
        fs::remove_file(real.join("initdb")).unwrap();
        assert_eq!(Programs::inspect(&links), None);
    }

    #[test]
    fn patterns_name_folders_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["15", "17", "x"] {
            fs::create_dir_all(folder.path().join(format!("pg-{version}"))).unwrap();
        }
        let pattern = format!("{}/pg-1*/bin", folder.path().display());
        let expected: Vec<_> = ["pg-15/bin", "pg-17/bin"]
            .iter()
            .map(|end| folder.path().join(end))
            .collect();
        assert_eq!(expand(&pattern), expected);
    }
}
