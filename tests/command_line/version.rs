//! The version says what was built, and never a commit that it was not built from.

use std::fs;
use std::path::Path;
use std::process::Command;

use blueconic_sync::version::{COMMIT, TARGET, VERSION};

use crate::support::program::Program;

#[path = "../../build/commit.rs"]
mod commit;

use commit::{named, of_sources, watched};

/// Runs git in a folder, as somebody whose own settings do not matter.
fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with one commit, and the first digits of that commit.
fn repository(folder: &Path) -> String {
    git(folder, &["init", "--quiet"]);
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.rs"), "fn main() {}\n").unwrap();
    fs::write(folder.join("README.md"), "# A\n").unwrap();
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "one"]);
    git(folder, &["rev-parse", "HEAD"])[..12].to_owned()
}

#[tokio::test]
async fn the_version_names_the_commit_and_the_platform() {
    let program = Program::new("nowhere", "nothing");
    let long = program.expect(0, &["--version"]).await.stdout;
    assert_eq!(
        long,
        format!("blueconic-sync {VERSION} (commit {COMMIT}, {TARGET})\n")
    );
    let short = program.expect(0, &["-V"]).await.stdout;
    assert_eq!(short, format!("blueconic-sync {VERSION}\n"));
    assert!(TARGET.contains(std::env::consts::ARCH) && TARGET.contains(std::env::consts::OS));
    assert!(
        COMMIT == "unknown" || named(COMMIT) == Ok(Some(COMMIT.to_owned())),
        "{COMMIT}"
    );
}

#[test]
fn what_is_built_is_compared_with_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let one = repository(folder);
    assert_eq!(of_sources(folder), Some(one.clone()));
    // Documents are no part of the program.
    fs::write(folder.join("README.md"), "# B\n").unwrap();
    assert_eq!(of_sources(folder), Some(one.clone()));
    fs::write(folder.join("src/other.rs"), "\n").unwrap();
    assert_eq!(of_sources(folder), Some(format!("{one}-dirty")));
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "two"]);
    let two = of_sources(folder).unwrap();
    assert!(two != one && !two.contains("dirty"), "{two}");
}

#[test]
fn without_git_the_commit_is_unknown_also_within_another_repository() {
    let outer = tempfile::tempdir().unwrap();
    repository(outer.path());
    let unpacked = outer.path().join("src");
    assert_eq!((of_sources(&unpacked), watched(&unpacked)), (None, Vec::new()));
    let bare = tempfile::tempdir().unwrap();
    assert_eq!(of_sources(bare.path()), None);
    // What `cargo package` puts into a package.
    let note = |dirty: &str| {
        let text = format!(
            "{{\n  \"git\": {{\n    \"sha1\": \"{}\"{dirty}\n  }}\n}}",
            "0123456789".repeat(4)
        );
        fs::write(unpacked.join(".cargo_vcs_info.json"), text).unwrap();
        of_sources(&unpacked)
    };
    assert_eq!(note("").as_deref(), Some("012345678901"));
    assert_eq!(
        note(",\n    \"dirty\": true").as_deref(),
        Some("012345678901-dirty")
    );
}

/// A file that is watched is newer after each way to come to another commit.
#[test]
fn a_build_notices_another_commit_also_in_another_work_tree() {
    let folder = tempfile::tempdir().unwrap();
    let (main, tree) = (folder.path().join("main"), folder.path().join("tree"));
    fs::create_dir(&main).unwrap();
    repository(&main);
    git(
        &main,
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "other",
            tree.to_str().unwrap(),
        ],
    );
    for folder in [&main, &tree] {
        let steps: [&[&str]; 3] = [
            &["commit", "--quiet", "--allow-empty", "-m", "two"],
            &["reset", "--quiet", "--hard", "HEAD~1"],
            &["checkout", "--quiet", "--detach", "ORIG_HEAD"],
        ];
        for step in steps {
            let contents = |folder: &Path| {
                watched(folder)
                    .iter()
                    .map(|path| fs::read(path).unwrap())
                    .collect::<Vec<_>>()
            };
            let before = contents(folder);
            git(folder, step);
            assert!(!before.is_empty() && before != contents(folder), "{step:?}");
        }
    }
}

#[test]
fn a_commit_that_somebody_names_is_one() {
    let digits = "0123456789abcdef0123";
    assert_eq!(named(""), Ok(None));
    assert_eq!(named(&format!("{digits}\n")), Ok(Some("0123456789ab".to_owned())));
    assert_eq!(named("0123456-dirty"), Ok(Some("0123456-dirty".to_owned())));
    for wrong in ["main", "012345", "0123456 (mine)", "-dirty"] {
        let why = named(wrong).unwrap_err();
        assert!(
            why.contains("BUILD_COMMIT") && why.contains("git rev-parse HEAD"),
            "{why}"
        );
    }
}
