//! What cannot be meant is refused at the start, by every command, before anything is opened: misspelt variables and absurd
//! amounts. What is merely weak is warned of.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::program::Program;

/// Nothing listens there: whoever asks anybody fails with 1.
fn astray() -> Program {
    Program::new("http://127.0.0.1:9", "postgres://u@127.0.0.1:9/x")
}

const COMMANDS: [&[&str]; 23] = [
    &["backfill"],
    &["check"],
    &["config", "show"],
    &["demo"],
    &["docs"],
    &["distribute", "--json"],
    &["erase", "somebody", "--yes"],
    &["healthcheck"],
    &["login"],
    &["logout", "--yes"],
    &["migrate"],
    &["notify", "test"],
    &["pause", "profiles"],
    &["probe", "--json"],
    &["psql", "-c", "select 1"],
    &["reset", "profiles", "--yes"],
    &["resources", "--json"],
    &["resume", "profiles"],
    &["rights", "--check"],
    &["rotate-key"],
    &["run-now", "profiles"],
    &["serve"],
    &["status", "--json"],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_variable_ends_every_command() {
    for command in COMMANDS {
        let ended = astray()
            .with("BLUECONIC_SECRET", "hunter2")
            .expect(2, command)
            .await;
        ended.tells(&["`BLUECONIC_SECRET`", "did you mean `BLUECONIC_CLIENT_SECRET`?"]);
        assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_amounts_end_in_two_with_their_bounds_and_at_once() {
    for (key, value, bound) in [
        ("schedule.lease_ttl", "1000y", "1h"),
        ("schedule.jitter", "2h", "1h"),
        ("database.max_connections", "4294967295", "1000"),
        ("database.load_connections", "4294967295", "64"),
        ("limits.concurrent_requests", "1000000000", "1000"),
        ("limits.requests_per_second", "4294967295", "100000"),
        ("tenant.read_timeout", "0s", "100ms"),
        ("limits.batch_size", "0B", "1KiB"),
        ("limits.batch_size", "1TiB", "256MiB"),
        ("resources.segments.page_size", "0", "from 1"),
        ("resources.profiles.overlap", "292277026596y", "1year"),
        ("resources.audit_events.retention", "584542046090y", "10years"),
    ] {
        let ended = astray().set(key, value).expect(2, &["backfill"]).await;
        ended.tells(&[key, value, bound]);
        assert!(ended.took < Duration::from_secs(10), "{key}: {:?}", ended.took);
    }
    let never = astray().set("resources.profiles.full_schedule", "0 0 30 2 *");
    never.expect(2, &["check"]).await.tells(&["never comes true"]);
    let endless = astray()
        .without("BLUECONIC_CLIENT_SECRET")
        .with("BLUECONIC_CLIENT_SECRET_FILE", "/dev/zero");
    endless
        .expect(2, &["check"])
        .await
        .tells(&["/dev/zero", "longer than"]);
    let ended = astray().expect(2, &["--config", "/dev/zero", "check"]).await;
    ended.tells(&["/dev/zero", "longer than"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_secret_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "x\n").unwrap();
    let path = file.to_str().unwrap();
    let program = astray()
        .with(
            "BLUECONIC_SYNC_KEY",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        )
        .without("BLUECONIC_CLIENT_SECRET")
        .with("BLUECONIC_CLIENT_SECRET_FILE", path)
        .set("web.token_file", path);
    // Whoever serves waits for its database, and not for an address.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (mode, open) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let ended = program.expect(1, &["serve", "--bind", &taken]).await;
        ended.tells(&[
            "BLUECONIC_SYNC_KEY is not random",
            "`web.token_file` names can be guessed",
        ]);
        let warnings = ended
            .stderr
            .matches("every user of this machine may read")
            .count();
        assert_eq!(warnings, if open { 2 } else { 0 }, "{}", ended.stderr);
    }
}
