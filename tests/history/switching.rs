//! A history is switched on and off. It says nothing about a time at which it was off.

use blueconic_sync::app::Overrides;
use blueconic_sync::config::load::load;
use blueconic_sync::model::position::Scope;
use blueconic_sync::resources::registry::RESOURCES;

use super::{ALL_ON, HISTORY, Person, STAGES_READ, Scene, settled};
use crate::support::described::{run, variables};

#[tokio::test(flavor = "multi_thread")]
async fn recording_begins_with_the_end_of_a_full_walk_and_each_history_by_itself() {
    let scene = Scene::with(&[]).await;
    for number in 0..30 {
        scene.put(&format!("p{number:02}"), &settled(number));
    }
    scene.walk().await;
    assert_eq!(scene.database.count("blueconic.recorded_histories").await, 0);
    let scene = scene.restarted(&[(HISTORY[0], "true")]).await;
    let increment = Overrides {
        scope: Some(Scope::Increment),
        ..Overrides::default()
    };
    run(&scene.app, &scene.settings, "profiles", increment).await;
    let waiting = "blueconic.recorded_histories where recorded_since is null";
    assert_eq!(
        scene.database.count(waiting).await,
        1,
        "an increment begins nothing"
    );
    scene.put("p01", &Person::within(&["a", "early"]));
    scene.walk().await;
    assert_eq!(
        scene.stored().await,
        0,
        "what came before the beginning is no change"
    );
    assert_eq!(scene.segments_of("p01").await, ["a 3 -", "early 3 -"]);
    let scene = scene.restarted(&ALL_ON).await;
    let since = "select recorded_since::text from blueconic.recorded_histories where history = 'segment_membership_history'";
    let before = scene.database.texts(since).await;
    scene.walk().await;
    assert_eq!(scene.database.texts(since).await, before);
    assert_eq!(
        scene
            .database
            .count("blueconic.recorded_histories where recorded_since is not null")
            .await,
        5
    );
    let tiers = "blueconic.profile_property_history where property_id = 'tier' and value = 'gold'";
    assert_eq!(scene.database.count(tiers).await, 29);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_off_is_empty_and_begins_anew() {
    let scene = Scene::recording().await;
    scene.put("p01", &Person::within(&["b"]));
    scene.walk().await;
    assert_eq!(scene.segments_of("p01").await, ["a 1 - 2", "b 2 -", "odd 1 - 2"]);
    let on = [STAGES_READ, (HISTORY[1], "true"), (HISTORY[3], "city")];
    let scene = scene.restarted(&on).await;
    scene.put("p01", &Person::within(&["c"]));
    scene.walk().await;
    let recorded = "select concat_ws(' ', history, property_id) from blueconic.recorded_histories order by 1";
    assert_eq!(
        scene.database.texts(recorded).await,
        ["profile_consent_history", "profile_property_history city"]
    );
    assert_eq!(scene.segments_of("p01").await, [""; 0]);
    assert_eq!(scene.database.count("sync.property_intervals").await, 0);
    assert_eq!(scene.database.count("sync.consent_intervals").await, 1);
    let scene = scene.restarted(&ALL_ON).await;
    scene.put("p01", &Person::within(&["d"]));
    scene.walk().await;
    assert_eq!(
        scene.segments_of("p01").await,
        ["d 4 -"],
        "nothing from the time between"
    );
    assert_eq!(scene.database.count("sync.consent_intervals").await, 1);
}

/// A reader of a history is in the way of its table: the history stays on until the next run.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_delays_the_end_of_a_history() {
    let scene = Scene::recording().await.restarted(&[]).await;
    let mut reader = scene.database.pool.begin().await.unwrap();
    sqlx::query("select from blueconic.segment_membership_history")
        .execute(&mut *reader)
        .await
        .unwrap();
    scene.put("p01", &Person::within(&["b"]));
    scene.walk().await;
    assert_eq!(scene.segments_of("p01").await, ["a 1 - 2", "b 2 -", "odd 1 - 2"]);
    reader.commit().await.unwrap();
    scene.walk().await;
    assert_eq!(scene.stored().await, 0);
    assert_eq!(scene.database.count("blueconic.recorded_histories").await, 0);
}

#[test]
fn what_cannot_be_recorded_is_refused_at_the_start() {
    let refused = |more: &[(&str, &str)]| {
        let given = variables("http://127.0.0.1:9", "postgres://127.0.0.1:9/x", more);
        load(None, &given, RESOURCES).unwrap_err().to_string()
    };
    let stages = refused(&[(HISTORY[2], "true")]);
    assert!(stages.contains("lifecycle stages are not read"), "{stages}");
    let rest = refused(&[
        (HISTORY[3], "tier"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES_JSON", "rest"),
    ]);
    assert!(
        rest.contains("`resources.profiles.properties_json` to all"),
        "{rest}"
    );
    let missing = refused(&[
        (HISTORY[3], "tier"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES", "city"),
    ]);
    assert!(missing.contains("the property is not stored"), "{missing}");
    let twice = refused(&[(HISTORY[3], "tier,tier")]);
    assert!(twice.contains("each once"), "{twice}");
}
