//! What only a process of its own can show: signals and log lines. This binary starts itself again for each.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use blueconic_sync::config::settings::LogFormat;
use blueconic_sync::{shutdown, telemetry};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs one of the ignored tests below in a process of its own.
fn start(test: &str, variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("process::{test}"),
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Reads until the child has said so.
fn wait_for(child: &mut Child, word: &str) {
    let (mut heard, mut byte) = (String::new(), [0]);
    while !heard.contains(word) {
        assert_eq!(
            child.stderr.as_mut().unwrap().read(&mut byte).unwrap(),
            1,
            "it ended after: {heard}"
        );
        heard.push(char::from(byte[0]));
    }
}

#[test]
fn the_first_signal_asks_and_the_second_one_ends() {
    for first in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = start("child_that_lingers", &[]);
        wait_for(&mut child, "listening");
        signal(&child, first);
        wait_for(&mut child, "asked to end");
        assert!(child.try_wait().unwrap().is_none(), "it is still at work");
        signal(&child, Signal::SIGINT);
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(130), None));
    }
}

#[tokio::test]
#[ignore = "started by the test above"]
async fn child_that_lingers() {
    telemetry::init(LogFormat::Text, "", false, None).unwrap();
    let shutdown = shutdown::listen().unwrap();
    tracing::info!("listening");
    shutdown.requested().await;
    assert!(shutdown.is_requested() && shutdown.child().is_cancelled());
    tracing::info!("asked to end");
    tokio::time::sleep(Duration::from_mins(1)).await;
}

fn lines(variables: &[(&str, &str)]) -> Vec<String> {
    let output = start("child_that_logs", variables).wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(
        !String::from_utf8(output.stdout).unwrap().contains("a line"),
        "stdout is for results"
    );
    String::from_utf8(output.stderr)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn json_lines_carry_their_fields_and_a_time_in_utc() {
    let lines = lines(&[]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let reported: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&reported["level"], &reported["message"]),
        (&"INFO".into(), &"a line of\ntwo".into())
    );
    assert_eq!(reported["rows"], 7);
    let time = reported["timestamp"].as_str().unwrap();
    assert!(
        time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok(),
        "{time}"
    );
}

#[test]
fn text_has_no_colour_where_none_is_wanted() {
    for (variables, coloured) in [
        (vec![("SHAPE", "text")], true),
        (vec![("SHAPE", "text"), ("NO_COLOR", "1")], false),
        (vec![("SHAPE", "text"), ("TERM", "dumb")], false),
    ] {
        let lines = lines(&variables);
        assert_eq!(
            lines.iter().any(|line| line.contains('\u{1b}')),
            coloured,
            "{lines:?}"
        );
        assert!(lines.iter().any(|line| line.contains("INFO")), "{lines:?}");
    }
}

#[test]
fn text_for_a_person_says_its_numbers_once() {
    let reported = |variables: &[(&str, &str)]| lines(variables).join("\n");
    assert!(!reported(&[("SHAPE", "text")]).contains("rows"));
    assert!(reported(&[("SHAPE", "text"), ("NO_COLOR", "1"), ("RUST_LOG", "info")]).contains("rows=7"));
}

#[test]
fn the_variable_decides_what_is_reported() {
    assert!(lines(&[("RUST_LOG", "error")]).is_empty());
    assert_eq!(lines(&[("RUST_LOG", "debug")]).len(), 3);
}

#[test]
#[ignore = "started by the tests above"]
fn child_that_logs() {
    let text = std::env::var_os("SHAPE").is_some();
    let terminal = telemetry::init(LogFormat::Auto, "", text, None).unwrap();
    let bars = indicatif::MultiProgress::new();
    let attached = terminal.attach(&bars);
    tracing::info!(rows = 7, "a line of\ntwo");
    drop(attached);
    tracing::warn!("a line without bars");
    tracing::debug!("a line for the curious");
    let twice = telemetry::init(LogFormat::Auto, "", text, None).unwrap_err();
    assert!(twice.to_string().contains("already"));
}
