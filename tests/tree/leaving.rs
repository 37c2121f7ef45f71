//! Children leave with their parents, whatever makes these leave, and nothing else takes them away.

use blueconic_sync::postgres::erasures::{erase, lift};
use blueconic_sync::postgres::reset;
use serde_json::json;

use super::{Scene, profile};
use crate::support::traces::{assert_gone, traces};

/// Profiles `p00` to `p39` with two devices each.
async fn filled() -> Scene {
    let scene = Scene::new().await;
    for number in 0..40 {
        scene
            .world
            .put(&format!("p{number:02}"), "x", &[("a", "one"), ("b", "two")]);
    }
    scene.walk().await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_a_profile_that_the_sweep_removes() {
    let scene = filled().await;
    scene.world.remove("p07");
    scene.world.remove("p31");
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2);
    scene.assert_equal().await;
    assert_eq!(scene.devices().await.len(), 76);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_the_loser_of_a_merge() {
    let scene = filled().await;
    scene.world.remove("p07");
    let mut winner = profile(
        "p08",
        "merged",
        &[super::device("a", "one"), super::device("c", "new")],
    );
    winner["replaces"] = json!(["p07"]);
    scene.world.put_raw(winner);
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 1);
    scene.assert_equal().await;
    // One whose row is the same, and that replaces another now.
    scene.world.remove("p09");
    let mut winner = profile("p10", "x", &[super::device("a", "changed")]);
    winner["replaces"] = json!(["p09"]);
    scene.world.put_raw(winner);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_removed"], &run["rows_updated"]),
        (&json!(1), &json!(1))
    );
    scene.assert_equal().await;
    // And one that says itself that it was replaced.
    let mut loser = profile("p11", "x", &[super::device("a", "left over")]);
    loser["replacedBy"] = json!("p12");
    scene.world.put_raw(loser);
    scene.walk().await;
    let left = "blueconic.devices where profile_id in ('p07', 'p09', 'p11')";
    assert_eq!(scene.database.count(left).await, 0);
    super::assert_no_orphans(&scene.database).await;
}

/// In a first load rows go straight into the tables.
#[tokio::test(flavor = "multi_thread")]
async fn those_of_a_loser_that_came_first_in_the_same_walk() {
    let scene = Scene::new().await;
    scene.world.put("loser", "x", &[("a", "one")]);
    let mut winner = profile("winner", "x", &[super::device("b", "two")]);
    winner["replaces"] = json!(["loser"]);
    scene.world.put_raw(winner);
    let run = scene.walk().await;
    assert_eq!(run["rows_inserted"], 1);
    assert_eq!(scene.devices().await, ["winner|b|two|3"]);
    super::assert_no_orphans(&scene.database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_an_erased_person_who_stays_away_until_the_erasure_is_lifted() {
    let scene = filled().await;
    let (store, tables) = (&scene.app.store, scene.settings.registry.person_tables());
    let ids = ["p07".to_owned()];
    assert!(
        traces(&scene.database, "p07")
            .await
            .iter()
            .any(|trace| trace.starts_with("blueconic.devices"))
    );
    let receipt = erase::erase(store, &tables, &ids).await.unwrap();
    let removed: Vec<(&str, u64)> = receipt
        .removed
        .iter()
        .map(|(table, rows)| (table.as_str(), *rows))
        .collect();
    assert_eq!(
        removed[..6],
        [
            ("blueconic.profiles", 1),
            ("blueconic.devices", 2),
            ("blueconic.profile_columns_1", 0),
            ("sync.child_hashes", 1),
            ("blueconic.profile_aliases", 0),
            ("blueconic.profile_tombstones", 0),
        ]
    );
    assert_gone(&scene.database, &ids).await;
    let run = scene.walk().await;
    assert_eq!(run["rows_suppressed"], 1);
    assert_gone(&scene.database, &ids).await;
    // Also beside others that change, of whom one has no row in the batch.
    scene.world.put("p07", "y", &[("a", "three")]);
    scene.world.put("p08", "x", &[("a", "three")]);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_suppressed"], &run["rows_updated"]),
        (&json!(1), &json!(1))
    );
    assert_gone(&scene.database, &ids).await;
    assert_eq!(
        scene
            .database
            .count("blueconic.devices where name = 'three'")
            .await,
        1
    );

    lift::lift(store, &ids).await.unwrap();
    let run = scene.walk().await;
    assert_eq!(run["rows_inserted"], 1);
    scene.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_takes_nothing_away_and_the_next_walk_writes_nothing() {
    let scene = filled().await;
    let before = scene.all_versions().await;
    reset::resource(&scene.app.store, "profiles").await.unwrap();
    assert_eq!(scene.all_versions().await, before);
    scene.assert_nothing_to_write().await;
    reset::tenant(&scene.app.store).await.unwrap();
    assert_eq!(scene.all_versions().await, before);
}

/// A description that has the table no more leaves its rows alone; one that has it anew brings them up to date.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_described_later_is_filled_by_the_next_walk_and_no_parent_is_rewritten() {
    let scene = Scene::with(blueconic_sync::resources::registry::RESOURCES, super::MIGRATION).await;
    scene.world.put("p", "x", &[("a", "one")]);
    scene.world.put("q", "x", &[]);
    scene.walk().await;
    let parents = scene.versions("blueconic.profiles").await;
    assert_eq!(scene.devices().await, [""; 0]);
    let settings = super::settings(&scene.tenant.url, &scene.database.url, super::registry());
    let app = blueconic_sync::app::App::start(&settings).await.unwrap();
    super::walk(&app, &settings).await;
    scene.assert_equal().await;
    let (still, before) = (scene.versions("blueconic.profiles").await, &parents);
    assert!(still.contains(&before[0]), "the row of `p` stays as it was");
    app.close().await.unwrap();
}
