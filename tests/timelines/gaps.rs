//! Where as many events came as were asked for, older ones may be missing: that is recorded for the profile.

use serde_json::json;

use super::{COUNT, Scene, event};

fn listed(newest: u32, oldest: u32) -> Vec<serde_json::Value> {
    (oldest..=newest)
        .rev()
        .map(|day| event("order", &format!("e{day}"), day, "1"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_answer_is_a_gap_until_a_later_answer_is_not_full() {
    let scene = Scene::with(&[(COUNT, "3")]).await;
    scene.world.put("more", &listed(9, 5));
    scene.world.put("exact", &listed(3, 1));
    scene.world.put("fewer", &listed(2, 1));
    scene.world.put("none", &[]);
    scene.walk().await;
    assert_eq!(scene.events().await.len(), 8);
    assert_eq!(scene.gaps().await, ["exact full_answer 3", "more full_answer 3"]);
    let from = "select listed_from::text from blueconic.timeline_gaps where profile_id = 'more'";
    assert_eq!(scene.database.texts(from).await, ["2026-10-07 10:00:00+00"]);
    scene.assert_nothing_to_write().await;
    let shown = "select open_gaps from blueconic.freshness where resource = 'timeline_events'";
    assert_eq!(scene.database.one::<i64>(shown).await, 2);
    let status = blueconic_sync::postgres::status::read(&scene.app.store)
        .await
        .unwrap();
    let timelines: Vec<_> = status
        .resources
        .iter()
        .filter_map(|slot| slot.timelines)
        .collect();
    assert_eq!(timelines.len(), 1);
    assert_eq!(timelines[0].profiles_with_gaps, 2);

    // The bytes of a profile with exactly as many events stay the same: another setting reads it again.
    let scene = scene.restarted(&[(COUNT, "10")]).await;
    let profiles = scene.versions("blueconic.profiles").await;
    let run = scene.walk().await;
    assert_eq!(scene.gaps().await, [""; 0]);
    assert_eq!(scene.events().await.len(), 10);
    assert_eq!(run["rows_updated"], 2, "{run}");
    assert_eq!(scene.versions("blueconic.profiles").await, profiles);
}

/// 500 where 250 were promised: all of them are stored, and since not as many came as were asked for, nothing is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_were_asked_for_are_stored_whole() {
    let scene = Scene::with(&[(COUNT, "250")]).await;
    scene.world.ignores_counts();
    let events: Vec<_> = (0..500)
        .map(|number| event("order", &format!("e{number}"), 1 + number % 28, "1"))
        .collect();
    scene.world.put("p", &events);
    scene.world.put("q", &events[..250]);
    let run = scene.walk().await;
    assert_eq!(run["rows_inserted"], json!(2));
    let of = |id: &str| format!("blueconic.timeline_events where profile_id = '{id}'");
    assert_eq!(scene.database.count(&of("p")).await, 500);
    assert_eq!(scene.database.count(&of("q")).await, 250);
    assert_eq!(scene.gaps().await, ["q full_answer 250"]);
    scene.assert_nothing_to_write().await;
}
