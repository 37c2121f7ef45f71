//! Tells the program the commit that it is built from and the platform that it is built for: `src/version.rs` shows both.
//!
//! The commit comes from the variable `BUILD_COMMIT`; without it an optimized build asks git, or the note of `cargo package`. A build
//! for development does not ask, so that a commit compiles nothing again. A build from a tarball says that its commit is unknown.

#[path = "build/commit.rs"]
mod commit;

use std::env;
use std::path::Path;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    // A macro of sqlx puts the files of this folder into the program, and cannot tell cargo of a new one.
    println!("cargo::rerun-if-changed=migrations");
    let given = env::var("BUILD_COMMIT").unwrap_or_default();
    let commit = match commit::named(&given)? {
        Some(commit) => Some(commit),
        None if variable("PROFILE")? == "release" => of_release(Path::new(&variable("CARGO_MANIFEST_DIR")?)),
        None => None,
    };
    println!(
        "cargo::rustc-env=BUILT_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    println!("cargo::rustc-env=BUILT_TARGET={}", variable("TARGET")?);
    Ok(())
}

/// The commit of an optimized build, which is asked for again when the sources or the commit change.
fn of_release(folder: &Path) -> Option<String> {
    let sources = commit::SOURCES.iter().map(|name| folder.join(name));
    let watched = commit::watched(folder);
    if !watched.is_empty() {
        for path in sources.filter(|path| path.exists()).chain(watched) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    commit::of_sources(folder)
}

/// A variable that cargo sets.
fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo sets no `{name}`: {error}"))
}
