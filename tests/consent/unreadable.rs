//! Histories that cannot be read: each is asked for again by the next run, and keeps no other from being read.

use serde_json::json;

use super::{Scene, event};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_no_history_is_asked_for_again_and_costs_no_other() {
    let scene = Scene::new().await;
    scene.world.answers("p05", (200, json!({"results": []})));
    scene.world.answers("p06", (200, json!({"events": 7})));
    let run = scene.read().await;
    assert_eq!(run["status"], "partial", "{run}");
    let error = run["error"].as_str().unwrap();
    assert!(
        error.starts_with(
            "2 of the histories could not be read; the first: a history of consent has no array `events`"
        ),
        "{error}"
    );
    assert!(!run.to_string().contains("p05"), "{run}");
    assert_eq!(scene.events().await.len(), 38);

    scene.world.answers_again("p05");
    scene.world.answers_again("p06");
    let before = scene.requests();
    scene.read_well().await;
    assert_eq!(scene.asked_since(before), ["p05", "p06"]);
    assert_eq!(scene.events().await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_fails_for_all_ends_the_run() {
    let scene = Scene::new().await;
    for number in 10..40 {
        scene
            .world
            .answers(&format!("p{number:02}"), (200, json!({"results": []})));
    }
    // The row of a failed run is read from the database, since the helper expects another end.
    let entry = scene
        .app
        .entries
        .iter()
        .find(|entry| entry.name() == "consent_history");
    let spec = blueconic_sync::app::run_spec(
        &scene.settings,
        entry.unwrap(),
        blueconic_sync::app::Overrides::default(),
        blueconic_sync::sync::run_spec::WhenHeld::Wait,
    );
    let listener = std::sync::Arc::new(blueconic_sync::sync::progress::NoListener);
    let engine = scene.app.engine(&scene.settings, None, listener);
    let report = engine
        .run(&spec, &tokio_util::sync::CancellationToken::new())
        .await
        .unwrap();
    assert!(report.fault.is_some());
    assert_eq!(scene.events().await.len(), 10, "what was read is stored");
    assert!(scene.requests() < 40, "{}", scene.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_histories_is_skipped_and_one_missing_profile_is_nothing() {
    let scene = Scene::new().await;
    scene.world.0.lock().unwrap().has_none = true;
    let run = scene.read().await;
    assert_eq!(run["status"], "skipped", "{run}");
    scene.world.0.lock().unwrap().has_none = false;
    scene.read_well().await;

    // The profile has just been deleted: the next walk removes it.
    scene.world.change("p07", "y", &[]);
    scene.walk().await;
    scene.world.remove("p07");
    let run = scene.read_well().await;
    assert_eq!(
        (&run["rows_read"], &run["rows_elsewhere"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(scene.events().await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_stored_are_counted() {
    let scene = Scene::new().await;
    let mut undated = event(1, "x");
    undated["date"] = json!("");
    scene.world.change(
        "p07",
        "y",
        &[event(1, "x"), undated, json!("nothing"), event(2, "y")],
    );
    scene.walk().await;
    scene.read_well().await;
    assert_eq!(scene.history("p07").await, ["4 2 an event has no `date`"]);
    assert_eq!(scene.events().await.len(), 41);
}
