//! One service, run after run, while the tenant changes: memory, open files, connections and tables do not grow with the runs.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::table::{Case, tries};
use crate::support::ports::free;
use crate::support::program::LONG;
use crate::support::truth::assert_profiles_equal;
use crate::support::{Scene, eventually, scene, small};

/// What must not grow with the runs.
#[derive(Debug, Clone, Copy)]
struct Use {
    runs: i64,
    /// Resident, in KiB.
    memory: u64,
    files: usize,
    connections: i64,
    /// Of all tables and indexes but the ledger of runs and the events, which have a row for each.
    bytes: i64,
}

async fn used(scene: &Scene, process: u32) -> Use {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let bytes = "
        select sum(pg_total_relation_size(oid))::bigint from pg_class
        where relnamespace in ('sync'::regnamespace, 'blueconic'::regnamespace) and relkind = 'r'
          and relname <> 'runs' and relname !~ '^audit_events'";
    let connections = "select count(*) from pg_stat_activity where datname = current_database()";
    Use {
        runs: scene.database.count("sync.runs where status = 'succeeded'").await,
        memory: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
        files: std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
        connections: scene.database.one(connections).await,
        bytes: scene.database.one(bytes).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_grows_with_the_runs() {
    let scene = scene(small(300)).await;
    let program = scene
        .program
        .set("web.bind", &free().to_string())
        .set("schedule.heartbeat", "1s")
        .set("resources.profiles.schedule", "* * * * * *")
        .set("resources.profiles.full_schedule", "*/2 * * * * *")
        .set("resources.segments.schedule", "* * * * * *")
        .set("resources.audit_events.schedule", "* * * * * *");
    let mut running = program.start(&["serve"]);
    let runs = i64::from(tries(60, 1000));
    let mut samples: Vec<Use> = Vec::new();
    // The first tenth is not compared: pools, caches and tables fill.
    for tenth in 1..=10 {
        eventually("it runs", LONG * 5, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            let position = rand::random_range(0..scene.tenant.positions());
            scene.tenant.touch(position, "name", &[&format!("{tenth}")]);
            let ended = scene.database.count("sync.runs where status = 'succeeded'").await;
            (ended >= runs * tenth / 10).then_some(())
        })
        .await;
        samples.push(used(&scene, running.id()).await);
    }
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
    assert_eq!(scene.database.count("sync.runs where status = 'failed'").await, 0);
    // Goes on with a walk that the end has interrupted, then reads what has changed behind its position.
    program.expect(0, &["backfill", "--full"]).await;
    program.expect(0, &["backfill"]).await;
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    let (first, last) = (samples[1], samples[9]);
    let all = format!("{samples:#?}");
    assert!(last.memory <= first.memory * 6 / 5 + 4096, "{all}");
    assert!(last.files <= first.files + 4, "{all}");
    assert!(last.connections <= first.connections + 4, "{all}");
    // Rows that change leave dead ones until autovacuum has come by.
    assert!(last.bytes <= first.bytes * 3 / 2 + 2 * 1024 * 1024, "{all}");
    let mut case = Case::new("one service, run after run");
    case.tried(last.runs.unsigned_abs());
    case.note(format!(
        "after {} and {} runs: {} and {} KiB, {} and {} files, {} and {} connections, {} and {} KiB of tables",
        first.runs,
        last.runs,
        first.memory,
        last.memory,
        first.files,
        last.files,
        first.connections,
        last.connections,
        first.bytes / 1024,
        last.bytes / 1024
    ));
    case.report();
}
