//! PostgreSQL restarts, or its disk is full, in the middle of a backfill: the run goes on or ends with a clear line, the
//! next one completes without a hand, and nothing is removed because seen ids were lost in a crash.

use std::time::{Duration, Instant};

use simulated_tenant::faults::Route;
use simulated_tenant::settings::{AuditOrder, Settings};
use simulated_tenant::tenant::{Tenant, start};

use super::business::Business;
use super::table::{Case, in_full, tries};
use crate::support::cluster::{Cluster, Log, Restart};
use crate::support::database::{Database, create};
use crate::support::program::{Ended, LONG, Program};
use crate::support::{eventually, small};

/// A tenant with a middle, a filled database to start from, and what a backfill then makes of it.
struct World {
    tenant: Tenant,
    template: String,
    expected: Business,
}

fn program(tenant: &Tenant, database: &Database) -> Program {
    Program::new(tenant.url(), &database.url)
        .set("resources.profiles.page_size", "100")
        .set("resources.audit_events.page_size", "100")
}

async fn world(cluster: &Cluster, settings: Settings) -> World {
    let profiles = settings.profiles;
    let tenant = start(settings).await.unwrap();
    let reference = Database::on(cluster).await;
    let program = program(&tenant, &reference);
    program.expect(0, &["backfill", "--full"]).await;
    let template = create(cluster, &reference.name).await;
    tenant.advance(Duration::from_mins(1));
    for position in (1..profiles).step_by(3) {
        assert!(tenant.touch(position, "name", &["Late"]));
    }
    tenant.advance(Duration::from_mins(1));
    program.expect(0, &["backfill", "--full"]).await;
    let expected = Business::of(&reference).await;
    reference.remove(cluster).await;
    World {
        tenant,
        template,
        expected,
    }
}

/// A line for a person: that it is about the database, and what to do where there is something.
fn is_clear(ended: &Ended, words: &[&str]) {
    assert!(
        words.iter().any(|word| ended.stderr.contains(word)),
        "none of {words:?} is in stderr:\n{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_restarts() {
    let cluster = tokio::task::block_in_place(Cluster::start);
    let settings = Settings {
        latency: Duration::from_millis(25),
        audit_order: AuditOrder::OldestFirst,
        ..small(4_000)
    };
    let world = world(&cluster, settings).await;
    for how in [Restart::Fast, Restart::Immediate] {
        let mut case = Case::new(&format!("PostgreSQL restarts ({how:?})").to_lowercase());
        let mut went_on = 0;
        for _ in 0..tries(2, 30) {
            let database = Database::copy(&cluster, &world.template).await;
            let program = program(&world.tenant, &database);
            world.tenant.requests().forget();
            let mut running = program.start(&["backfill", "--full"]);
            eventually("it is at work", LONG, async || {
                assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
                (world.tenant.requests().count(Route::Segments) > 0).then_some(())
            })
            .await;
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1_500))).await;
            let restarted = Instant::now();
            tokio::task::block_in_place(|| cluster.restart(how));
            let ended = running.ended(LONG).await;
            match ended.code() {
                0 => went_on += 1,
                1 => is_clear(&ended, &["database", "PostgreSQL", "connect"]),
                code => panic!("it ended with {code}:\n{}", ended.stderr),
            }
            if ended.code() != 0 {
                program.expect(0, &["backfill", "--full"]).await;
            }
            case.recovered(restarted.elapsed());
            case.tried(1);
            finish(&world, database, &cluster, &mut case).await;
        }
        case.note(format!("{went_on} runs went on by themselves"));
        case.report();
    }
}

async fn finish(world: &World, database: Database, cluster: &Cluster, case: &mut Case) {
    let removed = database
        .count("blueconic.profile_tombstones where reason <> 'merged'")
        .await;
    case.wrongly_deleted(removed.unsigned_abs());
    world.expected.compare(&database, case).await;
    database.remove(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_disk_is_full() {
    for (log, name) in [
        (Log::Elsewhere, "the database's disk is full"),
        (Log::OnTheDisk, "the disk is full, with the log of changes on it"),
    ] {
        full_disk(log, Case::new(name)).await;
    }
}

async fn full_disk(log: Log, mut case: Case) {
    let cluster = tokio::task::block_in_place(|| Cluster::on_small_disk(600, log));
    let Some(cluster) = cluster else {
        case.left_out("neither root nor a user namespace may mount a tmpfs here");
        return;
    };
    let profiles = if in_full() { 10_000 } else { 3_000 };
    let settings = Settings {
        latency: Duration::from_millis(20),
        audit_events: 3_000,
        audit_order: AuditOrder::OldestFirst,
        properties: 40,
        ..small(profiles)
    };
    let world = world(&cluster, settings).await;
    let mut clear = 0;
    for number in 0..tries(2, 20) {
        // An empty database grows more; the audit walk of a filled one is met, too.
        let template = if number % 2 == 0 {
            "template0"
        } else {
            &world.template
        };
        let database = Database::copy(&cluster, template).await;
        let program = program(&world.tenant, &database);
        let route = [Route::Profiles, Route::Profiles, Route::AuditEvents][number as usize % 3];
        world.tenant.requests().forget();
        let mut running = program.start(&["backfill", "--full"]);
        eventually("it is at work", LONG, async || {
            (running.has_ended() || world.tenant.requests().count(route) > 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
        tokio::task::block_in_place(|| cluster.fill_disk());
        let filled = Instant::now();
        // A run that waits for a server that is down ends later, or goes on when there is room.
        let patience = Duration::from_secs(5);
        while !running.has_ended() && filled.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::task::block_in_place(|| cluster.free_disk());
        let freed = Instant::now();
        let ended = running.ended(LONG).await;
        match ended.code() {
            0 => {}
            1 => {
                is_clear(&ended, &["the database's disk is full", "database", "connect"]);
                clear += u32::from(ended.stderr.contains("make room there"));
            }
            code => panic!("it ended with {code}:\n{}", ended.stderr),
        }
        program.expect(0, &["backfill", "--full"]).await;
        case.recovered(freed.elapsed());
        case.tried(1);
        if number % 2 == 0 {
            // The first load has other aliases and tombstones than one over an older state.
            let fresh = Database::on(&cluster).await;
            self::program(&world.tenant, &fresh)
                .expect(0, &["backfill", "--full"])
                .await;
            let expected = Business::of(&fresh).await;
            expected.compare(&database, &mut case).await;
            fresh.remove(&cluster).await;
            database.remove(&cluster).await;
        } else {
            finish(&world, database, &cluster, &mut case).await;
        }
    }
    case.note(format!("{clear} runs said to make room"));
    case.report();
}
