//! Memberships are those that the latest reading listed.

use blueconic_sync::app::Overrides;
use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{OFF, ON, Scene, profile};
use crate::support::described::run;

#[tokio::test(flavor = "multi_thread")]
async fn the_next_reading_replaces_what_a_profile_is_in_and_nothing_else() {
    let scene = Scene::filled().await;
    assert_eq!(
        scene.of("p07").await,
        ["p07 company c1", "p07 household h1", "p07 life new"]
    );
    scene.assert_nothing_to_write().await;
    let profiles = scene.versions(&["blueconic.profiles"]).await;
    // The same id under two types is two groups.
    scene.world.put(
        "p07",
        &[("company", "c2"), ("household", "c2"), ("company", "c2")],
        &[("life", "loyal"), ("other", "new")],
    );
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_updated"], &run["rows_unchanged"]),
        (&json!(1), &json!(39))
    );
    assert_eq!(
        scene.of("p07").await,
        [
            "p07 company c2",
            "p07 household c2",
            "p07 life loyal",
            "p07 other new"
        ]
    );
    assert_eq!(scene.versions(&["blueconic.profiles"]).await, profiles);
    scene.assert_nothing_to_write().await;

    // An array that is empty, and one that is absent.
    scene.world.put("p07", &[], &[]);
    let mut bare = profile("p08", "x", &[], &[]);
    for array in ["groups", "lifecycleStages"] {
        bare.as_object_mut().unwrap().remove(array);
    }
    scene.world.put_raw(bare);
    scene.walk().await;
    assert_eq!(scene.of("p07").await, [""; 0]);
    assert_eq!(scene.of("p08").await, [""; 0]);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_asks_for_no_groups_and_stores_nothing() {
    let scene = Scene::with(&[]).await;
    scene.fill();
    scene.walk().await;
    assert_eq!(super::memberships(&scene.database).await, [""; 0]);
    assert_eq!(scene.database.count("sync.child_hashes").await, 0);
    let asked = scene.tenant.asked("/profiles");
    assert!(asked.iter().all(|asked| !format!("{asked:?}").contains("groups")));
    assert!(asked.len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_switched_by_itself_and_no_profile_is_rewritten() {
    let scene = Scene::with(&OFF).await;
    scene.fill();
    scene.walk().await;
    let profiles = scene.versions(&["blueconic.profiles"]).await;
    let scene = scene.restarted(&ON[1..]).await;
    scene.walk().await;
    assert_eq!(scene.of("p07").await, ["p07 life new"]);
    scene.assert_nothing_to_write().await;
    let scene = scene.restarted(&ON[..1]).await;
    scene.walk().await;
    assert_eq!(
        scene.of("p07").await,
        ["p07 company c1", "p07 household h1", "p07 life new"],
        "the stage stays that is no longer read"
    );
    scene.assert_nothing_to_write().await;
    assert_eq!(scene.versions(&["blueconic.profiles"]).await, profiles);
}

/// A profile whose groups cannot be read is a reject like one with any other field of the wrong shape, and what is stored stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_type_makes_its_profile_a_reject() {
    let scene = Scene::filled().await;
    let mut broken = profile("p07", "x", &[("company", "c2")], &[]);
    broken["groups"][0].as_object_mut().unwrap().remove("groupTypeId");
    scene.world.put_raw(broken);
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    let run = run(&scene.app, &scene.settings, "profiles", overrides).await;
    assert_eq!(
        (&run["status"], &run["rows_rejected"]),
        (&json!("partial"), &json!(1))
    );
    assert_eq!(scene.of("p07").await.len(), 3);
}
