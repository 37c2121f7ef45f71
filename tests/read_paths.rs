//! A tenant with two read paths: the store's scan for everybody, the late search index for changes and for small segments.
//! Increments find what the index learns late; a walk whose path changes keeps its coverage; stale counts remove nobody.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use simulated_tenant::faults::Route;
use simulated_tenant::read_paths::{Flips, OtherCursor, ReadPaths, Sort};
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::Tenant;

use crate::support::program::Program;
use crate::support::truth::{Departures, assert_profiles_equal, departures};
use crate::support::{Scene, scene, small};

/// The vendor's support: indexing takes up to ten minutes.
const LAG: Duration = Duration::from_mins(10);
const EVERYBODY: &str = "allvisitors";

/// A tenant whose clock is hours behind, so that it can be advanced without leaving the program's own clock behind.
fn late(profiles: u64) -> Settings {
    Settings {
        now: Some(chrono::Utc::now() - chrono::TimeDelta::hours(6)),
        read_paths: Some(ReadPaths::default()),
        index_lag: LAG,
        merged_per_thousand: 0,
        ..small(profiles)
    }
}

/// A few changes of every kind that an increment can find.
fn change(tenant: &Tenant, random: &mut StdRng) {
    let mut anybody = || random.random_range(0..tenant.positions());
    for _ in 0..3 {
        let (position, value) = (anybody(), anybody().to_string());
        tenant.touch(position, "name", &[&value]);
    }
    let (loser, winner) = (anybody(), anybody());
    tenant.merge(loser, winner);
    tenant.add_profiles(1);
}

