//! Cursors that die in the middle of a walk, whatever the tenant says to them, and lists of segments that blink while
//! walks of profiles open and sweep: each walk has to come to its end by itself, and nobody who is there may be removed.

use std::time::Instant;

use rand::RngExt as _;
use simulated_tenant::faults::{Fault, Inconsistency, Kind, Route, When};
use simulated_tenant::settings::Settings;

use crate::support::truth::{assert_profiles_equal, departures};
use crate::support::{scene, small};

use super::table::{Case, in_full, tries};

const PROFILES: u64 = 240;
const PAGES: u64 = 10;

/// Final answers, and some that may pass.
const STATUSES: [u16; 11] = [400, 404, 410, 422, 500, 502, 503, 504, 408, 403, 429];

fn settings() -> Settings {
    Settings {
        merged_per_thousand: 0,
        ..small(PROFILES)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_cursors_end_their_walks_and_not_the_service() {
    let mut scene = scene(settings()).await;
    scene.program = scene
        .program
        .set("resources.profiles.page_size", "24")
        .set("retry.give_up_after", "500ms");
    scene.program.expect(0, &["backfill", "--full"]).await;
    let mut case = Case::new("cursors that die, by what is answered to them");
    let statuses = if in_full() { &STATUSES[..] } else { &STATUSES[..5] };
    let mut most = 0;
    for _ in 0..tries(1, 10) {
        for status in statuses {
            let page = rand::rng().random_range(2..=PAGES);
            let kind = Kind::Status {
                status: *status,
                retry_after: None,
            };
            scene
                .tenant
                .faults()
                .push(Fault::at(Route::Profiles, When::PageUntilAnew(page), kind));
            let began = Instant::now();
            let mut runs = 0;
            loop {
                runs += 1;
                let ended = scene.program.run(&["backfill", "--full", "profiles"]).await;
                if ended.code() == 0 {
                    break;
                }
                assert!(runs < 3, "{status}: {}", ended.stderr);
            }
            most = most.max(runs);
            case.recovered(began.elapsed());
            scene.tenant.faults().clear();
            let departed = departures(&scene.database, &scene.tenant, "allvisitors").await;
            case.lost(departed.lost);
            case.doubled(departed.other + departed.stale);
            let removed = scene.database.count("blueconic.profile_tombstones").await;
            case.wrongly_deleted(removed.unsigned_abs());
            case.tried(1);
        }
    }
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    case.note(format!("{} statuses, at most {most} runs", statuses.len()));
    case.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_blink_remove_nobody() {
    let scene = scene(settings()).await;
    let program = scene.program.set("resources.profiles.page_size", "24");
    program.expect(0, &["backfill", "--full"]).await;
    let mut case = Case::new("a list of segments that lacks the walked one for a while");
    let mut partial = 0;
    for _ in 0..tries(4, 50) {
        let inconsistency = Inconsistency {
            hides: Some("allvisitors"),
            no_total: rand::rng().random(),
            ..Inconsistency::default()
        };
        let from = rand::rng().random_range(1..=3);
        for number in from..from + rand::rng().random_range(1..=4) {
            let blink = Fault::at(
                Route::Segments,
                When::Request(number),
                Kind::Inconsistent(inconsistency),
            );
            scene.tenant.faults().push(blink);
        }
        let ended = program.run(&["backfill", "--full", "profiles"]).await;
        assert!(matches!(ended.code(), 0 | 3), "{}", ended.stderr);
        partial += u32::from(ended.code() == 3);
        scene.tenant.faults().clear();
        let removed = scene.database.count("blueconic.profile_tombstones").await;
        case.wrongly_deleted(removed.unsigned_abs());
        let began = Instant::now();
        program.expect(0, &["backfill", "--full", "profiles"]).await;
        case.recovered(began.elapsed());
        case.tried(1);
    }
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    case.note(format!(
        "{partial} walks read another segment, and removed nothing"
    ));
    case.report();
}
