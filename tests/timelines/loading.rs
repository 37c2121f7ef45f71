//! Events come with their profiles, are written when they change and only then, and stay when the tenant forgets them.

use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{Scene, event, profile};

#[tokio::test(flavor = "multi_thread")]
async fn events_come_with_their_profiles_and_cost_nothing_while_they_stay_the_same() {
    let scene = Scene::new().await;
    for number in 0..45 {
        let id = format!("p{number:02}");
        let events: Vec<_> = (0..number % 4)
            .map(|day| event("order", &format!("e{day}"), day + 1, "7"))
            .collect();
        scene.world.put(&id, &events);
    }
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_read"], &run["rows_inserted"]),
        (&json!(45), &json!(45))
    );
    assert_eq!(scene.events().await.len(), 66);
    let one = "select concat_ws(' ', event_type_id, occurred_at, source, data) from blueconic.timeline_events
               where profile_id = 'p01'";
    assert_eq!(
        scene.database.texts(one).await,
        [r#"order 2026-10-01 10:00:00+00 connection_1 {"order_number": ["7"]}"#]
    );
    assert_eq!(scene.gaps().await, [""; 0]);
    scene.assert_nothing_to_write().await;
    let asked = scene.tenant.asked("/profiles");
    assert!(asked.iter().all(|asked| asked.text("eventCount") == "1000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_that_changes_alone_rewrites_neither_its_profile_nor_its_other_events() {
    let scene = Scene::new().await;
    scene
        .world
        .put("p", &[event("order", "a", 1, "1"), event("order", "b", 2, "2")]);
    scene.world.put("q", &[event("order", "a", 1, "1")]);
    scene.walk().await;
    let profiles = scene.versions("blueconic.profiles").await;
    let events = scene.versions("blueconic.timeline_events").await;

    let changed = [
        event("order", "a", 1, "1"),
        event("order", "b", 2, "changed"),
        event("order", "c", 3, "3"),
    ];
    scene.world.put("p", &changed);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_updated"], &run["rows_unchanged"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(scene.versions("blueconic.profiles").await, profiles);
    let still = scene.versions("blueconic.timeline_events").await;
    let kept = events.iter().filter(|row| still.contains(row)).count();
    assert_eq!((kept, still.len()), (2, 4), "{still:#?}");
    assert!(
        scene
            .events()
            .await
            .contains(&r#"p order b 2026-10-02 ["changed"]"#.to_owned())
    );
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_tenant_no_longer_lists_stays() {
    let scene = Scene::new().await;
    scene
        .world
        .put("p", &[event("view", "a", 1, "1"), event("view", "b", 2, "2")]);
    scene.world.put("q", &[event("view", "a", 1, "1")]);
    scene.walk().await;
    let before = scene.versions("blueconic.timeline_events").await;
    scene.world.put("p", &[event("view", "b", 2, "2")]);
    scene.world.put("q", &[]);
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 2, "what was listed last is recorded");
    assert_eq!(scene.versions("blueconic.timeline_events").await, before);
    scene.assert_nothing_to_write().await;
    // What the tenant forgot stays also beside what is new, and what comes back is the same.
    scene.world.put("p", &[event("view", "c", 3, "3")]);
    scene.world.put("q", &[event("view", "a", 1, "1")]);
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 4);
    let after = scene.versions("blueconic.timeline_events").await;
    assert!(before.iter().all(|row| after.contains(row)));
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_brings_timelines_and_only_a_full_walk_makes_them_complete() {
    let scene = Scene::new().await;
    scene.world.put("p", &[event("order", "a", 1, "1")]);
    assert_eq!(scene.complete_as_of().await, None);
    scene.walk().await;
    let complete = scene.an_hour_ago().await;
    scene
        .world
        .put_raw(profile("p", "y", &[event("order", "b", 2, "2")]));
    scene.run(Scope::Increment).await;
    assert_eq!(scene.events().await.len(), 2);
    assert_eq!(scene.complete_as_of().await, complete);
    let profiles = "blueconic.freshness as p join blueconic.freshness as e on e.resource = 'timeline_events'
                    where p.resource = 'profiles' and p.complete_as_of > e.complete_as_of";
    assert_eq!(scene.database.count(profiles).await, 1);
    scene.walk().await;
    assert!(scene.complete_as_of().await > complete);
}

/// A page that misses a profile which the tenant has: the look-up before the sweep brings its events, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_missed_profile_comes_with_its_timeline() {
    let scene = Scene::new().await;
    for number in 0..30 {
        scene
            .world
            .put(&format!("p{number:02}"), &[event("order", "a", 1, "1")]);
    }
    scene.walk().await;
    scene.world.remove("p07");
    scene
        .world
        .answers("p07", profile("p07", "y", &[event("order", "b", 2, "2")]));
    scene.walk().await;
    let events = scene.events().await;
    assert!(
        events.contains(&r#"p07 order b 2026-10-02 ["2"]"#.to_owned()),
        "{events:?}"
    );
    assert_eq!(events.len(), 31);
    let lookups = scene.tenant.asked("/profiles/p07");
    assert!(!lookups.is_empty() && lookups.iter().all(|asked| asked.text("eventCount") == "1000"));
}
