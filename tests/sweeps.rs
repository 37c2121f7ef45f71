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

use crate::support::database::Database;
use crate::support::program::LONG;
use crate::support::truth::assert_profiles_equal;
use crate::support::{Scene, eventually, scene, small};

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
    engine_within(app, bounds(lookups, sample))
}

fn bounds(lookups: u64, sample: u64) -> Bounds {
    Bounds {
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
    }
}

fn engine_within(app: &App, bounds: Bounds) -> SyncEngine {
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
    // Walks while `missed` are not listed. A look-up of another profile is one of a witness.
    let walk = async |missed: &[String]| {
        scene.tenant.requests().forget();
        let report = engine.run(&task, &CancellationToken::new()).await.unwrap();
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{:?}", report.ledger);
        let mut asked = looked_up(&scene.tenant);
        asked.retain(|id| missed.contains(id));
        let through: Option<String> = scene
            .database
            .one("select asked_through from sync.cursors where resource = 'profiles' and scope = 'full'")
            .await;
        (asked, through)
    };
    assert_eq!(walk(&[]).await.1, None);
    for position in 0..10 {
        scene.tenant.skip(position * 4);
    }
    for expected in [&candidates[..4], &candidates[4..8]] {
        let (mut asked, through) = walk(&candidates).await;
        asked.sort();
        assert_eq!(asked, expected);
        assert_eq!(through.as_ref(), expected.last());
    }
    // Round again: the last two, then the first two.
    let (asked, through) = walk(&candidates).await;
    let asked: BTreeSet<String> = asked.into_iter().collect();
    let wanted = candidates[8..].iter().chain(&candidates[..2]).cloned().collect();
    assert_eq!(asked, wanted);
    assert_eq!(through.as_ref(), Some(&candidates[1]));
    // All of what is left fits: nothing has to be remembered.
    scene.tenant.list_truly();
    scene.tenant.skip(0);
    let left = [scene.tenant.id(0)];
    assert_eq!(walk(&left).await, (left.to_vec(), None));
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

/// Notes from now on each time that a sweep looks for its candidates.
async fn watch_sweeps(database: &Database) {
    database
        .run(
            "create table public.searches (statement text);
             create function public.note_search() returns trigger language plpgsql as $$
             begin
               if current_query() like 'delete from sync.walk_unseen where walk_id%' then
                 insert into public.searches values (current_query());
               end if;
               return null;
             end $$;
             create trigger note_search before delete on sync.walk_unseen
               for each statement execute function public.note_search()",
        )
        .await;
}

/// How often a sweep looked for its candidates since the last call.
async fn searches(database: &Database) -> i64 {
    let gone = "with gone as (delete from public.searches returning 1) select count(*) from gone";
    database.one(gone).await
}

/// A walk knows in memory that it met every stored profile, whether or not they have changed. Then nothing reads the stored ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_met_every_profile_looks_for_no_candidates() {
    let scene = scene(small(2_500)).await;
    let (tenant, database) = (&scene.tenant, &scene.database);
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let (engine, task) = (engine(&app, 1_000, 1_000_000), full_walk(&app, &settings));
    watch_sweeps(database).await;
    let walk = async || {
        let ledger = engine.run(&task, &CancellationToken::new()).await.unwrap().ledger;
        assert_eq!(ledger.status, RunStatus::Succeeded, "{ledger:?}");
        assert_profiles_equal(database, tenant).await;
        let open = database
            .count("sync.cursors where resource = 'profiles' and position is not null")
            .await;
        assert_eq!((open, database.count("sync.walk_seen").await), (0, 0));
        (searches(database).await, ledger.counts)
    };
    walk().await;
    let (searched, counts) = walk().await;
    assert_eq!((searched, counts.unchanged), (0, 2_500));
    tenant.advance(Duration::from_mins(1));
    for number in 0..25 {
        tenant.touch(number * 100, "name", &["Changed"]);
    }
    let (searched, counts) = walk().await;
    assert_eq!((searched, counts.updated), (0, 25));
    // One is gone, whether or not others have changed.
    for (number, changed) in [(7, None), (2_499, Some(11))] {
        tenant.advance(Duration::from_mins(1));
        assert!(tenant.delete(number));
        if let Some(changed) = changed {
            tenant.touch(changed, "name", &["Changed again"]);
        }
        let (searched, counts) = walk().await;
        assert_eq!((searched, counts.removed), (1, 1));
    }
    assert_eq!(walk().await.0, 0);
    app.close().await.unwrap();
}

