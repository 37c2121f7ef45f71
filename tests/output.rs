//! What cannot be written is a failure, also where all else went well; only a reader that went away may pass. A log that
//! cannot be written stops nothing.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::program::Program;
use crate::support::{Scene, scene, small};

const PROGRAM: &str = env!("CARGO_BIN_EXE_blueconic-sync");

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Its exit code and what it said on stderr.
fn to_full(program: &Program, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(program.variables())
        .stdin(Stdio::null())
        .stdout(full())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_fails_whose_output_cannot_be_written() {
    let Scene {
        tenant: _tenant,
        database: _database,
        program,
    } = scene(small(20)).await;
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["backfill", "--help"],
        &["help"],
        &["migrate"],
        &["check"],
        &["backfill"],
        &["backfill", "--json"],
        &["status"],
        &["status", "--json"],
        &["status", "--verify"],
        &["erase", "nobody", "--yes"],
        &["erase", "nobody", "--yes", "--json"],
        &["reset", "profiles", "--yes"],
        &["logout", "--yes"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["completions", "zsh"],
        &["man"],
    ] {
        let (code, stderr) = to_full(&program, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("the output cannot be written") && stderr.contains("No space left"),
            "{arguments:?}: {stderr}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_went_away_is_no_failure() {
    let Scene {
        tenant: _tenant,
        database: _database,
        program,
    } = scene(small(20)).await;
    program.expect(0, &["backfill"]).await;
    for arguments in [&["status"][..], &["status", "--json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = Command::new(PROGRAM)
            .args(arguments)
            .env_clear()
            .envs(program.variables())
            .stdin(Stdio::null())
            .stdout(writer)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(20)).await;
    program.expect(0, &["migrate"]).await;
    for format in ["text", "json"] {
        let program = program
            .set("log.format", format)
            .set("schedule.heartbeat", "1s")
            .set("resources.segments.schedule", "* * * * * *");
        let mut service = Command::new(PROGRAM)
            .args(["serve", "--bind", "127.0.0.1:0"])
            .env_clear()
            .envs(program.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(full())
            .spawn()
            .unwrap();
        let began = database.count("sync.runs where status = 'succeeded'").await;
        crate::support::eventually("a run ends", Duration::from_mins(1), async || {
            let ended = database.count("sync.runs where status = 'succeeded'").await;
            (ended > began).then_some(())
        })
        .await;
        assert!(service.try_wait().unwrap().is_none(), "it died of its log");
        service.kill().unwrap();
        service.wait().unwrap();
    }
}
