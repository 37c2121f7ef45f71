//! A group is removed only after a complete walk that did not list it, and only if the tenant says that it is gone.

use blueconic_sync::model::status::RunStatus;

use super::{Scene, assert_nothing_left, sync};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_gone_is_asked_for_and_removed() {
    let scene = Scene::loaded(45).await;
    scene.world.remove("company", "g007");
    let report = scene.walk().await;
    assert_eq!(report.ledger.counts.removed, 1);
    let lookups = scene.tenant.asked("/g007");
    assert_eq!(lookups.len(), 1);
    assert_eq!(lookups[0].path, "/groups/company/g007");
    let stored = scene.groups().await;
    assert!(!stored.iter().any(|row| row.starts_with("company g007")));
    assert!(stored.iter().any(|row| row.starts_with("household g007")));
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_a_walk_missed_stays_and_is_brought_up_to_date() {
    let scene = Scene::loaded(45).await;
    scene.world.put("company", "g007", "Umbrella");
    scene.world.put("household", "g008", "Initech");
    scene.world.unlist("company", "g007");
    scene.world.unlist("household", "g008");
    let report = scene.walk().await;
    let counts = &report.ledger.counts;
    assert_eq!((counts.removed, counts.missed, counts.updated), (0, 2, 2));
    let stored = scene.groups().await;
    assert_eq!(stored.len(), 90);
    for row in ["company g007 Umbrella", "household g008 Initech"] {
        assert!(stored.contains(&row.to_owned()), "{row}");
    }
    assert_nothing_left(&scene.database).await;
}

/// A proxy that answers 404 to every look-up also denies groups that the walk has just read.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_where_look_ups_deny_what_was_listed() {
    let scene = Scene::loaded(45).await;
    scene.world.remove("company", "g007");
    scene.world.change(|held| held.denies_look_ups = true);
    let report = scene.read().await;
    assert_eq!(report.ledger.status, RunStatus::Partial, "{report:?}");
    let hint = report.ledger.hint.unwrap();
    assert!(hint.contains("/groups/"), "{hint}");
    assert_eq!(scene.groups().await.len(), 90);
    scene.world.change(|held| held.denies_look_ups = false);
    let report = scene.walk().await;
    assert_eq!(report.ledger.counts.removed, 1);
}

/// Too few groups for the totals that the tenant reports, or none at all: nothing is asked, nothing goes.
#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_walk_removes_nothing() {
    let scene = Scene::loaded(45).await;
    scene.world.change(|held| held.untold = true);
    for number in 0..40 {
        scene.world.remove("company", &format!("g{number:03}"));
    }
    let report = scene.read().await;
    assert_eq!(report.ledger.status, RunStatus::Partial, "{report:?}");
    assert_eq!(scene.groups().await.len(), 90);
    assert_nothing_left(&scene.database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_a_type_that_is_gone_need_approval_and_are_asked_for() {
    let scene = Scene::loaded(150).await;
    scene.world.change(|held| {
        held.types.remove(1);
        held.groups.retain(|(of, _), _| *of == "company");
    });
    // More of a list than its bound would go with the type itself, too: half of two types is no more than half.
    let report = scene.read().await;
    assert_eq!(report.ledger.status, RunStatus::NeedsApproval, "{report:?}");
    assert_eq!(scene.groups().await.len(), 300);
    let report = sync(&scene.app, &scene.settings, &["groups"], Some(150)).await;
    assert_eq!(report.ledger.status, RunStatus::Succeeded, "{report:?}");
    assert_eq!(report.ledger.counts.removed, 150);
    assert_eq!(scene.groups().await.len(), 150);
    scene.assert_nothing_to_write().await;
}
