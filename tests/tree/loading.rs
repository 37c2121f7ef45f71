//! Children are loaded with their parents, and each is written when it changes and only then.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::{Scene, device, profile};

#[tokio::test(flavor = "multi_thread")]
async fn children_come_with_their_parents_and_cost_nothing_while_they_stay_the_same() {
    let scene = Scene::new().await;
    for number in 0..45 {
        let id = format!("p{number:02}");
        let devices = [("a", "phone"), ("b", "desk"), ("c", "pad")];
        scene.world.put(&id, "x", &devices[..number % 4]);
    }
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_read"], &run["rows_inserted"]),
        (&json!(45), &json!(45))
    );
    scene.assert_equal().await;
    let one = scene
        .database
        .texts("select (d.* is not null) || ' ' || maker || ' ' || first_seen_at from blueconic.devices as d limit 1")
        .await;
    assert_eq!(one, ["true Q 2023-11-14 22:13:20+00"]);
    scene.assert_nothing_to_write().await;
    assert_eq!(
        scene.database.count("sync.child_hashes").await,
        33,
        "parents without children have no hash"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_changes_rewrites_neither_its_parent_nor_its_siblings() {
    let scene = Scene::new().await;
    scene
        .world
        .put("p", "x", &[("a", "one"), ("b", "two"), ("c", "three")]);
    scene.world.put("q", "x", &[("a", "one")]);
    scene.walk().await;
    let parents = scene.versions("blueconic.profiles").await;
    let children = scene.versions("blueconic.devices").await;

    scene
        .world
        .put("p", "x", &[("a", "one"), ("b", "other"), ("d", "four")]);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_updated"], &run["rows_unchanged"]),
        (&json!(1), &json!(1))
    );
    scene.assert_equal().await;
    assert_eq!(scene.versions("blueconic.profiles").await, parents);
    let still = scene.versions("blueconic.devices").await;
    let kept = children.iter().filter(|row| still.contains(row)).count();
    assert_eq!((kept, still.len()), (2, 4), "`a` of both profiles: {still:#?}");
    scene.assert_nothing_to_write().await;

    // All of them go, and come back. The element is then, byte for byte, what the parent's row was made from.
    scene.world.put("p", "x", &[]);
    scene.walk().await;
    scene.assert_equal().await;
    scene.assert_nothing_to_write().await;
    scene
        .world
        .put("p", "x", &[("a", "one"), ("b", "two"), ("c", "three")]);
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 1);
    scene.assert_equal().await;
    assert_eq!(scene.versions("blueconic.profiles").await, parents);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_changes_rewrites_no_child() {
    let scene = Scene::new().await;
    scene.world.put("p", "x", &[("a", "one"), ("b", "two")]);
    scene.walk().await;
    let children = scene.versions("blueconic.devices").await;
    scene.world.put("p", "y", &[("a", "one"), ("b", "two")]);
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 1);
    assert_eq!(scene.versions("blueconic.devices").await, children);
    scene.assert_nothing_to_write().await;
    // Both at once.
    scene.world.put("p", "z", &[("b", "three")]);
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 1);
    scene.assert_equal().await;
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_order_of_the_same_children_writes_one_hash_and_no_row() {
    let scene = Scene::new().await;
    for number in 0..40 {
        scene
            .world
            .put(&format!("p{number:02}"), "x", &[("a", "one"), ("b", "two")]);
    }
    scene.walk().await;
    let rows = [
        scene.versions("blueconic.profiles").await,
        scene.versions("blueconic.devices").await,
    ];
    scene.world.put("p07", "x", &[("b", "two"), ("a", "one")]);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_rehashed"], &run["rows_updated"]),
        (&json!(1), &json!(0))
    );
    let now = [
        scene.versions("blueconic.profiles").await,
        scene.versions("blueconic.devices").await,
    ];
    assert_eq!(now, rows);
    scene.assert_nothing_to_write().await;
    // The hash that was refreshed hides no change.
    scene.world.put("p07", "x", &[("b", "two"), ("a", "three")]);
    scene.walk().await;
    scene.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_with_a_broken_child_is_a_reject_and_what_is_stored_of_it_stays() {
    let scene = Scene::new().await;
    scene.world.put("p", "x", &[("a", "one")]);
    scene.world.put("q", "x", &[("a", "one")]);
    scene.walk().await;
    let stored = scene.devices().await;
    let broken = [
        (json!([{"name": "no id"}]), "an item of `devices` has no `id`"),
        (
            json!(["no object"]),
            "`devices` is not a list of objects: \"no object\"",
        ),
        (
            json!({"no": "list"}),
            "`devices` is not a list: {\"no\":\"list\"}",
        ),
        (
            json!([device("b", "fine"), {"id": "a", "uses": "many"}]),
            "`uses` is not a whole number: many",
        ),
        (
            json!([{"id": "x".repeat(2_000)}]),
            "the key of an item of `devices` is longer than 1024 bytes",
        ),
    ];
    for (devices, said) in broken {
        let mut element = profile("p", "y", &[]);
        element["devices"] = devices;
        scene.world.put_raw(element);
        let run = super::walk(&scene.app, &scene.settings).await;
        assert_eq!(
            (&run["status"], &run["rows_rejected"]),
            (&json!("partial"), &json!(1)),
            "{run}"
        );
        assert_eq!(
            (&run["unexplained"], &run["rows_unchanged"]),
            (&json!(0), &json!(1)),
            "{run}"
        );
        assert_eq!(scene.devices().await, stored);
        let open = "select element_id || ': ' || reason || ', ' || detail from sync.rejects where resolved_at is null";
        assert_eq!(
            scene.database.texts(open).await,
            [format!("p: wrong_shape, {said}")]
        );
    }
    // None of these is an error.
    for devices in [
        json!(null),
        json!([]),
        json!([{"id": 7}, {"id": "7", "name": "the last one"}]),
    ] {
        let mut element = profile("p", "y", &[]);
        element["devices"] = devices;
        scene.world.put_raw(element);
        scene.walk().await;
    }
    assert_eq!(scene.devices().await, ["p|7|the last one", "q|a|one|3"]);
}

/// Whatever changes from walk to walk, the tables are what the tenant has, and a walk that follows writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn after_any_changes_the_tables_are_those_of_the_tenant() {
    let scene = Scene::new().await;
    let mut random = StdRng::seed_from_u64(12);
    let names = ["one", "two", "three"];
    for _ in 0..30 {
        for _ in 0..random.random_range(1..12) {
            let id = format!("p{:02}", random.random_range(0..30));
            let mut devices: Vec<(&str, &str)> = ["a", "b", "c", "d"]
                .into_iter()
                .filter(|_| random.random_bool(0.4))
                .map(|id| (id, names[id.len() % 3]))
                .collect();
            for device in &mut devices {
                device.1 = names[random.random_range(0..3)];
            }
            if random.random_bool(0.3) {
                devices.reverse();
            }
            scene.world.put(&id, names[random.random_range(0..2)], &devices);
        }
        scene.walk().await;
        scene.assert_equal().await;
    }
    scene.walk().await;
    scene.assert_nothing_to_write().await;
}
