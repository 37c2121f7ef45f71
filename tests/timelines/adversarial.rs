//! Events that no tenant should send: each is stored as it can be, or recorded with its reason, and never costs its profile or
//! another event.

use serde_json::{Value, json};

use super::{Scene, event};

fn with(mut event: Value, name: &str, value: Value) -> Value {
    event[name] = value;
    event
}

fn without(mut event: Value, name: &str) -> Value {
    event.as_object_mut().unwrap().remove(name).unwrap();
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_under_two_types_or_dates_is_as_many_events_and_a_repeat_is_one() {
    let scene = Scene::new().await;
    scene.world.put(
        "p",
        &[
            event("order", "a", 1, "1"),
            event("view", "a", 1, "2"),
            event("order", "a", 2, "3"),
            event("order", "a", 1, "again"),
            event("order", "a", 1, "again"),
        ],
    );
    scene.walk().await;
    assert_eq!(
        scene.events().await,
        [
            r#"p order a 2026-10-01 ["again"]"#,
            r#"p order a 2026-10-02 ["3"]"#,
            r#"p view a 2026-10-01 ["2"]"#,
        ]
    );
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_key_is_recorded_with_its_reason_and_costs_nothing_else() {
    let scene = Scene::new().await;
    let good = event("order", "good", 1, "1");
    scene.world.put(
        "p",
        &[
            good.clone(),
            without(event("order", "b", 1, "1"), "date"),
            with(event("order", "c", 1, "1"), "date", json!("")),
            with(event("order", "d", 1, "1"), "date", Value::Null),
            with(event("order", "e", 1, "1"), "date", json!("yesterday")),
            without(event("order", "f", 1, "1"), "id"),
            with(event("order", "g", 1, "1"), "id", json!("")),
            without(event("order", "h", 1, "1"), "eventTypeId"),
            with(event("order", "i", 1, "1"), "id", json!({"x": 1})),
            with(event("order", "j", 1, "1"), "id", json!("x".repeat(5000))),
            json!(7),
            json!([]),
            Value::Null,
        ],
    );
    let mut odd = super::profile("q", "x", &[]);
    odd["events"] = json!("none");
    scene.world.put_raw(odd);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_inserted"], &run["rows_rejected"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(scene.events().await, [r#"p order good 2026-10-01 ["1"]"#]);
    assert_eq!(
        scene.gaps().await,
        [
            "p no_date 3",
            "p no_id 2",
            "p no_type 1",
            "p wrong_shape 6",
            "q wrong_shape 1"
        ]
    );
    let details = "select detail from blueconic.timeline_gaps order by profile_id, reason";
    assert_eq!(
        scene.database.texts(details).await,
        [
            "an item of `events` has no `date`",
            "an item of `events` has no `id`",
            "an item of `events` has no `eventTypeId`",
            "`date` is not a date: yesterday",
            "`events` is not a list: \"none\"",
        ]
    );
    scene.assert_nothing_to_write().await;
    // It is repaired at the tenant.
    scene.world.put("p", &[good]);
    scene.world.put("q", &[]);
    scene.walk().await;
    assert_eq!(scene.gaps().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_data_is_stored_and_what_postgresql_cannot_hold_is_replaced() {
    let scene = Scene::new().await;
    let product = json!([[{"id": "quantity", "values": [100]}, {"id": "id", "values": ["987644321"]}]]);
    let number = serde_json::from_str::<Value>("123456789012345678901234567890.5").unwrap();
    let cases = [
        (
            json!([{"id": "product", "values": product}]),
            r#"{"product": [{"id": ["987644321"], "quantity": [100]}]}"#,
        ),
        (
            json!([{"id": "n", "values": [1.5, -0.0, true, null, number.clone()]}]),
            "",
        ),
        (json!([]), "{}"),
        (Value::Null, "<null>"),
        (json!({"a": 1}), r#"{"a": 1}"#),
        (json!("text"), r#""text""#),
        (
            json!([{"id": "a\u{0}b", "values": ["x\u{0}"]}]),
            "{\"a\u{fffd}b\": [\"x\u{fffd}\"]}",
        ),
        (
            json!([{"id": "a", "values": [1]}, {"id": "a", "values": [2]}]),
            r#"{"a": [1, 2]}"#,
        ),
    ];
    let events: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(place, (data, _))| with(event("order", &format!("e{place}"), 1, ""), "data", data.clone()))
        .collect();
    scene.world.put("p", &events);
    scene.walk().await;
    let stored = "select coalesce(data::text, '<null>') from blueconic.timeline_events order by event_id";
    let stored = scene.database.texts(stored).await;
    assert_eq!(stored.len(), cases.len());
    for ((_, expected), stored) in cases.iter().zip(&stored) {
        assert!(
            expected.is_empty() || stored == expected,
            "{stored} for {expected}"
        );
    }
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_any_kind_are_ids() {
    let scene = Scene::new().await;
    scene.world.put(
        "p",
        &[
            with(event("order", "", 1, "1"), "id", json!(17)),
            event("o\u{0}rder", "\u{1b}[31m", 1, "1"),
            event("靴", "a b/ü'\"\\", 1, "1"),
        ],
    );
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 3);
    assert_eq!(scene.gaps().await, [""; 0]);
    scene.assert_nothing_to_write().await;
}

/// Wrong dates share two partitions; a partition for each of their months would be thousands.
#[tokio::test(flavor = "multi_thread")]
async fn dates_of_any_year_have_a_partition_and_make_few() {
    let scene = Scene::new().await;
    let at = |id: &str, date: Value| with(event("order", id, 1, "1"), "date", date);
    let mut events = vec![
        at("epoch", json!(0)),
        at("one", json!("0001-01-01T00:00:00Z")),
        at("last", json!("9999-12-31T23:59:59.999Z")),
        at("before", json!("2009-12-31T23:59:59.999Z")),
        at("after", json!("2010-01-01T00:00:00Z")),
        at("soon", json!("2049-12-31T23:59:59.999Z")),
        at("then", json!("2050-01-01T00:00:00Z")),
        at("zone", json!("2026-03-01T00:30:00+02:00")),
    ];
    events.extend((0..400).map(|number| {
        let date = format!("{:04}-{:02}-01T00:00:00Z", 1000 + number * 2, 1 + number % 12);
        at(&format!("old{number}"), json!(date))
    }));
    scene.world.put("p", &events);
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 408);
    assert_eq!(scene.gaps().await, [""; 0]);
    let partitions = scene
        .database
        .texts(
            "select inhrelid::regclass::text from pg_inherits
             where inhparent = 'blueconic.timeline_events'::regclass order by 1",
        )
        .await;
    assert_eq!(
        partitions,
        [
            "blueconic.timeline_events_before_y2010",
            "blueconic.timeline_events_from_y2050",
            "blueconic.timeline_events_y2010m01",
            "blueconic.timeline_events_y2026m02",
            "blueconic.timeline_events_y2049m12",
        ]
    );
    scene.assert_nothing_to_write().await;
    // A second load, which goes through staging, into a month that is new.
    scene.world.put("p", &[event("order", "next", 5, "1")]);
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 409);
}
