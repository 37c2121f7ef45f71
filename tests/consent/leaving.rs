//! Histories leave with their profiles, and move to the survivor of a merge.

use std::sync::{Arc, Barrier};

use blueconic_sync::postgres::erasures::erase;
use serde_json::json;

use super::{Scene, event, profile};
use crate::support::traces::assert_gone;

#[tokio::test(flavor = "multi_thread")]
async fn those_of_a_profile_that_is_deleted_or_loses_a_merge() {
    let scene = Scene::new().await;
    scene.read_well().await;
    scene.world.remove("p07");
    scene.world.remove("p08");
    let mut winner = profile("p09", "merged");
    winner["replaces"] = json!(["p08"]);
    scene.world.put_raw(winner);
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2);
    scene.assert_no_orphans().await;
    // Both had the same event.
    assert_eq!(scene.events().await.len(), 38);
    // The survivor has changed, so that its history is read again.
    scene
        .world
        .change("p09", "merged", &[event(1, "first"), event(5, "of both")]);
    scene.walk().await;
    let before = scene.requests();
    scene.read_well().await;
    assert_eq!(scene.asked_since(before), ["p09"]);
    assert_eq!(scene.events().await.len(), 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_an_erased_person() {
    let scene = Scene::new().await;
    scene.read_well().await;
    let tables = scene.settings.registry.person_tables();
    let person = ["p07".to_owned()];
    let receipt = erase::erase(&scene.app.store, &tables, &person).await.unwrap();
    let removed = |name: &str| {
        let mut removed = receipt.removed.iter();
        removed.find(|(table, _)| table == name).unwrap().1
    };
    assert_eq!(removed("blueconic.consent_events"), 1);
    assert_eq!(removed("blueconic.consent_history"), 1);
    assert_gone(&scene.database, &person).await;
    scene.walk().await;
    let before = scene.requests();
    scene.read_well().await;
    assert_eq!(scene.requests(), before, "nobody asks for an erased person");
    assert_gone(&scene.database, &person).await;
}

/// The profile leaves between the request for its history and the load.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_of_a_profile_that_leaves_while_they_are_read() {
    let (asked, erased) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (is_asked, is_erased) = (Arc::clone(&asked), Arc::clone(&erased));
    let waits = move |id: &str| {
        if id == "p07" {
            is_asked.wait();
            is_erased.wait();
        }
    };
    let scene = Scene::filled(&[], Box::new(waits)).await;
    let tables = scene.settings.registry.person_tables();
    let person = ["p07".to_owned()];
    let erasing = async {
        tokio::task::spawn_blocking(move || asked.wait()).await.unwrap();
        erase::erase(&scene.app.store, &tables, &person).await.unwrap();
        tokio::task::spawn_blocking(move || erased.wait()).await.unwrap();
    };
    let (run, ()) = tokio::join!(scene.read_well(), erasing);
    assert_eq!(run["rows_read"], 40);
    assert_eq!(scene.events().await.len(), 39);
    scene.assert_no_orphans().await;
    assert_gone(&scene.database, &person).await;
}