/// What a former walk missed and no look-up has decided about is forgotten by the walk that met it.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_met_every_profile_ends_the_backlog() {
    let scene = scene(small(300)).await;
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let (engine, task) = (engine(&app, 4, 1_000_000), full_walk(&app, &settings));
    watch_sweeps(&scene.database).await;
    let walk = async || {
        let ledger = engine.run(&task, &CancellationToken::new()).await.unwrap().ledger;
        assert_eq!(ledger.status, RunStatus::Succeeded, "{ledger:?}");
        (searches(&scene.database).await, backlog(&app).await)
    };
    walk().await;
    for position in 0..10 {
        scene.tenant.skip(position * 4);
    }
    assert_eq!(walk().await, (1, 6));
    scene.tenant.list_truly();
    assert_eq!(walk().await, (0, 0));
    app.close().await.unwrap();
}

/// Where memory has no room for all (1,456 bytes hold 285 hashes, 1,600 hold 304), it does not tell whether all were met.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_without_room_for_all_profiles_looks_for_candidates() {
    let scene = scene(small(300)).await;
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let task = full_walk(&app, &settings);
    watch_sweeps(&scene.database).await;
    for (known_bytes, searched) in [(1 << 20, 0), (0, 1), (1_456, 1), (1_600, 0)] {
        let bounds = Bounds {
            known_bytes,
            ..bounds(1_000, 1_000_000)
        };
        let engine = engine_within(&app, bounds);
        let ledger = engine.run(&task, &CancellationToken::new()).await.unwrap().ledger;
        assert_eq!(ledger.status, RunStatus::Succeeded, "{ledger:?}");
        assert_eq!(searches(&scene.database).await, searched, "{known_bytes} bytes");
    }
    app.close().await.unwrap();
}

/// A walk that goes on where a former run stopped has not met the first profiles in this run.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_goes_on_looks_for_candidates() {
    let slow = simulated_tenant::settings::Settings {
        latency: Duration::from_millis(25),
        ..small(1_500)
    };
    let scene = scene(slow).await;
    let mut settings = settings(&scene);
    settings.resources.profiles.page_size = std::num::NonZeroU32::new(100).unwrap();
    let app = App::start(&settings).await.unwrap();
    let (engine, task) = (engine(&app, 1_000, 1_000_000), full_walk(&app, &settings));
    watch_sweeps(&scene.database).await;
    let walk = async || engine.run(&task, &CancellationToken::new()).await.unwrap().ledger;
    assert_eq!(walk().await.status, RunStatus::Succeeded);
    let stop = CancellationToken::new();
    let stopping = async {
        eventually("a page is loaded", LONG, async || {
            let moved = "sync.cursors where (position->>'pages')::bigint >= 3";
            (scene.database.count(moved).await > 0).then_some(())
        })
        .await;
        stop.cancel();
    };
    let (stopped, ()) = tokio::join!(engine.run(&task, &stop), stopping);
    let ended = stopped.unwrap().ledger;
    assert_eq!(ended.status, RunStatus::Interrupted, "{ended:?}");
    assert!(scene.tenant.delete(1_499));
    let ledger = walk().await;
    assert_eq!(ledger.status, RunStatus::Succeeded, "{ledger:?}");
    assert_eq!((searches(&scene.database).await, ledger.counts.removed), (1, 1));
    assert_profiles_equal(&scene.database, &scene.tenant).await;
    assert_eq!(walk().await.status, RunStatus::Succeeded);
    assert_eq!(searches(&scene.database).await, 0);
    app.close().await.unwrap();
}
