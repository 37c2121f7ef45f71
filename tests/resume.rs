//! Whatever the tenant answers, the walk goes on from where it stood, and the tables end equal to it. What ends the
//! process itself is in `tests/torture`.

use std::time::Duration;

use simulated_tenant::faults::{Fault, Kind, RetryAfter, Route, When};
use simulated_tenant::settings::Settings;

use crate::support::cluster::{Cluster, Restart};
use crate::support::database::Database;
use crate::support::program::{LONG, Program, Running};
use crate::support::truth::{assert_equal, assert_profiles_equal};
use crate::support::{Scene, eventually, scene, small};

/// Small pages and a tenant that takes its time: there is a middle in which things can happen.
async fn slow_scene(profiles: u64) -> Scene {
    let mut scene = scene(Settings {
        latency: Duration::from_millis(25),
        ..small(profiles)
    })
    .await;
    scene.program = scene.program.set("resources.profiles.page_size", "100");
    scene
}

/// Waits until so many pages of profiles were asked for.
async fn asked_for(scene: &Scene, running: &mut Running, pages: usize) {
    eventually("pages are asked for", LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (scene.tenant.requests().count(Route::Profiles) >= pages).then_some(())
    })
    .await;
}

async fn succeeds_in_spite_of(faults: &[(&str, Fault)]) {
    let scene = scene(small(1_500)).await;
    for (_, fault) in faults {
        scene.tenant.faults().push(fault.clone());
    }
    let program = scene
        .program
        .set("resources.profiles.page_size", "100")
        .set("tenant.read_timeout", "1s");
    let ended = program.run(&["backfill", "--full"]).await;
    let names: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
    assert_eq!(ended.code(), 0, "{names:?}\n{}", ended.stderr);
    assert!(scene.tenant.faults().given() > 0, "{names:?} never came");
    assert_equal(&scene.database, &scene.tenant).await;
}

fn at_profiles(when: When, limit: u64, kind: Kind) -> Fault {
    Fault {
        limit: Some(limit),
        ..Fault::at(Route::Profiles, when, kind)
    }
}

/// Waits until the position of profiles is stored beyond so many pages.
async fn stored(database: &Database, pages: i64) {
    eventually("a position is stored", LONG, async || {
        let position =
            format!("sync.cursors where resource = 'profiles' and (position->>'pages')::bigint >= {pages}");
        (database.count(&position).await > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_cut_anywhere_lose_nothing() {
    for round in 0..3 {
        let cut = Kind::CutAfter(rand::random_range(1..60_000));
        let end = Kind::EndAfter(rand::random_range(1..60_000));
        succeeds_in_spite_of(&[
            (
                &format!("{round}: {cut:?}"),
                at_profiles(When::Every(3), 4, cut.clone()),
            ),
            (
                &format!("{round}: {end:?}"),
                at_profiles(When::Every(4), 3, end.clone()),
            ),
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_that_pass_are_waited_out() {
    let status = |status, retry_after| Kind::Status { status, retry_after };
    succeeds_in_spite_of(&[
        ("503", at_profiles(When::Every(2), 5, status(503, None))),
        (
            "503 with seconds",
            at_profiles(When::Request(3), 1, status(503, Some(RetryAfter::Seconds(1)))),
        ),
        (
            "429 with a date",
            at_profiles(
                When::Request(5),
                1,
                status(429, Some(RetryAfter::Date(Duration::from_secs(1)))),
            ),
        ),
        ("429", at_profiles(When::Request(7), 2, status(429, None))),
        ("500", at_profiles(When::Request(9), 1, status(500, None))),
        ("tokens die", at_profiles(When::Request(11), 1, Kind::TokensDie)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_broken_connections_are_waited_out() {
    succeeds_in_spite_of(&[
        ("reset", at_profiles(When::Request(2), 2, Kind::Reset)),
        (
            "slow",
            at_profiles(
                When::Request(4),
                1,
                Kind::Slow {
                    bytes_per_second: 60_000,
                },
            ),
        ),
        (
            "stalled beyond the time-out",
            at_profiles(
                When::Request(6),
                1,
                Kind::Stall {
                    after: 20_000,
                    pause: Duration::from_secs(3),
                },
            ),
        ),
        ("empty", at_profiles(When::Request(8), 1, Kind::Empty)),
        (
            "late",
            at_profiles(When::Request(10), 1, Kind::Delay(Duration::from_secs(2))),
        ),
    ])
    .await;
}

/// A cursor that is refused once may belong to the tenant's other read path; one that stays refused is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_stays_refused_starts_the_walk_again() {
    for (refusals, expected) in [(1, 1), (2, 2)] {
        let scene = scene(small(1_000)).await;
        scene.tenant.faults().push(at_profiles(
            When::Page(5),
            refusals,
            Kind::Status {
                status: 400,
                retry_after: None,
            },
        ));
        let program = scene.program.set("resources.profiles.page_size", "100");
        program.expect(0, &["backfill", "--full"]).await;
        assert_equal(&scene.database, &scene.tenant).await;
        let starts = scene
            .tenant
            .requests()
            .of(Route::Profiles)
            .iter()
            .filter(|request| request.query.contains("cursor=*") || request.query.contains("cursor=%2A"))
            // Not what asks whether the tenant answers at all.
            .filter(|request| request.query.contains("count=100&"))
            .count();
        assert_eq!(starts, expected, "refused {refusals} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_names_the_first_or_waits_for_it() {
    let scene = slow_scene(10_000).await;
    let mut first = scene.program.start(&["backfill", "--full", "profiles"]);
    asked_for(&scene, &mut first, 3).await;
    let holder: String = scene
        .database
        .one("select holder from sync.leases where name = 'profiles/full'")
        .await;
    let waiting = scene.program.start(&["backfill", "--full", "profiles", "--wait"]);
    let second = scene.program.run(&["backfill", "--full", "profiles"]).await;
    assert!(!first.has_ended(), "the first was too quick to show anything");
    second.expect(1);
    second.tells(&[&holder, "--wait"]);
    first.ended(LONG).await.expect(0);
    waiting.ended(LONG).await.expect(0);
    assert_profiles_equal(&scene.database, &scene.tenant).await;
}

/// A crash costs a page, never the walk: what it saw is kept with its cursor.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_in_the_middle_loses_nothing() {
    let cluster = Cluster::start();
    let mut scene = slow_scene(4_000).await;
    scene.database = Database::on(&cluster).await;
    let program: Program = scene.program.with("DATABASE_URL", &scene.database.url);
    program.expect(0, &["backfill"]).await;
    scene.tenant.touch(3_500, "name", &["Late"]);
    scene.tenant.requests().forget();
    let mut running = program.start(&["backfill", "--full"]);
    asked_for(&scene, &mut running, 8).await;
    stored(&scene.database, 2).await;
    scene.database.pool.close().await;
    tokio::task::block_in_place(|| cluster.restart(Restart::Immediate));
    running.ended(LONG).await.expect(0);
    // Only those are asked for again whose commits had not reached the disk: what the log's writer had not come to, within 0.6 s.
    let asked = scene.tenant.requests().count(Route::Profiles);
    assert!(asked < 40 + 32, "{asked} requests for 40 pages");
    scene.database.pool = sqlx::PgPool::connect(&scene.database.url).await.unwrap();
    assert_equal(&scene.database, &scene.tenant).await;
    assert_eq!(
        scene
            .database
            .count("blueconic.profile_tombstones where reason <> 'merged'")
            .await,
        0
    );
    scene.database.pool.close().await;
}
