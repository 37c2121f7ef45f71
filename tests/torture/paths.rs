//! Walks of a segment that the tenant reads by either path, changing the path after a few pages, while profiles change and the
//! search index is late. No profile that is there is removed, and a walk that was refused its cursor keeps what it covered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use simulated_tenant::read_paths::{Flips, OtherCursor, ReadPaths, Sort};
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::Tenant;

use crate::support::truth::{Departures, departures};
use crate::support::{Scene, scene, small};

use super::table::{Case, tries};

const PROFILES: u64 = 240;
const SEGMENT: &str = "allvisitors";
/// Seconds by which the index is late.
const LAG: Duration = Duration::from_secs(2);

fn flipping(random: &mut impl rand::Rng) -> ReadPaths {
    let sorts = [Sort::Modified, Sort::NewestModified, Sort::Created];
    ReadPaths {
        scan_from: 1_000,
        sort: sorts[random.random_range(0..3)],
        flips: Some(Flips {
            within: 100,
            every: random.random_range(1..14),
        }),
        other_cursor: OtherCursor::Refused,
    }
}

/// Something changes that removes nobody.
fn change(tenant: &Tenant) {
    let mut random = rand::rng();
    let position = random.random_range(0..tenant.positions());
    if random.random_range(0..10) == 0 {
        tenant.add_profiles(1);
    } else {
        tenant.touch(position, "name", &[&random.random::<u32>().to_string()]);
    }
}

/// The open walk of the table.
async fn open_walk(scene: &Scene) -> Option<String> {
    let sql = "select position ->> 'walk_id' from sync.cursors
               where resource = 'profiles' and scope = 'full' and position is not null";
    scene.database.texts(sql).await.pop()
}

/// Walks until a run succeeds, while the tenant changes. Returns the runs that it took, and those that
/// lost their walk to a refused cursor.
async fn walk_while_it_changes(scene: &Scene) -> (u64, u64) {
    let over = AtomicBool::new(false);
    let walking = async {
        let (mut runs, mut anew, mut walk) = (0, 0, None);
        loop {
            runs += 1;
            let ended = scene.program.run(&["backfill", "--full", "profiles"]).await;
            match ended.code() {
                0 => break,
                // So many profiles changed their places that the listing was not complete: no refusal, and another walk.
                3 => walk = None,
                _ => {
                    let open = open_walk(scene).await;
                    anew += u64::from(open.is_none() || (walk.is_some() && walk != open));
                    walk = open;
                }
            }
            assert!(runs < 8, "{}", ended.stderr);
        }
        over.store(true, Ordering::Relaxed);
        (runs, anew)
    };
    let changing = async {
        while !over.load(Ordering::Relaxed) {
            change(&scene.tenant);
            tokio::time::sleep(Duration::from_millis(rand::random_range(30..90))).await;
        }
    };
    tokio::join!(walking, changing).0
}

#[tokio::test(flavor = "multi_thread")]
async fn walks_over_changing_paths_keep_their_coverage() {
    let mut case = Case::new("walks whose read path changes while profiles do");
    let (mut most, mut anew) = (0, 0);
    let mut random = rand::rng();
    for number in 0..tries(4, 100) {
        let scene = flipping_scene(number.into(), flipping(&mut random)).await;
        let began = Instant::now();
        let (runs, again) = walk_while_it_changes(&scene).await;
        most = most.max(runs);
        anew += again;
        if runs > 1 {
            case.recovered(began.elapsed());
        }
        let removed = scene.database.count("blueconic.profile_tombstones").await;
        case.wrongly_deleted(removed.unsigned_abs());
        // What changed last is found by an increment, once the index knows it.
        tokio::time::sleep(LAG + Duration::from_secs(1)).await;
        scene.tenant.set_read_paths(ReadPaths::default());
        scene.program.expect(0, &["backfill", "profiles"]).await;
        let departed = departures(&scene.database, &scene.tenant, SEGMENT).await;
        case.lost(departed.lost);
        case.doubled(departed.other + departed.stale);
        if departed != Departures::default() {
            case.note(format!("{departed:?} in try {number}"));
        }
        case.tried(1);
    }
    assert_eq!(anew, 0, "walks that started over from nothing");
    case.note(format!("at most {most} runs, no walk started over"));
    case.report();
}

async fn flipping_scene(seed: u64, paths: ReadPaths) -> Scene {
    let mut scene = scene(Settings {
        seed,
        latency: Duration::from_millis(8),
        merged_per_thousand: 0,
        index_lag: LAG,
        read_paths: Some(ReadPaths::default()),
        ..small(PROFILES)
    })
    .await;
    scene.program = scene
        .program
        .set("resources.profiles.page_size", "24")
        .set("resources.profiles.overlap", "30s");
    scene.program.expect(0, &["backfill", "--full", "profiles"]).await;
    scene.tenant.set_read_paths(paths);
    scene
}
