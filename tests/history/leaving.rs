//! What becomes of the histories of profiles that leave.

use blueconic_sync::postgres::erasures::erase;
use serde_json::json;

use super::{Person, Scene, TABLES, settled};
use crate::support::traces::{assert_gone, traces};

#[tokio::test(flavor = "multi_thread")]
async fn they_end_and_values_leave_with_a_profile_that_the_tenant_deleted() {
    let scene = Scene::recording().await;
    for gone in ["p01", "p03", "p05"] {
        scene.remove(gone);
    }
    let mut elsewhere = settled(3).sent("p03");
    elsewhere["segments"] = json!([{"id": "other"}]);
    scene.answers("p03", elsewhere);
    let winner = Person {
        replaces: ["p05".to_owned()].into(),
        ..settled(7)
    };
    scene.put("p07", &winner);
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 3, "{run}");
    for gone in ["p01", "p03", "p05"] {
        assert_eq!(scene.segments_of(gone).await, ["a 1 - 2", "odd 1 - 2"], "{gone}");
    }
    let with_values =
        "select distinct profile_id from blueconic.profile_property_history where not is_current order by 1";
    assert_eq!(scene.database.texts(with_values).await, ["p03", "p05"]);
    let ended =
        "select distinct profile_id from blueconic.lifecycle_stage_history where not is_current order by 1";
    assert_eq!(scene.database.texts(ended).await, ["p01", "p03", "p05"]);

    // A profile that is back begins anew.
    scene.put("p01", &settled(1));
    scene.walk().await;
    assert_eq!(
        scene.segments_of("p01").await,
        ["a 1 - 2", "a 3 -", "odd 1 - 2", "odd 3 -"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_removes_them_also_of_whom_the_person_was_before() {
    let scene = Scene::recording().await;
    scene.remove("p05");
    let winner = Person {
        replaces: ["p05".to_owned()].into(),
        ..Person::within(&["b"])
    };
    scene.put("p07", &winner);
    scene.walk().await;
    assert!(scene.stored().await > 10);
    let (store, tables) = (&scene.app.store, scene.settings.registry.person_tables());
    let both = ["p07".to_owned(), "p05".to_owned()];
    let receipt = erase::erase(store, &tables, &both[..1]).await.unwrap();
    let removed = |table: &str| receipt.removed.iter().find(|(name, _)| name == table).unwrap().1;
    // Each had two segments and allvisitors, consent, a stage and a tier; p07 has one segment more.
    assert_eq!(TABLES.map(removed), [6, 2, 2, 2]);
    assert_eq!(scene.stored().await, 0);
    assert_gone(&scene.database, &both).await;
    // Whoever merges into an erased person leaves nothing, whether or not a history had been stored.
    scene.put("p09", &Person::within(&["b"]));
    scene.walk().await;
    assert!(traces(&scene.database, "p09").await.len() > 1);
    scene.remove("p09");
    let again = Person {
        replaces: ["p05".to_owned(), "p09".to_owned()].into(),
        ..Person::within(&["b"])
    };
    scene.put("p07", &again);
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_suppressed"], &run["rows_removed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(scene.stored().await, 0);
    assert_gone(&scene.database, &both).await;
}
