//! Which histories are requested, and what is stored of them.

use serde_json::json;

use super::{PAGE_SIZE, Scene, event};

#[tokio::test(flavor = "multi_thread")]
async fn each_history_is_requested_once_and_again_when_its_profile_has_changed() {
    let scene = Scene::new().await;
    let run = scene.read_well().await;
    assert_eq!(
        (&run["rows_read"], &run["rows_inserted"]),
        (&json!(40), &json!(40))
    );
    assert_eq!(scene.requests(), 40);
    assert_eq!(scene.events().await.len(), 40);

    let run = scene.read_well().await;
    assert_eq!(run["rows_read"], 0);
    assert_eq!(scene.requests(), 40, "nothing has changed");

    // An event that the tenant no longer lists stays, and a changed one is replaced.
    scene
        .world
        .change("p07", "y", &[event(2, "second"), event(3, "third")]);
    scene.world.change("p08", "y", &[event(1, "other")]);
    // A history that changed without its profile is not known to have changed.
    scene.world.change("p09", "x", &[event(4, "fourth")]);
    scene.walk().await;
    let run = scene.read_well().await;
    assert_eq!((&run["rows_read"], &run["rows_updated"]), (&json!(2), &json!(2)));
    assert_eq!(scene.asked_since(40), ["p07", "p08"]);
    let events = scene.events().await;
    assert_eq!(
        events[7..12],
        [
            "p07 2026-10-01 0 {first}",
            "p07 2026-10-02 0 {second}",
            "p07 2026-10-03 0 {third}",
            "p08 2026-10-01 0 {other}",
            "p09 2026-10-01 0 {first}",
        ]
    );
    assert_eq!(scene.history("p07").await, ["2 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_histories_come_in_pages() {
    for ignores_starts in [false, true] {
        let scene = Scene::filled(&[(PAGE_SIZE, "2")], Box::new(|_| {})).await;
        scene.world.0.lock().unwrap().ignores_starts = ignores_starts;
        let five: Vec<_> = (1..=5).map(|day| event(day, "x")).collect();
        scene.world.change("p07", "y", &five);
        // As many events of one moment are as many events.
        scene
            .world
            .change("p08", "y", &[event(1, "a"), event(1, "b"), event(1, "b")]);
        scene.walk().await;
        scene.read_well().await;
        let events = scene.events().await;
        let of = |id: &str| events.iter().filter(|row| row.starts_with(id)).count();
        assert_eq!((events.len(), of("p07")), (46, 5), "{events:#?}");
        assert_eq!(
            events[12..15],
            [
                "p08 2026-10-01 0 {a}",
                "p08 2026-10-01 1 {b}",
                "p08 2026-10-01 2 {b}"
            ]
        );
        assert_eq!(scene.history("p08").await, ["3 0"]);
        let requests = scene.requests();
        assert_eq!(requests, if ignores_starts { 80 } else { 38 + 3 + 2 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_says_has_columns() {
    let scene = Scene::new().await;
    let mut level = event(2, "x");
    level["type"] = json!("PermissionLevelChanged");
    // The name in the schema of the vendor's document.
    level.as_object_mut().unwrap().remove("properties");
    level["property"] =
        json!([{"id": "FromLevel", "values": ["ANONYMOUS"]}, {"id": "ToLevel", "values": ["PERSONAL"]}]);
    scene.world.change("p00", "y", &[event(1, "x"), level]);
    scene.walk().await;
    scene.read_well().await;
    let rows = "select jsonb_strip_nulls(to_jsonb(e) - 'synced_at')::text from blueconic.consent_events as e
                where profile_id = 'p00' order by occurred_at";
    let rows: Vec<serde_json::Value> = scene
        .database
        .texts(rows)
        .await
        .iter()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let [consent, level] = &rows[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!(consent["from_consented"], json!([]));
    assert_eq!(consent["to_consented"], json!(["x"]));
    assert_eq!(consent["to_legislation"], "GDPR");
    assert_eq!(consent["source"], "REST");
    assert_eq!(consent.get("to_refused"), None);
    assert_eq!(consent["properties"]["ToConsented"], json!(["x"]));
    assert_eq!(level["event_type"], "PermissionLevelChanged");
    assert_eq!(
        (&level["from_level"], &level["to_level"]),
        (&json!("ANONYMOUS"), &json!("PERSONAL"))
    );
    assert_eq!(level.get("to_consented"), None);
    assert_eq!(
        level["properties"],
        json!({"FromLevel": ["ANONYMOUS"], "ToLevel": ["PERSONAL"]})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_wait_for_the_first_complete_walk() {
    let scene = Scene::new().await;
    scene
        .database
        .run("update sync.cursors set watermark = null where resource = 'profiles'")
        .await;
    let run = scene.read().await;
    assert_eq!(run["status"], "skipped", "{run}");
    assert_eq!(scene.requests(), 0);
}
