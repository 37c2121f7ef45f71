//! The sweep's finer points: a profile that a walk missed and that is newer, and more candidates than may be asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::app::{self, App, Overrides, SyncEngine};
use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::ports::Observer as _;
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::sync::engine::Engine;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::{Bounds, RemovalBound, RunSpec, WhenHeld};
use serde_json::Value;
use simulated_tenant::faults::Route;
use simulated_tenant::tenant::Tenant;
use tokio_util::sync::CancellationToken;

use crate::support::truth::assert_profiles_equal;
use crate::support::{Scene, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_profile_that_is_newer_is_loaded_from_its_look_up() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(400)).await;
    program.expect(0, &["backfill"]).await;
    let with_level = (50..400)
        .find(|position| tenant.profile(*position).unwrap().permission_level.is_some())
        .unwrap();
    let (newer, same) = (tenant.id(with_level), tenant.id(with_level + 1));
    let row = |id: &str| format!("select to_jsonb(p) from blueconic.profiles as p where id = '{id}'");
    let before: [Value; 2] = [database.one(&row(&newer)).await, database.one(&row(&same)).await];
    tenant.advance(Duration::from_mins(1));
    let segment = tenant.segments()[2].id.clone();
    let was_in = tenant.profile(with_level).unwrap().segment_ids.contains(&segment);
    assert!(tenant.set_member(with_level, &segment, !was_in));
    tenant.touch(
        with_level,
        "name",
        &["Changed while nobody looked", "quote \" and \\"],
    );
    tenant.skip(with_level);
    tenant.skip(with_level + 1);
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let after: [Value; 2] = [database.one(&row(&newer)).await, database.one(&row(&same)).await];
    assert_eq!(
        before[1], after[1],
        "what is not newer is left alone, its synced_at too"
    );
    assert!(after[0]["modified_at"].as_str() > before[0]["modified_at"].as_str());
    assert_profiles_equal(&database, &tenant).await;
    let counts: (i64, i64, i64) = database
        .rows(
            "select rows_missed, rows_updated, rows_removed from sync.runs order by started_at desc limit 1",
        )
        .await[0];
    assert_eq!(counts, (2, 1, 0));
    crate::support::truth::assert_ledgers_add_up(&database).await;
    // The listing has other bytes, and they mean the same.
    tenant.list_truly();
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    assert_profiles_equal(&database, &tenant).await;
    let written: i64 = database
        .one("select rows_inserted + rows_updated from sync.runs order by started_at desc limit 1")
        .await;
    assert_eq!(written, 0);
}

