//! Two services on one database, while the tenant changes: no job overlaps itself or runs twice for one time, and when
//! one is killed the other takes over.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulated_tenant::settings::Settings;

use crate::support::ports::free;
use crate::support::program::{LONG, Program, Running};
use crate::support::truth::assert_profiles_equal;
use crate::support::{Scene, eventually, scene, small};

use super::table::{Case, tries};

/// `schedule.lease_ttl` of the tests' programs.
const TTL: Duration = Duration::from_secs(2);
/// What a takeover may take on top.
const GRACE: Duration = Duration::from_secs(5);

/// A replica with a schedule of its own.
fn replica(program: &Program, number: u64) -> Running {
    let address = free();
    let (increments, walks) = if number.is_multiple_of(2) {
        ("* * * * * *", "*/3 * * * * *")
    } else {
        ("*/2 * * * * *", "1-59/4 * * * * *")
    };
    program
        .set("web.bind", &address.to_string())
        .set("schedule.heartbeat", "1s")
        .set("resources.profiles.schedule", increments)
        .set("resources.profiles.full_schedule", walks)
        .set("resources.segments.schedule", "*/2 * * * * *")
        .set("resources.profile_properties.enabled", "false")
        .set("resources.audit_events.enabled", "false")
        .start(&["serve"])
}

/// Changes at the tenant, of all kinds.
fn change(scene: &Scene, round: u64) {
    let tenant = &scene.tenant;
    for number in 0..5 {
        let position = rand::random_range(0..tenant.positions());
        tenant.touch(position, "name", &[&format!("{round} {number}")]);
    }
    let gone = rand::random_range(0..tenant.positions());
    if round.is_multiple_of(2) {
        tenant.delete(gone);
    } else {
        tenant.merge(gone, rand::random_range(0..tenant.positions()));
    }
    tenant.add_profiles(2);
}

/// The process that holds the lease of full walks, with the fence, while its run goes on.
async fn holder(scene: &Scene) -> Option<(u32, i64)> {
    let rows: Vec<(String, i64)> = scene
        .database
        .rows(
            "select holder, fence from sync.leases
             where name = 'profiles/full' and run_id is not null and expires_at > sync.clock()",
        )
        .await;
    let (holder, fence) = rows.into_iter().next()?;
    Some((holder.split(':').nth(1)?.parse().ok()?, fence))
}

/// Runs of one slot that were under way at the same time.
const OVERLAPS: &str = "
sync.runs as one join sync.runs as other
  on one.resource = other.resource and one.mode = other.mode and one.id < other.id
 and one.started_at < coalesce(other.finished_at, 'infinity') and other.started_at < coalesce(one.finished_at, 'infinity')";

/// Runs of one slot that the schedule began in the same second. A run's next time is the first one after its end, and no
/// schedule here has more than one in a second.
const TWICE: &str = "
select format('%s/%s %s', resource, mode, array_agg(started_at::time order by started_at)) from sync.runs
where started_at > '{since}' group by resource, mode, date_trunc('second', started_at) having count(*) > 1";

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_take_over() {
    let mut scene = scene(Settings {
        latency: Duration::from_millis(20),
        ..small(600)
    })
    .await;
    scene.program = scene
        .program
        .set("resources.profiles.page_size", "30")
        .set("resources.profiles.overlap", "2s");
    scene.program.expect(0, &["backfill"]).await;
    let since: String = scene.database.one("select sync.clock()::text").await;
    let mut case = Case::new("two replicas, one of them killed");
    let mut replicas = [replica(&scene.program, 0), replica(&scene.program, 1)];
    for round in 0..u64::from(tries(1, 30)) {
        change(&scene, round);
        let ids: Vec<u32> = replicas.iter().map(Running::id).collect();
        // In the middle of a walk, at any moment of it.
        let (process, fence) = eventually("a replica walks", LONG, async || {
            holder(&scene).await.filter(|(process, _)| ids.contains(process))
        })
        .await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        let victim = ids.iter().position(|id| *id == process).unwrap();
        let still = holder(&scene).await == Some((process, fence));
        replicas[victim].signal(Signal::SIGKILL);
        let killed = Instant::now();
        let survivor = ids[1 - victim];
        eventually("the other one takes over", LONG, async || {
            let taken = holder(&scene).await?;
            (taken.0 == survivor && taken.1 > fence).then_some(())
        })
        .await;
        let took = killed.elapsed();
        if still {
            assert!(took < TTL + GRACE, "{took:?}, in round {round}");
            case.recovered(took);
        }
        case.tried(1);
        let next = replica(&scene.program, round);
        std::mem::replace(&mut replicas[victim], next).ended(LONG).await;
    }
    // Both go on side by side for a while, then all that changed is there.
    let runs = scene.database.count("sync.runs where status = 'succeeded'").await;
    eventually("both go on", LONG, async || {
        (scene.database.count("sync.runs where status = 'succeeded'").await >= runs + 6).then_some(())
    })
    .await;
    for one in &replicas {
        one.signal(Signal::SIGTERM);
    }
    for one in replicas {
        one.ended(Duration::from_secs(10)).await.expect(0);
    }
    let twice = scene.database.texts(&TWICE.replace("{since}", &since)).await;
    scene.program.expect(0, &["backfill", "--full", "--wait"]).await;
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    let overlaps = scene.database.count(OVERLAPS).await;
    assert!(twice.is_empty(), "{twice:#?}");
    case.doubled(u64::try_from(overlaps).unwrap());
    let runs = scene.database.count("sync.runs").await;
    let interrupted = scene
        .database
        .count("sync.runs where status = 'interrupted'")
        .await;
    case.note(format!(
        "{runs} runs, {interrupted} interrupted, {overlaps} overlapped, none came twice"
    ));
    case.report();
}
