//! The setting is switched on and off. Off is the default, and then nothing asks for timelines.

use blueconic_sync::postgres::erasures::erase;

use super::{Scene, TIMELINE, event, profile};
use crate::support::traces::assert_gone;

const OFF: [(&str, &str); 1] = [(TIMELINE, "off")];

fn fill(scene: &Scene) {
    for number in 0..40 {
        scene
            .world
            .put(&format!("p{number:02}"), &[event("order", "a", 1, "1")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn off_asks_for_no_timeline_and_stores_none() {
    let scene = Scene::with(&OFF).await;
    fill(&scene);
    scene.walk().await;
    scene.world.remove("p07");
    scene.walk().await;
    assert_eq!(scene.events().await, [""; 0]);
    assert_eq!(scene.database.count("sync.child_hashes").await, 0);
    let freshness = "blueconic.freshness where resource = 'timeline_events'";
    assert_eq!(scene.database.count(freshness).await, 0);
    let asked = scene.tenant.asked("");
    assert!(asked.len() > 4);
    for asked in asked {
        let text = format!("{asked:?}");
        assert!(!text.contains("timeline") && !text.contains("event"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_on_later_every_timeline_comes_and_no_profile_is_rewritten() {
    let scene = Scene::with(&OFF).await;
    fill(&scene);
    scene.walk().await;
    let profiles = scene.versions("blueconic.profiles").await;
    let scene = scene.restarted(&[]).await;
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 40);
    assert_eq!(scene.versions("blueconic.profiles").await, profiles);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_again_events_stay_and_still_leave_with_their_profiles() {
    let scene = Scene::new().await;
    fill(&scene);
    scene.walk().await;
    let complete = scene.an_hour_ago().await;
    let scene = scene.restarted(&OFF).await;
    scene.world.remove("p07");
    scene.world.remove("p08");
    let mut winner = profile("p09", "merged", &[]);
    winner["replaces"] = serde_json::json!(["p08"]);
    scene.world.put_raw(winner);
    scene.world.put("p10", &[event("order", "unread", 1, "1")]);
    scene.walk().await;
    let events = scene.events().await;
    assert_eq!(
        events.len(),
        38,
        "those of `p07` went, that of `p08` was the same as that of `p09`"
    );
    assert_eq!(scene.complete_as_of().await, complete);
    scene.assert_no_orphans().await;
    let (store, tables) = (&scene.app.store, scene.settings.registry.person_tables());
    let ids = ["p11".to_owned()];
    erase::erase(store, &tables, &ids).await.unwrap();
    assert_gone(&scene.database, &ids).await;
    // On again: what came meanwhile is read.
    let scene = scene.restarted(&[]).await;
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 38);
    assert!(scene.complete_as_of().await > complete);
}
