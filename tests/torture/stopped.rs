//! The holder of a lease stands still past its time to live (SIGSTOP): another process takes over in time, and when the
//! first one goes on, it writes nothing any more and says so.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{Tenant, start};

use super::business::Business;
use super::table::{Case, tries};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::{LONG, Program, Running};
use crate::support::{eventually, small};

/// The harness's time to live, and what a takeover may take beyond it.
const TAKEOVER: Duration = Duration::from_secs(2 + 5);
const ARGUMENTS: [&str; 3] = ["backfill", "--full", "profiles"];

/// Where the holder stands still.
#[derive(Clone, Copy)]
enum Stop {
    /// At a random moment.
    Anywhere,
    /// At a place where it holds something in the database: right before a commit, with everything written and the
    /// lease asserted, or in the middle of COPY, whose transaction no time limit ends.
    At(&'static str, u32),
}

/// Every row with its transaction, and every entry of the books: nothing of it may change.
const TRACES: [&str; 7] = [
    "select xmin::text || id from blueconic.profiles order by 1",
    "select xmin::text || profile_id from blueconic.profile_aliases order by 1",
    "select xmin::text || profile_id from blueconic.profile_tombstones order by 1",
    "select xmin::text || to_jsonb(c) from sync.cursors as c order by 1",
    "select xmin::text || to_jsonb(r) from sync.runs as r order by 1",
    "select xmin::text || to_jsonb(l) from sync.leases as l order by 1",
    "select xmin::text || walk_id || part || encode(hashes, 'hex') from sync.walk_seen order by 1",
];

async fn traces(database: &Database) -> Vec<Vec<String>> {
    let mut traces = Vec::new();
    for trace in TRACES {
        traces.push(database.texts(trace).await);
    }
    traces
}

async fn fence(database: &Database) -> i64 {
    let held = "to_regclass('sync.leases') is not null";
    if !database.one::<bool>(&format!("select {held}")).await {
        return 0;
    }
    database
        .one("select coalesce(max(fence), 0) from sync.leases where name = 'profiles/full'")
        .await
}

/// The kernel's word that a process stands still.
fn stands_still(running: &Running) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.id())).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('T')
}

async fn one(tenant: &Tenant, expected: &Business, stop: Stop, at_the_end: bool, case: &mut Case) {
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url).set("resources.profiles.page_size", "100");
    tenant.requests().forget();
    let mut first = match stop {
        Stop::Anywhere => program.start(&ARGUMENTS),
        Stop::At(place, hit) => program
            .with("FAILPOINTS", &format!("{place}={hit}*off->1*return(stop)->off"))
            .start(&ARGUMENTS),
    };
    match stop {
        Stop::Anywhere => {
            eventually("it is at work", LONG, async || {
                (tenant.requests().count(Route::Profiles) > 1).then_some(())
            })
            .await;
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
            assert!(!first.has_ended(), "it was too quick:\n{}", first.stderr());
            first.signal(Signal::SIGSTOP);
        }
        Stop::At(..) => {
            eventually("it stands still", LONG, async || {
                stands_still(&first).then_some(())
            })
            .await;
        }
    }
    let stopped = Instant::now();
    let old = fence(&database).await;
    let second = program.start(&ARGUMENTS);
    eventually("the lease is taken over", LONG, async || {
        (fence(&database).await > old).then_some(())
    })
    .await;
    let took = stopped.elapsed();
    assert!(took < TAKEOVER, "the takeover took {took:?}");
    case.recovered(took);
    let mut second = Some(second);
    let mut before = None;
    if at_the_end {
        second.take().unwrap().ended(LONG).await.expect(0);
        before = Some(traces(&database).await);
    }
    first.signal(Signal::SIGCONT);
    let ended = first.ended(Duration::from_secs(30)).await;
    ended.expect(1);
    ended.tells(&["profiles:", "lease"]);
    if let Some(before) = before {
        assert!(
            before == traces(&database).await,
            "the first one wrote after the takeover\n{}",
            ended.stderr
        );
    }
    if let Some(second) = second {
        second.ended(LONG).await.expect(0);
    }
    let ended = database
        .texts("select status || ' ' || coalesce(error, '') from sync.runs order by id")
        .await;
    assert!(
        ended.len() == 2 && ended[0].starts_with("interrupted its process ended") && ended[1] == "succeeded ",
        "{ended:?}"
    );
    expected.compare(&database, case).await;
    database.remove(Cluster::shared()).await;
    case.tried(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_stands_still_writes_nothing_after_the_takeover() {
    let settings = Settings {
        latency: Duration::from_millis(25),
        ..small(4_000)
    };
    let tenant = start(settings).await.unwrap();
    let reference = Database::bare().await;
    let program = Program::new(tenant.url(), &reference.url);
    program.expect(0, &ARGUMENTS).await;
    let expected = Business::of(&reference).await;
    let mut case = Case::new("SIGSTOP past the lease");
    for number in 0..tries(3, 50) {
        let stop = match number % 3 {
            1 => Stop::At("load/before", rand::random_range(1..30)),
            2 => Stop::At("copy/before", rand::random_range(1..30)),
            _ => Stop::Anywhere,
        };
        one(&tenant, &expected, stop, number % 2 == 0, &mut case).await;
    }
    case.note("recovery: until the lease was taken over");
    case.report();
}