/// Twenty increments, minutes apart, over an index that is ten minutes late.
async fn increments(scene: &Scene, overlap: &str) {
    let program = scene.program.set("resources.profiles.overlap", overlap);
    let mut random = StdRng::seed_from_u64(14);
    program.expect(0, &["backfill", "profiles"]).await;
    for _ in 0..20 {
        change(&scene.tenant, &mut random);
        let minutes = random.random_range(1..8);
        scene.tenant.advance(Duration::from_mins(minutes));
        program.expect(0, &["backfill", "profiles"]).await;
    }
    scene.tenant.advance(LAG);
    program.expect(0, &["backfill", "profiles"]).await;
    assert_eq!(
        scene.database.count("sync.runs where mode = 'full'").await,
        1,
        "the rest were increments"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlap_covers_an_index_that_is_ten_minutes_late() {
    for sort in [Sort::Modified, Sort::NewestModified, Sort::Created] {
        let scene = scene(Settings {
            read_paths: Some(ReadPaths {
                sort,
                ..ReadPaths::default()
            }),
            ..late(400)
        })
        .await;
        increments(&scene, "30m").await;
        assert_profiles_equal(&scene.database, &scene.tenant).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_later_than_the_overlap_comes_with_the_full_walk() {
    let scene = scene(late(400)).await;
    increments(&scene, "2m").await;
    let departed = departures(&scene.database, &scene.tenant, EVERYBODY).await;
    assert_ne!(departed, Departures::default(), "the overlap is too short");
    let ended = scene.program.expect(0, &["backfill", "--full", "profiles"]).await;
    ended.tells(&["came only with this full walk", "resources.profiles.overlap"]);
    assert_profiles_equal(&scene.database, &scene.tenant).await;
}

/// The index does not know yet that profiles are members again: the walk misses them, and their look-ups keep them. It is ordered
/// by date, so that those who leave together are the first of the listing: not the ones that vouch for look-ups.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_a_late_index_removes_no_member() {
    let scene = scene(late(1_200)).await;
    let Scene { tenant, database, .. } = &scene;
    let segment = tenant.segments()[1].id.clone();
    let program = scene.program.set("resources.profiles.segment", &segment);
    let full = ["backfill", "--full", "profiles"];
    program.expect(0, &full).await;
    let mut members: Vec<(Option<i64>, u64)> = tenant
        .profiles()
        .filter(|profile| profile.segment_ids.contains(&segment))
        .map(|profile| (profile.modified_at, profile.position))
        .collect();
    members.sort_unstable();
    let members: Vec<u64> = members.into_iter().map(|(_, position)| position).collect();
    let stored = database.count("blueconic.profiles").await;
    assert_eq!(stored, i64::try_from(members.len()).unwrap());
    let set = |positions: &[u64], member| {
        for position in positions {
            assert!(tenant.set_member(*position, &segment, member));
        }
    };
    set(&members[2..10], false);
    tenant.advance(LAG);
    set(&members[2..10], true);
    // The index does not know yet that these have left.
    set(&members[..2], false);
    program.expect(0, &full).await;
    let left = Departures {
        stale: 2,
        ..Departures::default()
    };
    assert_eq!(departures(database, tenant, &segment).await, left);
    assert_eq!(database.count("blueconic.profile_tombstones").await, 0);
    tenant.advance(LAG);
    program.expect(0, &full).await;
    let departed = departures(database, tenant, &segment).await;
    assert_eq!(departed, Departures::default());
}

/// A tenant that reads everybody by either path, and changes the path after so many listings.
fn flipping(every: u64, sort: Sort, refused_cursor: u16) -> Settings {
    Settings {
        read_paths: Some(ReadPaths {
            scan_from: 1_000,
            sort,
            flips: Some(Flips { within: 50, every }),
            other_cursor: OtherCursor::Refused,
        }),
        refused_cursor,
        merged_per_thousand: 0,
        seed: every,
        ..small(240)
    }
}

/// The open walk of the table.
async fn open_walk(scene: &Scene) -> Option<String> {
    let sql = "select position ->> 'walk_id' from sync.cursors
               where resource = 'profiles' and scope = 'full' and position is not null";
    scene.database.texts(sql).await.pop()
}

/// Walks until a run succeeds; a run that does not keeps its walk. Returns the runs.
async fn walk(scene: &Scene, program: &Program) -> u32 {
    let mut runs = 0;
    let mut walk = None;
    loop {
        runs += 1;
        let ended = program.run(&["backfill", "--full", "profiles"]).await;
        if ended.code() == 0 {
            return runs;
        }
        let open = open_walk(scene).await;
        assert!(open.is_some(), "the walk is kept\n{}", ended.stderr);
        assert!(walk.is_none() || walk == open, "no walk starts over from nothing");
        walk = open;
        assert!(runs < 4, "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_whose_path_changes_keeps_its_coverage() {
    let mut worst = (0, 0);
    for (every, sort, status) in [
        (1, Sort::Modified, 400),
        (2, Sort::Created, 422),
        (3, Sort::Modified, 400),
        (4, Sort::NewestModified, 410),
        (5, Sort::Modified, 404),
        (7, Sort::NewestModified, 400),
        (11, Sort::Modified, 400),
        (13, Sort::Created, 400),
    ] {
        let scene = scene(flipping(every, sort, status)).await;
        let program = scene.program.set("resources.profiles.page_size", "24");
        for round in 0..2 {
            scene.tenant.requests().forget();
            let runs = walk(&scene, &program).await;
            worst = worst.max((runs, scene.tenant.requests().count(Route::Profiles)));
            let departed = departures(&scene.database, &scene.tenant, EVERYBODY).await;
            assert_eq!(departed, Departures::default(), "every {every}, round {round}");
            let removed = scene.database.count("blueconic.profile_tombstones").await;
            assert_eq!(removed, 0, "every {every}, round {round}");
            for position in 0..20 {
                scene.tenant.touch(position, "name", &["Changed"]);
            }
        }
    }
    assert!(
        worst.0 <= 2 && worst.1 < 60,
        "{worst:?} runs and requests for ten pages"
    );
}

/// A cursor that is silently taken for a place in another order leaves profiles out. Such a walk is not complete, so nobody goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_misread_removes_nobody() {
    let scene = scene(late(240)).await;
    let Scene { tenant, database, .. } = &scene;
    let program = scene.program.set("resources.profiles.page_size", "24");
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let mut partial = 0;
    for every in 2..8 {
        tenant.set_read_paths(ReadPaths {
            scan_from: 1_000,
            flips: Some(Flips { within: 50, every }),
            other_cursor: OtherCursor::Taken,
            ..ReadPaths::default()
        });
        tenant.touch(every, "name", &["Changed"]);
        let ended = program.run(&["backfill", "--full", "profiles"]).await;
        assert!(matches!(ended.code(), 0 | 3), "{}", ended.stderr);
        partial += u32::from(ended.code() == 3);
        let departed = departures(database, tenant, EVERYBODY).await;
        assert_eq!((departed.lost, departed.stale), (0, 0), "every {every}");
        assert_eq!(
            database.count("blueconic.profile_tombstones").await,
            0,
            "every {every}"
        );
    }
    assert!(partial > 0, "some walk left many out");
    tenant.set_read_paths(ReadPaths::default());
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(database, tenant).await;
}

/// Totals that are too high or too low by more than a walk may miss.
#[tokio::test(flavor = "multi_thread")]
async fn stale_totals_lose_nothing_and_remove_nobody_who_is_there() {
    let age = Duration::from_hours(1);
    let scene = scene(Settings {
        count_age: age,
        ..late(500)
    })
    .await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    for position in 0..20 {
        assert!(tenant.delete(position));
    }
    let full = ["backfill", "--full", "profiles"];
    program
        .expect(3, &full)
        .await
        .tells(&["reports 500 profiles, but 480 different ones came"]);
    assert_eq!(database.count("blueconic.profiles").await, 500, "nobody went");
    tenant.advance(age);
    program.expect(0, &full).await;
    assert_profiles_equal(database, tenant).await;
    tenant.add_profiles(30);
    program
        .expect(3, &full)
        .await
        .tells(&["reports 480 profiles, but 510 different ones came"]);
    assert_profiles_equal(database, tenant).await;
    tenant.advance(age);
    program.expect(0, &full).await;
    // Within the tolerance a stale total is no obstacle, and who is gone goes.
    assert!(tenant.delete(100) && tenant.delete(101));
    program.expect(0, &full).await;
    assert_profiles_equal(database, tenant).await;
}

/// Without a segment of all visitors the largest one is read. Its count is stale, so another one is chosen: nobody goes for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_count_chooses_a_segment_and_removes_nobody() {
    let age = Duration::from_hours(1);
    let scene = scene(Settings {
        count_age: age,
        ..late(400)
    })
    .await;
    let Scene {
        tenant,
        database,
        program,
    } = &scene;
    let full = ["backfill", "--full", "profiles"];
    program.expect(0, &full).await;
    let largest = |tenant: &Tenant| {
        let others = tenant
            .segments()
            .into_iter()
            .filter(|segment| segment.id != EVERYBODY);
        others.max_by_key(|segment| segment.profile_count).unwrap().id
    };
    let before = largest(tenant);
    let other = tenant.segments()[1].id.clone();
    assert_ne!(before, other);
    for position in 0..400 {
        tenant.set_member(position, &other, true);
    }
    assert!(tenant.remove_segment(EVERYBODY));
    for chosen in [&before, &other] {
        program.expect(3, &full).await.tells(&[chosen, "`allvisitors`"]);
        assert_eq!(database.count("blueconic.profiles").await, 400);
        assert_eq!(database.count("blueconic.profile_tombstones").await, 0);
        tenant.advance(age);
    }
    assert_eq!(largest(tenant), other);
}
