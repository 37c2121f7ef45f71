//! What reading costs, with the real program: every process adds to one ledger, `check` tells what the schedule will cost, and limits put full
//! walks off without stopping anything.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use simulated_tenant::faults::Route;
use simulated_tenant::tenant::Tenant;

use crate::support::database::Database;
use crate::support::ports::free;
use crate::support::program::{LONG, Program};
use crate::support::{Scene, eventually, scene, scene_in, small};

/// The requests that the ledger is about: all but those for tokens and for the tenant's own document.
fn sent(tenant: &Tenant) -> i64 {
    let others = tenant.requests().count(Route::Token) + tenant.requests().count(Route::Document);
    i64::try_from(tenant.requests().all().len() - others).unwrap()
}

async fn ledger(database: &Database, column: &str) -> i64 {
    database
        .one(&format!(
            "select coalesce(sum({column}), 0)::bigint from sync.usage"
        ))
        .await
}

fn job<'a>(forecast: &'a Value, name: &str) -> &'a Value {
    let jobs = forecast["jobs"].as_array().unwrap();
    jobs.iter().find(|job| job["job"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_is_told_before_the_first_run_and_counted_from_then_on() {
    let Scene {
        tenant,
        database,
        program,
    } = scene_in(Database::bare().await, small(3000)).await;
    let program = program
        .set("resources.profiles.page_size", "1000")
        .set("limits.requests_per_month", "1000000");
    // Before there is a table.
    let told = program.expect(0, &["check", "--json"]).await.json();
    let forecast = &told["forecast"];
    assert_eq!(told["exit_code"], 0);
    assert_eq!(forecast["profiles"], 3000, "{forecast:#}");
    let walk = job(forecast, "profiles/full");
    assert_eq!(
        (&walk["basis"], &walk["runs"]),
        (&"sampled".into(), &30.0.into()),
        "{walk}"
    );
    // Three pages, and the list of segments.
    assert_eq!(walk["run"]["requests"], 4.0, "{walk}");
    assert_eq!(job(forecast, "segments")["run"]["requests"], 1.0);
    assert!(
        forecast["total"]["requests"].as_f64().unwrap() > 4000.0,
        "{forecast:#}"
    );
    assert_eq!(forecast["recommendation"]["pace"], "nightly");
    assert_eq!(forecast["recommendation"]["is_kept"], true);
    let text = program.expect(0, &["check"]).await.stdout;
    for words in [
        "what the schedule costs in 30 days",
        "the tenant's totals",
        "how sure: ",
        "full walks: the schedule fits",
    ] {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    // A schedule that a limit does not allow for.
    let tight = program
        .set("limits.requests_per_month", "1")
        .expect(0, &["check"])
        .await;
    assert!(
        tight
            .stdout
            .contains("set `resources.profiles.full_schedule = \"30 2 1 * *\"`")
            && tight
                .stdout
                .contains("even monthly: the requests would be more than 80%"),
        "{}",
        tight.stdout
    );

    // Every process adds what it sent: commands, and a check once there is a ledger.
    program.expect(0, &["migrate"]).await;
    tenant.requests().forget();
    program.expect(0, &["backfill"]).await;
    assert_eq!(ledger(&database, "requests").await, sent(&tenant));
    assert_eq!(ledger(&database, "profiles_read").await, 3000);
    let (received, unpacked) = (
        ledger(&database, "bytes_received").await,
        ledger(&database, "bytes_unpacked").await,
    );
    assert!(
        received > 3000 * 100 && received == unpacked,
        "plain on this machine: {received} {unpacked}"
    );
    program.expect(0, &["status", "--verify"]).await;
    assert_eq!(ledger(&database, "requests").await, sent(&tenant));
    let told = program.expect(0, &["check", "--json"]).await.json();
    assert_eq!(ledger(&database, "requests").await, sent(&tenant));
    program.expect(0, &["probe", "--patience", "1s"]).await;
    assert_eq!(ledger(&database, "requests").await, sent(&tenant));

    // What runs cost replaces what the tenant said.
    let walk = job(&told["forecast"], "profiles/full");
    assert_eq!(walk["basis"], "measured", "{walk}");
    let run: i64 = database
        .one("select requests from sync.runs where resource = 'profiles' and mode = 'full'")
        .await;
    assert_eq!(
        walk["run"]["requests"].as_f64(),
        Some(f64::from(i32::try_from(run).unwrap()))
    );
    let status = program.expect(0, &["status", "--json"]).await.json();
    let usage = &status["usage"];
    assert_eq!(usage["requests"]["used"], ledger(&database, "requests").await);
    assert_eq!(
        (
            &usage["requests"]["limit"],
            &usage["requests"]["forecast"],
            &usage["put_off"]
        ),
        (&1_000_000.into(), &Value::Null, &Value::Array(Vec::new())),
        "no service keeps a schedule: {usage:#}"
    );
    let status = program.expect(0, &["status"]).await.stdout;
    assert!(
        status.contains("usage of ")
            && status.contains(" (UTC): 3,000 profiles read")
            && status.contains(", 0% of 1,000,000"),
        "{status}"
    );
}

async fn walks(database: &Database) -> i64 {
    database
        .count("sync.runs where resource = 'profiles' and mode = 'full' and status = 'succeeded'")
        .await
}

async fn get(address: SocketAddr, path: &str) -> String {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    answer.text().await.unwrap()
}

/// A service whose jobs come rarely enough that the test makes them due. What they need in a whole month is far below its limit, so that
/// the day of the month makes no difference.
fn service(program: &Program, address: SocketAddr) -> Program {
    program
        .set("web.bind", &address.to_string())
        .set("schedule.heartbeat", "1s")
        .set("schedule.drift", "")
        .set("resources.profiles.schedule", "0 */8 * * *")
        .set("resources.profiles.full_schedule", "0 0 1 1 *")
        .set("limits.requests_per_month", "100000")
}

/// That and why a walk is put off is told everywhere.
async fn assert_told(program: &Program, database: &Database, address: SocketAddr, put_off: &Value) {
    let why = put_off["why"].as_str().unwrap();
    assert!(
        why.contains(" of 100,000 requests of this month are used")
            && why.contains("is not enough for a full walk"),
        "{why}"
    );
    let next_month: bool = database
        .one(&format!(
            "select '{}'::timestamptz = date_trunc('month', now() at time zone 'UTC' + interval '1 month') at time zone 'UTC'",
            put_off["until"].as_str().unwrap()
        ))
        .await;
    assert!(next_month, "{put_off}");
    let metrics = get(address, "/metrics").await;
    for line in [
        "blueconic_sync_put_off_jobs 1\n",
        "blueconic_sync_month_requests_limit 100000\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    assert!(
        metrics.contains("\nblueconic_sync_month_requests_forecast "),
        "{metrics}"
    );
    let page = get(address, "/").await;
    assert!(
        page.contains(" is put off to ") && page.contains("% used"),
        "{page}"
    );
    let told = program.expect(0, &["status"]).await.stdout;
    assert!(told.contains("  profiles/full is put off to "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_limit_full_walks_wait_and_are_made_up_once() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(60)).await;
    program.expect(0, &["backfill", "profiles"]).await;
    assert_eq!(walks(&database).await, 1);
    let address = free();
    let program = service(&program, address);
    // 200,000 of 100,000 requests are used, and both jobs are due.
    database.run("update sync.usage set requests = 200000").await;
    let mut running = program.start(&["serve"]);
    eventually("every job has run", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let due = "sync.schedule where claimed_by is not null or next_run_at <= sync.clock()";
        (database.count("sync.schedule").await > 0 && database.count(due).await == 0).then_some(())
    })
    .await;
    database
        .run("update sync.schedule set next_run_at = sync.clock() - interval '1 second' where resource = 'profiles'")
        .await;
    let put_off = eventually("the walk is put off, and the increment ran", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        let status: Value = serde_json::from_str(&get(address, "/status.json").await).unwrap();
        let put_off = status["usage"]["put_off"].as_array()?.first()?.clone();
        let increments =
            "sync.runs where resource = 'profiles' and mode = 'increment' and status = 'succeeded'";
        (database.count(increments).await == 1).then_some(put_off)
    })
    .await;
    assert_eq!(put_off["job"], "profiles/full");
    assert_told(&program, &database, address, &put_off).await;
    assert_eq!(walks(&database).await, 1, "it waits");

    // A person's command is not held, and is told.
    let asked = program.expect(0, &["run-now", "profiles", "--full"]).await;
    asked.tells(&["% of what this month may cost are used"]);
    eventually("the walk that was asked for ran", LONG, async || {
        (walks(&database).await == 2).then_some(())
    })
    .await;
    // That was the one that waited, too. Another one is due, and waits until the month's use allows it.
    database
        .run("update sync.schedule set next_run_at = sync.clock() - interval '1 second' where job = 'profiles/full'")
        .await;
    eventually("it is put off", LONG, async || {
        running
            .stderr()
            .matches("`profiles/full` is put off to ")
            .count()
            .ge(&2)
            .then_some(())
    })
    .await;
    assert_eq!(walks(&database).await, 2);
    database.run("update sync.usage set requests = 0").await;
    eventually("it is made up", LONG, async || {
        (walks(&database).await == 3 && running.stderr().contains("is no longer put off")).then_some(())
    })
    .await;
    eventually("nothing is due", LONG, async || {
        let due = "sync.schedule where claimed_by is not null or next_run_at <= sync.clock()";
        (database.count(due).await == 0).then_some(())
    })
    .await;
    assert_eq!(walks(&database).await, 3, "once");
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
}

/// A write that crosses a share of the limit warns, and a backfill says beforehand that it will exceed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_crossed_is_told_once() {
    let Scene {
        tenant: _tenant,
        database,
        program,
    } = scene(small(5)).await;
    let program = program.set("limits.requests_per_month", "1000");
    program.expect(0, &["backfill", "segments"]).await;
    database.run("update sync.usage set requests = 799").await;
    let crossed = program.expect(0, &["backfill", "segments"]).await;
    crossed.tells(&["80% of `limits.requests_per_month` are used: 80"]);
    let beyond = program.expect(0, &["backfill", "segments"]).await;
    beyond.tells(&["80% of what this month may cost are used"]);
    assert!(
        !beyond.stderr.contains("of `limits.requests_per_month` are used"),
        "once"
    );
}

/// A process that dies before it has added its requests loses them, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_loses_what_it_had_not_added() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(5)).await;
    program.expect(0, &["backfill", "segments"]).await;
    let before = ledger(&database, "requests").await;
    assert_eq!(before, sent(&tenant));
    for (side, is_added) in [("before", false), ("after", true)] {
        let (requests, added) = (sent(&tenant), ledger(&database, "requests").await);
        let died = program
            .with("FAILPOINTS", &format!("usage/{side}=return(kill)"))
            .run(&["backfill", "segments"])
            .await;
        assert_eq!(died.code(), 137, "{died:?}");
        let more = ledger(&database, "requests").await - added;
        let wanted = if is_added { sent(&tenant) - requests } else { 0 };
        assert_eq!(more, wanted, "{side}");
    }
}
