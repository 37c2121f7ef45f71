//! A history costs what changes, and a walk without changes nothing.

use super::{Person, Scene, TABLES, settled};

/// Which versions of rows the tables of intervals have.
async fn versions(scene: &Scene) -> Vec<String> {
    let mut all = Vec::new();
    for table in TABLES {
        let rows = format!("select concat_ws(' ', ctid, xmin, t::text) from {table} as t order by 1");
        all.extend(scene.database.texts(&rows).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_and_an_unchanged_walk_write_no_interval_and_changes_one_row_each() {
    let scene = Scene::with(&super::ALL_ON).await;
    for number in 0..1_000 {
        scene.put(&format!("p{number:03}"), &settled(number));
    }
    scene.walk().await;
    assert_eq!(scene.stored().await, 0);
    let memberships = scene.database.count("blueconic.segment_membership_history").await;
    assert_eq!(memberships, 3_000);
    scene.walk().await;
    assert_eq!(scene.stored().await, 0);

    // One in a hundred leaves a segment and joins another: an end and a beginning.
    for number in (0..1_000).step_by(100) {
        let moved = Person {
            segments: Person::within(&["a", "moved"]).segments,
            ..settled(number)
        };
        scene.put(&format!("p{number:03}"), &moved);
    }
    // Others change in what no history is made from.
    for number in (50..1_000).step_by(100) {
        let renamed = Person {
            name: "other".to_owned(),
            ..settled(number)
        };
        scene.put(&format!("p{number:03}"), &renamed);
    }
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 20, "{run}");
    assert_eq!(scene.stored().await, 20);
    let before = versions(&scene).await;
    scene.walk().await;
    assert_eq!(versions(&scene).await, before);
}
