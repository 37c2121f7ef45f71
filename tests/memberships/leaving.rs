//! Memberships leave with their profiles, whatever makes these leave. A look-up that does not bring groups takes none away.

use blueconic_sync::postgres::erasures::erase;
use serde_json::json;

use super::{OFF, ON, Scene, assert_no_orphans, profile};
use crate::support::traces::{assert_gone, traces};

#[tokio::test(flavor = "multi_thread")]
async fn those_of_a_profile_that_is_deleted_or_leaves_the_segment() {
    let scene = Scene::filled().await;
    scene.world.remove("p07");
    scene.world.remove("p08");
    let mut elsewhere = profile("p08", "x", &[], &[]);
    elsewhere["segments"] = json!([{"id": "other"}]);
    scene.world.answers("p08", elsewhere);
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2);
    assert_eq!(scene.of("p07").await.len() + scene.of("p08").await.len(), 0);
    assert_no_orphans(&scene.database).await;
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_the_loser_of_a_merge_while_its_survivor_has_what_it_lists() {
    let scene = Scene::filled().await;
    scene.world.remove("p07");
    let mut winner = profile(
        "p08",
        "merged",
        &[("company", "c1"), ("company", "c9")],
        &[("life", "loyal")],
    );
    winner["replaces"] = json!(["p07"]);
    scene.world.put_raw(winner);
    scene.world.remove("p09");
    scene
        .world
        .answers("p09", json!({"id": "p09", "replacedBy": "p10"}));
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2);
    for gone in ["p07", "p09"] {
        assert_eq!(scene.of(gone).await, [""; 0], "{gone}");
    }
    assert_eq!(
        scene.of("p08").await,
        ["p08 company c1", "p08 company c9", "p08 life loyal"]
    );
    assert_no_orphans(&scene.database).await;
    scene.assert_nothing_to_write().await;
}

/// The vendor's document has no expansion of a look-up that brings groups.
#[tokio::test(flavor = "multi_thread")]
async fn none_of_a_profile_that_a_walk_missed_and_a_look_up_found() {
    let scene = Scene::filled().await;
    scene.world.remove("p07");
    let groups = [("company", "c2")];
    scene
        .world
        .answers("p07", profile("p07", "changed", &groups, &[("life", "loyal")]));
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_removed"], &run["rows_updated"]),
        (&json!(0), &json!(1))
    );
    let name = "select properties #>> '{name,0}' from blueconic.profiles where id = 'p07'";
    assert_eq!(scene.database.texts(name).await, ["changed"]);
    assert_eq!(
        scene.of("p07").await,
        ["p07 company c1", "p07 household h1", "p07 life new"]
    );
    // The next listing brings them, also where its bytes are those of the look-up.
    let mut same = profile("p07", "changed", &[], &[("life", "loyal")]);
    same.as_object_mut().unwrap().remove("groups");
    scene.world.put_raw(same);
    scene.walk().await;
    assert_eq!(scene.of("p07").await, ["p07 life loyal"]);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_an_erased_person() {
    let scene = Scene::filled().await;
    let (store, tables) = (&scene.app.store, scene.settings.registry.person_tables());
    let ids = ["p07".to_owned()];
    assert!(traces(&scene.database, "p07").await.len() > 3);
    let receipt = erase::erase(store, &tables, &ids).await.unwrap();
    let removed = |table: &str| {
        let mut rows = receipt.removed.iter();
        rows.find(|(name, _)| name == table).map(|(_, rows)| *rows)
    };
    assert_eq!(removed("blueconic.profile_groups"), Some(2));
    assert_eq!(removed("blueconic.profile_lifecycle_stages"), Some(1));
    assert_gone(&scene.database, &ids).await;
    scene.world.put("p07", &[("company", "c5")], &[]);
    let run = scene.walk().await;
    assert_eq!(run["rows_suppressed"], 1);
    assert_gone(&scene.database, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_no_longer_read_stay_and_still_leave_with_their_profiles() {
    let scene = Scene::filled().await;
    let scene = scene.restarted(&OFF).await;
    scene.world.remove("p07");
    scene.world.put("p08", &[("company", "unread")], &[]);
    scene.walk().await;
    assert_eq!(scene.of("p07").await, [""; 0]);
    assert_eq!(scene.of("p08").await.len(), 3);
    let (store, tables) = (&scene.app.store, scene.settings.registry.person_tables());
    let ids = ["p11".to_owned()];
    erase::erase(store, &tables, &ids).await.unwrap();
    assert_gone(&scene.database, &ids).await;
    assert_no_orphans(&scene.database).await;
    // On again: what came meanwhile is read.
    let scene = scene.restarted(&ON).await;
    scene.walk().await;
    assert_eq!(scene.of("p08").await, ["p08 company unread"]);
}