fn settings(scene: &Scene) -> Settings {
    let variables: Variables = [
        ("BLUECONIC_URL", scene.tenant.url()),
        ("BLUECONIC_CLIENT_ID", "simulated-client"),
        ("BLUECONIC_CLIENT_SECRET", "simulated-secret"),
        ("DATABASE_URL", &scene.database.url),
        ("BLUECONIC_SYNC__LIMITS__REQUESTS_PER_SECOND", "10000"),
        ("BLUECONIC_SYNC__LIMITS__BURST", "10000"),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into_iter()
    .collect();
    load(None, &variables, RESOURCES).unwrap()
}

/// An engine whose sweeps look up so many candidates, and draw samples of this size.
fn engine(app: &App, lookups: u64, sample: u64) -> SyncEngine {
    let bounds = Bounds {
        batch_bytes: 1 << 20,
        batch_elements: 1_000,
        lanes: 2,
        lease_ttl: Duration::from_secs(5),
        removals: RemovalBound::Rows(100),
        approved_removals: None,
        lookups,
        sample,
        lookups_per_second: 0,
        full_window: None,
        known_bytes: 4 * 1024 * 1024,
        lookups_at_once: 4,
    };
    Engine::new(
        Arc::clone(&app.client),
        app.store.clone(),
        Arc::new(SystemClock),
        bounds,
        Arc::new(NoListener),
    )
}

/// A full walk over profiles.
fn full_walk(app: &App, settings: &Settings) -> RunSpec {
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    let mut entries = app.entries.iter();
    let entry = entries.find(|entry| entry.name() == "profiles").unwrap();
    app::run_spec(settings, entry, overrides, WhenHeld::LookOn)
}

/// The ids that were looked up since the requests were forgotten.
fn looked_up(tenant: &Tenant) -> Vec<String> {
    let requests = tenant.requests().of(Route::Profile);
    let ids = requests
        .iter()
        .map(|request| request.path.rsplit('/').next().unwrap().to_owned());
    ids.collect()
}

/// With room for 4 look-ups in a sweep, 10 candidates take three sweeps, each of which begins where the last stopped:
/// those that turned out to be there after all would else be asked for again and again, and the rest never.
#[tokio::test(flavor = "multi_thread")]
async fn candidates_beyond_the_bound_are_asked_for_first_next_time() {
    let scene = scene(small(300)).await;
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let (engine, task) = (engine(&app, 4, 1_000_000), full_walk(&app, &settings));
    // Missed by the listing for as long as this lasts, so that each sweep finds the same candidates.
    let mut candidates: Vec<String> = (0..10).map(|position| scene.tenant.id(position * 4)).collect();
    candidates.sort();
    let walk = async || {
        scene.tenant.requests().forget();
        let report = engine.run(&task, &CancellationToken::new()).await.unwrap();
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{:?}", report.ledger);
        let mut asked = looked_up(&scene.tenant);
        asked.retain(|id| candidates.contains(id)); // and not a witness
        let through: Option<String> = scene
            .database
            .one("select asked_through from sync.cursors where resource = 'profiles' and scope = 'full'")
            .await;
        (asked, through)
    };
    assert_eq!(walk().await.1, None);
    for position in 0..10 {
        scene.tenant.skip(position * 4);
    }
    for expected in [&candidates[..4], &candidates[4..8]] {
        let (mut asked, through) = walk().await;
        asked.sort();
        assert_eq!(asked, expected);
        assert_eq!(through.as_ref(), expected.last());
    }
    // Round again: the last two, then the first two.
    let (asked, through) = walk().await;
    let asked: BTreeSet<String> = asked.into_iter().collect();
    let wanted = candidates[8..].iter().chain(&candidates[..2]).cloned().collect();
    assert_eq!(asked, wanted);
    assert_eq!(through.as_ref(), Some(&candidates[1]));
    // All of what is left fits: nothing has to be remembered.
    scene.tenant.list_truly();
    scene.tenant.skip(0);
    let (asked, through) = walk().await;
    assert_eq!((asked, through), (vec![scene.tenant.id(0)], None));
    app.close().await.unwrap();
}

/// The rows that walks missed and about which no look-up has decided.
async fn backlog(app: &App) -> i64 {
    let status = app.store.status().await.unwrap();
    let mut slots = status.resources.iter();
    let full = slots.find(|slot| slot.resource == "profiles" && slot.scope == Scope::Full);
    full.unwrap().sweep_backlog
}

/// Each day 50 of 1,000 profiles go, and a sweep may look up 30. Those that two walks missed go on a sample of 20.
#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_stays_flat_however_many_profiles_go() {
    let scene = scene(small(1_000)).await;
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let (engine, task) = (engine(&app, 30, 20), full_walk(&app, &settings));
    let walk = async || {
        scene.tenant.requests().forget();
        let report = engine.run(&task, &CancellationToken::new()).await.unwrap();
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{:?}", report.ledger);
    };
    walk().await;
    for day in 0..8 {
        scene.tenant.advance(Duration::from_hours(24));
        for number in 0..50 {
            assert!(scene.tenant.delete(day * 50 + number));
        }
        walk().await;
        let asked: BTreeSet<String> = looked_up(&scene.tenant).into_iter().collect();
        assert!(
            asked.len() <= 30 + 6,
            "{} look-ups, witnesses among them",
            asked.len()
        );
        let left = backlog(&app).await;
        assert!(left <= 30 + 50, "{left} rows wait on day {day}");
        let stored = scene.database.count("blueconic.profiles").await;
        let there = i64::try_from(scene.tenant.profiles().count()).unwrap();
        assert_eq!(stored, there + left, "only what is gone is removed");
    }
    // What is left is few enough, once nothing more goes.
    for _ in 0..3 {
        walk().await;
    }
    assert_eq!(backlog(&app).await, 0);
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    app.close().await.unwrap();
}

/// A listing that leaves out 60 profiles that are there: a sample meets one of them, and nothing goes without a look-up.
#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_meets_a_profile_decides_nothing() {
    let scene = scene(small(6_000)).await;
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let (engine, task) = (engine(&app, 10, 10), full_walk(&app, &settings));
    let walk = async || engine.run(&task, &CancellationToken::new()).await.unwrap().ledger;
    assert_eq!(walk().await.status, RunStatus::Succeeded);
    for number in 0..59 {
        scene.tenant.skip(number * 2);
    }
    assert!(scene.tenant.delete(1));
    for _ in 0..4 {
        scene.tenant.requests().forget();
        let ledger = walk().await;
        assert_eq!(ledger.status, RunStatus::Succeeded, "{ledger:?}");
        let asked = looked_up(&scene.tenant);
        let removed = scene
            .database
            .count("blueconic.profile_tombstones where reason = 'deleted'")
            .await;
        assert!(
            removed <= 1 && ledger.counts.missed > 0,
            "{ledger:?} after {asked:?}"
        );
    }
    scene.tenant.list_truly();
    assert_eq!(walk().await.status, RunStatus::Succeeded);
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    app.close().await.unwrap();
}
