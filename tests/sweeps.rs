//! The sweep's finer points: a profile that a walk missed and that is newer, and more candidates than may be asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::app::{self, App, Overrides};
use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::sync::engine::Engine;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::{Bounds, RemovalBound, WhenHeld};
use serde_json::Value;
use simulated_tenant::faults::Route;
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

/// With room for 4 look-ups in a sweep, 10 candidates take three sweeps, each of which begins where the last stopped:
/// those that turned out to be there after all would else be asked for again and again, and the rest never.
#[tokio::test(flavor = "multi_thread")]
async fn candidates_beyond_the_bound_are_asked_for_first_next_time() {
    let scene = scene(small(300)).await;
    let settings = settings(&scene);
    let app = App::start(&settings).await.unwrap();
    let bounds = Bounds {
        batch_bytes: 1 << 20,
        batch_elements: 1_000,
        lanes: 2,
        lease_ttl: Duration::from_secs(5),
        removals: RemovalBound::Rows(100),
        approved_removals: None,
        lookups: 4,
        known_bytes: 4 * 1024 * 1024,
        lookups_at_once: 4,
    };
    let engine = Engine::new(
        Arc::clone(&app.client),
        app.store.clone(),
        Arc::new(SystemClock),
        bounds,
        Arc::new(NoListener),
    );
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    let entry = app
        .entries
        .iter()
        .find(|entry| entry.name() == "profiles")
        .unwrap();
    let task = app::run_spec(&settings, entry, overrides, WhenHeld::LookOn);
    // Missed by the listing for as long as this lasts, so that each sweep finds the same candidates.
    let mut candidates: Vec<String> = (0..10).map(|position| scene.tenant.id(position * 4)).collect();
    candidates.sort();
    let walk = async || {
        scene.tenant.requests().forget();
        let report = engine.run(&task, &CancellationToken::new()).await.unwrap();
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{:?}", report.ledger);
        let asked: Vec<String> = scene
            .tenant
            .requests()
            .of(Route::Profile)
            .iter()
            .map(|request| request.path.rsplit('/').next().unwrap().to_owned())
            .filter(|id| candidates.contains(id)) // and not a witness
            .collect();
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
