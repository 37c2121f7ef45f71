//! The commit that a build is made from: told by whoever builds, by git, or by the note that `cargo package` puts into a package.
//! `build.rs` uses it, and `tests/version.rs` tests it. It never guesses: where nothing tells the commit, there is none.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The digits that are shown; as many as the log of a large project needs.
const DIGITS: usize = 12;
/// What is behind the digits if the sources are not those of the commit, as in `git describe --dirty`.
const DIRTY: &str = "-dirty";
/// What the binary is made of. Anything else may differ from the commit.
pub(crate) const SOURCES: [&str; 10] = [
    ".cargo",
    ".sqlx",
    "Cargo.lock",
    "Cargo.toml",
    "build",
    "build.rs",
    "config",
    "crates",
    "migrations",
    "src",
];

/// The commit that somebody named: 7 to 64 hexadecimal digits, with or without `-dirty`. None if it is empty; an error if it is
/// no commit.
pub(crate) fn named(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_suffix(DIRTY).unwrap_or(text);
    if !(7..=64).contains(&digits.len()) || !digits.bytes().all(|one| one.is_ascii_hexdigit()) {
        return Err(format!(
            "the variable `BUILD_COMMIT` cannot be `{text}`: 7 to 64 hexadecimal digits are expected, such as `git rev-parse HEAD` prints"
        ));
    }
    let dirty = if digits.len() < text.len() { DIRTY } else { "" };
    Ok(Some(format!("{}{dirty}", short(digits))))
}

/// The commit of the sources in a folder, by git or by `cargo package`. None without either, and in a folder that merely lies
/// somewhere in another repository.
pub(crate) fn of_sources(folder: &Path) -> Option<String> {
    if !is_repository(folder) {
        return of_package(folder);
    }
    let commit = git(folder, ["rev-parse", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(SOURCES);
    let changed = git(folder, status)?;
    let dirty = if changed.is_empty() { "" } else { DIRTY };
    Some(format!("{}{dirty}", short(&commit)))
}

/// The files of git that change when another commit is checked out or made; none without git.
pub(crate) fn watched(folder: &Path) -> Vec<PathBuf> {
    if !is_repository(folder) {
        return Vec::new();
    }
    let reference = git(folder, ["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .map(str::to_owned);
    names
        .chain(reference)
        .filter_map(|name| git(folder, ["rev-parse", "--git-path", &name]))
        .map(|path| folder.join(path))
        // A path that is not there would make every build a new one.
        .filter(|path| path.exists())
        .collect()
}

/// Whether the folder is the top of a repository.
fn is_repository(folder: &Path) -> bool {
    let top = git(folder, ["rev-parse", "--show-toplevel"]).and_then(|top| fs::canonicalize(top).ok());
    top.is_some() && top == fs::canonicalize(folder).ok()
}

/// The commit in the note of `cargo package`.
fn of_package(folder: &Path) -> Option<String> {
    let note = fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = note.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    let dirty = if note.replace(' ', "").contains("\"dirty\":true") {
        DIRTY
    } else {
        ""
    };
    named(&format!("{commit}{dirty}")).ok().flatten()
}

/// What git prints; none if it is not there or fails. It takes no locks, since somebody else may be working in the folder.
fn git<Word: AsRef<OsStr>>(folder: &Path, words: impl IntoIterator<Item = Word>) -> Option<String> {
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .args(words)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .output()
        .ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| printed.trim().to_owned())
}

fn short(digits: &str) -> &str {
    digits.get(..DIGITS).unwrap_or(digits)
}
