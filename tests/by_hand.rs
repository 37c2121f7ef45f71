//! The schedule by hand, with the real program: what a person says in one process, another one does, and all of them tell it.

use std::net::SocketAddr;
use std::time::Duration;

use blueconic_sync::resources::registry::RESOURCES;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::database::Database;
use crate::support::ports::free;
use crate::support::program::{LONG, Program, Running};
use crate::support::{Scene, eventually, scene, small};

/// A service that runs nothing by itself within the time of a test.
fn service(program: &Program, address: SocketAddr) -> Program {
    program
        .set("web.bind", &address.to_string())
        .set("schedule.heartbeat", "1s")
        .set("schedule.time_zone", "Europe/Berlin")
        .set("schedule.drift", "")
        .set("resources.segments.schedule", "0 0 1 1 *")
        .set("resources.profiles.schedule", "0 0 1 1 *")
        .set("resources.profiles.full_schedule", "0 0 1 1 *")
}

async fn runs(database: &Database, resource: &str, mode: &str) -> i64 {
    database
        .count(&format!(
            "sync.runs where resource = '{resource}' and mode = '{mode}' and status <> 'running'"
        ))
        .await
}

/// Waits until every job has run and none is under way.
async fn settled(running: &mut Running, database: &Database) {
    eventually("every job has run", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let known = database
            .one::<bool>("select to_regclass('sync.services') is not null")
            .await
            && database.count("sync.schedule").await > 0
            && database.count("sync.services").await > 0;
        let due = "sync.schedule where claimed_by is not null or next_run_at <= sync.clock()";
        (known && database.count(due).await == 0).then_some(())
    })
    .await;
    let failed = database
        .texts("select resource || ': ' || error from sync.runs where status in ('failed', 'partial', 'needs_approval')")
        .await;
    assert_eq!(failed, [""; 0]);
}

fn part<'a>(status: &'a Value, resource: &str, scope: &str) -> &'a Value {
    let all = status["resources"].as_array().unwrap();
    all.iter()
        .find(|one| one["resource"] == resource && one["scope"] == scope)
        .unwrap()
}

