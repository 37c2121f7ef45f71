//! Pages of all types, one walk that goes on where it stopped, and listings that are not as they should be.

use blueconic_sync::model::status::RunStatus;

use super::{Scene, World, assert_nothing_left};

#[tokio::test(flavor = "multi_thread")]
async fn every_group_of_every_type_is_loaded_page_by_page_and_a_second_walk_writes_nothing() {
    let scene = Scene::of(World::filled(45)).await;
    let report = scene.walk().await;
    let counts = &report.ledger.counts;
    assert_eq!((counts.inserted, counts.distinct, counts.pages), (90, 90, 6));
    assert_eq!((counts.source_total, counts.unexplained), (Some(90), Some(0)));
    assert_eq!(scene.asked("company"), ["*", "p20", "p40"]);
    assert_eq!(scene.asked("household"), ["*", "p20", "p40"]);
    let stored = scene.groups().await;
    assert_eq!((stored.len(), stored[0].as_str()), (90, "company g000 Acme"));
    scene.assert_nothing_to_write().await;
    let complete = "blueconic.freshness where resource = 'groups' and complete_as_of is not null";
    assert_eq!(scene.database.count(complete).await, 1);

    scene.world.put("company", "g001", "Umbrella");
    let report = scene.walk().await;
    assert_eq!(report.ledger.counts.updated, 1);
    let stored = scene.groups().await;
    assert_eq!(stored[1], "company g001 Umbrella");
    assert_eq!(stored[46], "household g001 Acme", "the same id of another type");
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_at_the_page_where_it_stopped() {
    let scene = Scene::of(World::filled(45)).await;
    scene.world.change(|held| {
        held.refused.insert(("household", "p20"), 503);
    });
    let report = scene.read().await;
    assert_eq!(report.ledger.status, RunStatus::Failed, "{report:?}");
    assert_eq!(scene.groups().await.len(), 65);
    scene.world.change(|held| held.refused.clear());
    let before = (scene.asked("company").len(), scene.asked("household").len());
    let report = scene.walk().await;
    assert_eq!(scene.asked("company").len(), before.0, "no page comes twice");
    assert_eq!(scene.asked("household")[before.1..], ["p20", "p40"]);
    let counts = &report.ledger.counts;
    assert_eq!(
        (counts.distinct, counts.source_total, counts.unexplained),
        (25, Some(90), Some(0))
    );
    assert_eq!(scene.groups().await.len(), 90);
    scene.assert_nothing_to_write().await;
}

/// A walk over other types than those that are there now would leave some out.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_other_types_starts_over() {
    let scene = Scene::of(World::filled(45)).await;
    scene.world.change(|held| {
        held.refused.insert(("household", "p20"), 503);
    });
    scene.read().await;
    scene.world.change(|held| {
        held.refused.clear();
        held.types.push("account");
    });
    scene.world.put("account", "a", "Initech");
    let report = scene.walk().await;
    assert_eq!(report.ledger.counts.distinct, 91);
    assert_eq!(scene.asked("company").len(), 6);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_cursor_begins_its_listing_anew() {
    let scene = Scene::of(World::filled(45)).await;
    scene.world.change(|held| {
        held.refused.insert(("household", "p40"), 503);
    });
    scene.read().await;
    scene.world.change(|held| {
        held.refused = [(("household", "p40"), 400)].into();
    });
    let report = scene.read().await;
    // The tenant never accepts it: the run ends after some tries, and what was read is loaded.
    assert_eq!(report.ledger.status, RunStatus::Failed, "{report:?}");
    let pages = ["p40", "*", "p20", "p40", "*", "p20", "p40", "*", "p20", "p40"];
    let asked = scene.asked("household");
    assert_eq!(asked[asked.len() - pages.len()..], pages);
    scene.world.change(|held| held.refused.clear());
    scene.walk().await;
    assert_eq!(scene.groups().await.len(), 90);
    scene.assert_nothing_to_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_an_end_stops_and_removes_nothing() {
    let scene = Scene::loaded(45).await;
    scene.world.change(|held| held.endless = true);
    scene.world.remove("company", "g007");
    let report = scene.read().await;
    assert_eq!(report.ledger.status, RunStatus::Partial, "{report:?}");
    assert!(
        report.ledger.error.as_ref().unwrap().contains("does not end"),
        "{report:?}"
    );
    assert_eq!(scene.groups().await.len(), 90);
    assert_nothing_left(&scene.database).await;
}

/// The tenant's answers about types and groups do not come at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn without_types_groups_are_skipped_and_without_groups_there_are_none() {
    let world = World::filled(2);
    let scene = Scene::of(world).await;
    let (app, settings) = (&scene.app, &scene.settings);
    let report = super::sync(app, settings, &["groups"], None).await;
    assert_eq!(report.ledger.status, RunStatus::Skipped, "{report:?}");
    scene.world.change(|held| {
        held.refused = [(("company", "*"), 404), (("household", "*"), 404)].into();
    });
    let report = scene.read().await;
    assert_eq!(report.ledger.status, RunStatus::Skipped, "{report:?}");
    scene.world.change(|held| {
        held.refused.clear();
        held.groups.clear();
    });
    let report = scene.walk().await;
    assert_eq!(report.ledger.counts.read, 0);
}

/// A tenant that heeds no filter lists the properties of profiles and of all types: none is taken for one of the type that was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_property_of_a_group_is_stored_with_its_own_type_alone() {
    let scene = Scene::of(World::filled(1)).await;
    let (app, settings) = (&scene.app, &scene.settings);
    for round in ["first", "second"] {
        let report = super::sync(app, settings, &["group_types", "group_properties"], None).await;
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{report:?}");
        let counts = &report.ledger.counts;
        assert_eq!((counts.read, counts.elsewhere), (8, 5), "{round}: {counts:?}");
        let stored =
            "select concat_ws(' ', group_type_id, id, name) from blueconic.group_properties order by 1";
        assert_eq!(
            scene.database.texts(stored).await,
            [
                "company name Name of a company",
                "household name Name of a household",
                "household size Size"
            ]
        );
    }
    let asked = scene.tenant.asked("/profileProperties");
    assert_eq!(asked[0].text("groupTypeId"), "company");
}
