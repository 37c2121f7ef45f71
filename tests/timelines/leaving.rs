//! Timelines leave with their profiles, whatever makes these leave.

use blueconic_sync::postgres::erasures::{erase, lift};
use blueconic_sync::postgres::reset;
use serde_json::json;

use super::{COUNT, Scene, event, profile};
use crate::support::traces::{assert_gone, traces};

/// Profiles `p00` to `p39` with two events each, of which one has no date.
async fn filled() -> Scene {
    let scene = Scene::with(&[(COUNT, "3")]).await;
    for number in 0..40 {
        let mut broken = event("order", "b", 2, "2");
        broken["date"] = json!("");
        scene
            .world
            .put(&format!("p{number:02}"), &[event("order", "a", 1, "1"), broken]);
    }
    scene.walk().await;
    assert_eq!((scene.events().await.len(), scene.gaps().await.len()), (40, 40));
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_a_profile_that_is_deleted_or_leaves_the_segment() {
    let scene = filled().await;
    scene.world.remove("p07");
    scene.world.remove("p08");
    let mut elsewhere = profile("p08", "x", &[event("order", "a", 1, "1")]);
    elsewhere["segments"] = json!([{"id": "other"}]);
    scene.world.answers("p08", elsewhere);
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2);
    assert_eq!((scene.events().await.len(), scene.gaps().await.len()), (38, 38));
    scene.assert_no_orphans().await;
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_an_erased_person_who_stays_away_until_the_erasure_is_lifted() {
    let scene = filled().await;
    // The person lost a merge: the events are the survivor's, who is the same person.
    scene.world.remove("p06");
    let mut winner = profile("p07", "merged", &[event("view", "v", 3, "3")]);
    winner["replaces"] = json!(["p06"]);
    scene.world.put_raw(winner);
    scene.walk().await;
    let (store, tables) = (&scene.app.store, scene.settings.registry.person_tables());
    let both = ["p06".to_owned(), "p07".to_owned()];
    assert!(
        traces(&scene.database, "p07")
            .await
            .iter()
            .any(|trace| trace.starts_with("blueconic.timeline_events"))
    );
    let receipt = erase::erase(store, &tables, &both[..1]).await.unwrap();
    let removed: Vec<(&str, u64)> = receipt
        .removed
        .iter()
        .map(|(table, rows)| (table.as_str(), *rows))
        .collect();
    assert_eq!(
        removed[..9],
        [
            ("blueconic.profiles", 1),
            ("blueconic.timeline_events", 2),
            ("blueconic.timeline_gaps", 0),
            ("blueconic.profile_groups", 0),
            ("blueconic.profile_lifecycle_stages", 0),
            ("blueconic.consent_events", 0),
            ("blueconic.consent_history", 0),
            ("blueconic.profile_columns_1", 0),
            ("sync.child_hashes", 1),
        ]
    );
    assert_gone(&scene.database, &both).await;
    // Also where somebody merges into the person, and beside others whose timelines alone change.
    scene.world.put("p08", &[event("order", "new", 5, "5")]);
    scene.world.remove("p09");
    let mut winner = profile("p07", "again", &[event("order", "x", 6, "6")]);
    winner["replaces"] = json!(["p09"]);
    scene.world.put_raw(winner);
    let run = scene.walk().await;
    assert_eq!(
        (
            &run["rows_suppressed"],
            &run["rows_updated"],
            &run["rows_removed"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_gone(&scene.database, &both).await;
    let of_the_loser = "blueconic.timeline_events where profile_id = 'p09'";
    assert_eq!(scene.database.count(of_the_loser).await, 0);
    scene.assert_no_orphans().await;

    lift::lift(store, &both).await.unwrap();
    let run = scene.walk().await;
    assert_eq!(run["rows_inserted"], 1);
    assert!(
        scene
            .events()
            .await
            .contains(&r#"p07 order x 2026-10-06 ["6"]"#.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_takes_nothing_away_and_the_next_walk_writes_nothing() {
    let scene = filled().await;
    let before = scene.all_versions().await;
    reset::resource(&scene.app.store, "profiles").await.unwrap();
    assert_eq!(scene.all_versions().await, before);
    scene.assert_nothing_to_write().await;
}