/// Holds the segments, and asserts that everybody tells it.
async fn pause_segments(program: &Program, address: SocketAddr) {
    let paused = program.expect(0, &["pause", "segments", "--for", "1h"]).await;
    assert!(paused.stdout.contains("segments is paused since "), "{paused:?}");
    let refused = program.expect(1, &["run-now", "segments"]).await;
    refused.tells(&["`segments` is paused", " on ", "blueconic-sync resume segments"]);
    let status = program.expect(0, &["status"]).await.stdout;
    assert!(status.contains("paused since "), "{status}");
    assert!(status.contains(" 00:00:00 CET"), "{status}");
    let status = program.expect(0, &["status", "--json"]).await.json();
    let segments = part(&status, "segments", "full");
    assert!(segments["pause"]["ends_at"].is_string(), "{segments}");
    assert_eq!(segments["jobs"][0]["time_zone"], "Europe/Berlin");
    assert_eq!(status["services"][0]["is_alive"], true, "{status}");
    let page = reqwest::get(format!("http://{address}/"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("<dt>Paused</dt>") && page.contains("00:00:00 CET"),
        "{page}"
    );
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("blueconic_sync_paused{resource=\"segments\",scope=\"full\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("blueconic_sync_services 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_says_the_service_does_and_everybody_tells_it() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(60)).await;
    let address = free();
    let program = service(&program, address);
    let mut running = program.start(&["serve"]);
    settled(&mut running, &database).await;

    // A run now, by a process that has other settings.
    let (before, full_before) = (
        runs(&database, "segments", "full").await,
        runs(&database, "profiles", "full").await,
    );
    let other = Program::new("https://elsewhere.example", &database.url);
    let asked = other.expect(0, &["run-now", "segments", "--json"]).await.json();
    assert_eq!(
        (&asked["job"], &asked["state"]),
        (&"segments".into(), &"starts".into()),
        "{asked}"
    );
    assert_eq!(asked["starts_within_seconds"], 1.0, "{asked}");
    let asked = other.expect(0, &["run-now", "profiles"]).await;
    assert!(
        asked
            .stdout
            .contains("profiles/increment: a run starts within 1 s by "),
        "{asked:?}"
    );
    eventually("both have run", LONG, async || {
        (runs(&database, "segments", "full").await == before + 1
            && runs(&database, "profiles", "increment").await == 1)
            .then_some(())
    })
    .await;
    other.expect(0, &["run-now", "profiles", "--full"]).await;
    eventually("everything was read", LONG, async || {
        (runs(&database, "profiles", "full").await == full_before + 1).then_some(())
    })
    .await;
    settled(&mut running, &database).await;
    let next: bool = database
        .one("select bool_and(next_run_at > now() and requested_at is null) from sync.schedule where resource in ('segments', 'profiles')")
        .await;
    assert!(next, "what is due stays as it was");

    pause_segments(&program, address).await;
    // What is due while it is paused waits, also over a restart; a backfill is a person's command.
    let due = "update sync.schedule set next_run_at = now() - interval '1 hour' where job = 'segments'";
    database.run(due).await;
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
    assert_eq!(database.count("sync.services").await, 0);
    let held = runs(&database, "segments", "full").await;
    program.expect(0, &["backfill", "segments"]).await;
    assert_eq!(runs(&database, "segments", "full").await, held + 1);
    let mut running = program.start(&["serve"]);
    eventually("it looks for due jobs again", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let twice = "sync.services where seen_at > started_at + interval '1 second'";
        (database.count(twice).await == 1).then_some(())
    })
    .await;
    assert_eq!(runs(&database, "segments", "full").await, held + 1, "held");
    let resumed = program.expect(0, &["resume", "segments"]).await;
    assert!(
        resumed.stdout.contains("no longer paused")
            && resumed.stdout.contains("what is due starts within 1 s by "),
        "{resumed:?}"
    );
    eventually("it is made up", LONG, async || {
        (runs(&database, "segments", "full").await == held + 2).then_some(())
    })
    .await;
    settled(&mut running, &database).await;
    assert_eq!(runs(&database, "segments", "full").await, held + 2, "once");
    let nothing = program.expect(0, &["resume", "segments", "--json"]).await.json();
    assert_eq!(nothing["ended"], Value::Null);
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_it_says_so_and_what_is_wrong_is_refused() {
    let Scene {
        database, program, ..
    } = scene(small(5)).await;
    program.expect(0, &["migrate"]).await;
    let asked = program.expect(0, &["run-now", "segments"]).await;
    assert!(
        asked
            .stdout
            .contains("once a `serve` runs: none keeps the schedule of this database now"),
        "{asked:?}"
    );
    let asked = program.expect(0, &["run-now", "profiles", "--json"]).await.json();
    assert_eq!(
        (&asked["job"], &asked["state"]),
        (&"profiles/full".into(), &"no_service".into()),
        "nothing is complete yet: {asked}"
    );
    database
        .run("insert into sync.services values ('h:1:x', '0', now() - interval '1 hour', now() - interval '5 minutes', '5 seconds')")
        .await;
    let asked = program.expect(0, &["run-now", "audit_events", "--full"]).await;
    assert!(
        asked.stdout.contains("audit_events/scan-2: ")
            && asked.stdout.contains("none is alive, the last one (h:1:x)"),
        "the widest scan: {asked:?}"
    );
    let off = RESOURCES.iter().find(|one| !one.is_by_default()).unwrap().name();
    for command in ["pause", "resume", "run-now"] {
        program.expect(2, &[command, "nothing"]).await;
        let refused = program.expect(2, &[command, off]).await;
        refused.tells(&[
            &format!("`{off}` is not read"),
            &format!("resources.{off}.enabled"),
        ]);
    }
    let over = program
        .expect(2, &["pause", "segments", "--until", "2020-01-01T00:00:00Z"])
        .await;
    over.tells(&["`--until 2020-01-01T00:00:00+00:00` is over"]);
    assert_eq!(database.count("sync.pauses").await, 0);
    // A pause of a resource that is read no more can be ended.
    program.expect(0, &["pause", "segments"]).await;
    database.run("delete from sync.schedule").await;
    let off = program.set("resources.segments.enabled", "false");
    off.expect(0, &["resume", "segments"]).await;
    off.expect(2, &["resume", "segments"]).await;
}

/// Whoever dies has said all or nothing, and says it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_dies_is_said_again() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(5)).await;
    program.expect(0, &["migrate"]).await;
    for (place, command, stored) in [
        ("pauses/write", "pause", "sync.pauses"),
        ("pauses/remove", "resume", "sync.pauses"),
        (
            "schedule/request",
            "run-now",
            "sync.schedule where requested_at is not null",
        ),
    ] {
        for (side, is_done) in [("before", false), ("after", true)] {
            if command == "resume" {
                program.expect(0, &["pause", "segments"]).await;
            }
            let before = database.count(stored).await;
            let order = format!("{place}/{side}=return(kill)");
            let died = program
                .with("FAILPOINTS", &order)
                .run(&[command, "segments"])
                .await;
            assert_eq!(died.code(), 137, "{order}: {died:?}");
            let changed = database.count(stored).await != before;
            assert!(!changed || is_done, "{order}");
            program.expect(0, &[command, "segments"]).await;
        }
        let left = i64::from(command != "resume");
        assert_eq!(database.count(stored).await, left, "after {command}");
    }
    // A service that dies as it leaves stays on the list until it is silent for too long.
    let dying = service(&program, free()).with("FAILPOINTS", "services/leave/before=return(kill)");
    let mut running = dying.start(&["serve"]);
    settled(&mut running, &database).await;
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended(Duration::from_secs(10)).await.code(), 137);
    assert_eq!(database.count("sync.services").await, 1);
}
