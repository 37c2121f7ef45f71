//! Where profiles merge, the events of the loser move to the survivor.

use serde_json::{Value, json};

use super::{Scene, event, profile};

fn winner(id: &str, loser: &str, events: &[Value]) -> Value {
    let mut winner = profile(id, "merged", events);
    winner["replaces"] = json!([loser]);
    winner
}

/// Forty profiles, so that few of them may go. Each has one event.
async fn filled() -> Scene {
    let scene = Scene::new().await;
    for number in 0..40 {
        scene
            .world
            .put(&format!("p{number:02}"), &[event("order", "a", 1, "1")]);
    }
    scene.walk().await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_survivor_that_lists_whom_it_replaces() {
    let scene = filled().await;
    scene.world.put(
        "p07",
        &[
            event("order", "a", 1, "of p07"),
            event("order", "b", 2, "2"),
            event("view", "v", 3, "3"),
        ],
    );
    scene.walk().await;
    scene.world.remove("p07");
    let listed = [event("order", "a", 1, "of p08"), event("order", "n", 4, "4")];
    scene.world.put_raw(winner("p08", "p07", &listed));
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 1);
    let events = scene.events().await;
    let of_both: Vec<&String> = events
        .iter()
        .filter(|row| row.starts_with("p07") || row.starts_with("p08"))
        .collect();
    assert_eq!(
        of_both,
        [
            r#"p08 order a 2026-10-01 ["of p08"]"#,
            r#"p08 order b 2026-10-02 ["2"]"#,
            r#"p08 order n 2026-10-04 ["4"]"#,
            r#"p08 view v 2026-10-03 ["3"]"#,
        ]
    );
    scene.assert_no_orphans().await;
    scene.assert_nothing_to_write().await;

    // A chain: the survivor loses the next merge.
    scene.world.remove("p08");
    scene.world.put_raw(winner("p09", "p08", &[]));
    scene.walk().await;
    let of_the_last = "blueconic.timeline_events where profile_id = 'p09'";
    assert_eq!(
        scene.database.count(of_the_last).await,
        4,
        "`a` of both is one event"
    );
    scene.assert_no_orphans().await;
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_first_load_that_reads_the_loser_first() {
    let scene = Scene::new().await;
    scene.world.put("loser", &[event("order", "a", 1, "1")]);
    scene
        .world
        .put_raw(winner("winner", "loser", &[event("order", "b", 2, "2")]));
    scene.walk().await;
    assert_eq!(
        scene.events().await,
        [
            r#"winner order a 2026-10-01 ["1"]"#,
            r#"winner order b 2026-10-02 ["2"]"#
        ]
    );
    scene.assert_no_orphans().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_look_up_of_a_profile_that_a_walk_missed() {
    let scene = filled().await;
    scene.world.remove("p07");
    scene
        .world
        .answers("p07", json!({"id": "p07", "replacedBy": "p08"}));
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 1);
    let events = scene.events().await;
    assert_eq!(events.len(), 39, "`a` of both is one event");
    scene.assert_no_orphans().await;
    scene.assert_nothing_to_write().await;
}

/// The newer profile survives a merge: it may have come into the tenant after the walk had passed its place.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_survivor_that_is_stored_later() {
    let scene = filled().await;
    scene.world.remove("p07");
    scene
        .world
        .answers("p07", json!({"id": "p07", "replacedBy": "p99"}));
    scene.walk().await;
    let waiting = "blueconic.timeline_events where profile_id = 'p99'";
    assert_eq!(scene.database.count(waiting).await, 1);
    scene.world.put(
        "p99",
        &[event("order", "a", 1, "later"), event("order", "b", 2, "2")],
    );
    let run = scene.walk().await;
    assert_eq!(run["rows_inserted"], 1);
    let events = scene.events().await;
    assert_eq!(
        events[39..],
        [
            r#"p99 order a 2026-10-01 ["later"]"#,
            r#"p99 order b 2026-10-02 ["2"]"#
        ]
    );
    scene.assert_no_orphans().await;
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_survivor_that_never_comes_their_events_go_after_the_next_complete_walk() {
    let scene = filled().await;
    scene.world.remove("p07");
    scene
        .world
        .answers("p07", json!({"id": "p07", "replacedBy": "p99"}));
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 40);
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 39);
    scene.assert_no_orphans().await;
}

/// Merges in a circle have no survivor.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_circle_their_events_go() {
    let scene = filled().await;
    for (one, other) in [("p07", "p08"), ("p08", "p07")] {
        scene.world.remove(one);
        scene.world.answers(one, json!({"id": one, "replacedBy": other}));
    }
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2);
    assert_eq!(scene.events().await.len(), 38);
    scene.assert_no_orphans().await;
}
