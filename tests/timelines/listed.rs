//! Where the settings keep events only while the tenant lists them, they leave once a whole timeline does not bring them.

use serde_json::json;

use super::{COUNT, Scene, event, profile};

const WHILE_LISTED: (&str, &str) = (
    "BLUECONIC_SYNC__RESOURCES__PROFILES__TIMELINE_KEEP",
    "while_listed",
);

/// An event as [`Scene::events`] shows it.
fn stored(profile: &str, id: &str, day: u32) -> String {
    format!(r#"{profile} order {id} 2026-10-{day:02} ["{day}"]"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tenant_no_longer_lists_leaves() {
    let scene = Scene::with(&[WHILE_LISTED]).await;
    let (first, second) = (event("order", "a", 1, "1"), event("order", "b", 2, "2"));
    for id in ["forgotten", "halved", "same"] {
        scene.world.put(id, &[first.clone(), second.clone()]);
    }
    scene.walk().await;
    scene.assert_nothing_to_write().await;
    scene.world.put("forgotten", &[]);
    scene.world.put("halved", std::slice::from_ref(&second));
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 2, "{run}");
    assert_eq!(
        scene.events().await,
        [
            stored("halved", "b", 2),
            stored("same", "a", 1),
            stored("same", "b", 2)
        ]
    );
    scene.assert_nothing_to_write().await;
    // It comes back as it went.
    scene.world.put("forgotten", &[first]);
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 4);
    scene.assert_nothing_to_write().await;
}

/// An answer that is full, or that cannot be read, does not show what is gone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_a_timeline_that_did_not_come_whole() {
    let scene = Scene::with(&[WHILE_LISTED, (COUNT, "2")]).await;
    let first = event("order", "a", 1, "1");
    for id in ["full", "unreadable", "without a date"] {
        scene.world.put(id, std::slice::from_ref(&first));
    }
    scene.walk().await;
    scene.world.put(
        "full",
        &[event("order", "c", 3, "3"), event("order", "b", 2, "2")],
    );
    let mut unreadable = profile("unreadable", "x", &[]);
    unreadable["events"] = json!({"order": "a"});
    scene.world.put_raw(unreadable);
    let mut dateless = event("order", "d", 4, "4");
    dateless["date"] = json!(null);
    scene.world.put("without a date", &[dateless]);
    scene.walk().await;
    let kept = [
        stored("full", "a", 1),
        stored("full", "b", 2),
        stored("full", "c", 3),
        stored("unreadable", "a", 1),
        stored("without a date", "a", 1),
    ];
    assert_eq!(scene.events().await, kept);
    assert_eq!(
        scene.gaps().await,
        [
            "full full_answer 2",
            "unreadable wrong_shape 1",
            "without a date no_date 1"
        ]
    );
    // The next whole answers do.
    for id in ["full", "unreadable", "without a date"] {
        scene.world.put(id, &[event("order", "e", 5, "5")]);
    }
    scene.walk().await;
    assert_eq!(
        scene.events().await,
        [
            stored("full", "e", 5),
            stored("unreadable", "e", 5),
            stored("without a date", "e", 5)
        ]
    );
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_merged_profile_is_what_its_survivor_lists() {
    let scene = Scene::with(&[WHILE_LISTED]).await;
    scene.world.put("loser", &[event("order", "a", 1, "1")]);
    scene.world.put("survivor", &[event("order", "b", 2, "2")]);
    scene.walk().await;
    scene.world.remove("loser");
    let mut survivor = profile(
        "survivor",
        "x",
        &[event("order", "b", 2, "2"), event("order", "c", 3, "3")],
    );
    survivor["replaces"] = json!(["loser"]);
    scene.world.put_raw(survivor);
    scene.walk().await;
    assert_eq!(
        scene.events().await,
        [stored("survivor", "b", 2), stored("survivor", "c", 3)]
    );
    scene.assert_no_orphans().await;
    scene.assert_nothing_to_write().await;
}

/// Also what was forgotten before the setting changed, and no profile is rewritten.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_setting_counts_for_what_is_stored() {
    let scene = Scene::new().await;
    let (first, second) = (event("order", "a", 1, "1"), event("order", "b", 2, "2"));
    for id in ["forgotten", "halved", "same"] {
        scene.world.put(id, &[first.clone(), second.clone()]);
    }
    scene.world.put("none", &[]);
    scene.walk().await;
    scene.world.put("forgotten", &[]);
    scene.world.put("halved", std::slice::from_ref(&second));
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 6, "events are kept");
    let profiles = scene.versions("blueconic.profiles").await;
    let scene = scene.restarted(&[WHILE_LISTED]).await;
    scene.walk().await;
    let listed = [
        stored("halved", "b", 2),
        stored("same", "a", 1),
        stored("same", "b", 2),
    ];
    assert_eq!(scene.events().await, listed);
    scene.assert_nothing_to_write().await;
    let scene = scene.restarted(&[]).await;
    scene.walk().await;
    scene.world.put("same", &[second]);
    scene.walk().await;
    assert_eq!(scene.events().await, listed, "events are kept again");
    assert_eq!(scene.versions("blueconic.profiles").await, profiles);
    scene.assert_nothing_to_write().await;
}
