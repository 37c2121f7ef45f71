//! Groups, what profiles are in, lifecycle stages and the history of consent.

use std::collections::HashSet;

use serde_json::Value;
use simulated_tenant::faults::Route;
use simulated_tenant::lists::List;
use simulated_tenant::settings::Settings;
use simulated_tenant::shape::{NextCursor, Shape};
use simulated_tenant::truth::{ConsentEvent, Group, LifecycleStage, Profile, Property};

use crate::support::registry::lists;

use super::asker::{Asker, body, elements, fixed, milliseconds, property, text};

async fn grouped() -> Asker {
    let settings = Settings {
        groups: 50,
        group_types: Some(group_types()),
        lifecycles: 2,
        ..fixed()
    };
    Asker::new(settings.with_lists(lists())).await
}

/// The list of group types, as the program describes it.
fn group_types() -> List {
    let mut lists = lists().into_iter();
    lists.find(|list| list.scope == "read:group-types").unwrap()
}

fn read_group(element: &Value) -> Group {
    Group {
        group_type_id: text(&element["groupTypeId"]),
        id: text(&element["id"]),
        creation_date: milliseconds(&element["creationDate"]),
        last_modified_date: milliseconds(&element["lastModifiedDate"]),
        properties: element["properties"]
            .as_array()
            .unwrap()
            .iter()
            .map(property)
            .collect(),
    }
}

/// All groups of a type, and the pages that brought them.
async fn walk(asker: &Asker, group_type: &str, count: &str) -> (Vec<Group>, usize) {
    let (mut groups, mut pages, mut cursor) = (Vec::new(), 0, "*".to_owned());
    loop {
        let query = [("count", count), ("cursor", cursor.as_str())];
        let page = asker.json(&format!("/groups/{group_type}"), &query).await;
        groups.extend(page["groups"].as_array().unwrap().iter().map(read_group));
        pages += 1;
        match page.get("nextCursor") {
            Some(next) => cursor = text(next),
            None => return (groups, pages),
        }
    }
}

#[tokio::test]
async fn groups_come_page_by_page_as_they_are() {
    let asker = grouped().await;
    let of_types = group_types();
    let types = asker.json(of_types.path, &[]).await;
    assert_eq!(types["totalResults"], 2);
    assert_eq!(types[of_types.array][1]["pluralName"], "Households");
    assert_eq!(
        types[of_types.array],
        Value::from(asker.tenant.listed(of_types.path))
    );
    let ids = asker.tenant.group_types().into_iter().map(|one| one.id);
    assert_eq!(ids.collect::<Vec<_>>(), ["company", "household"]);
    for group_type in ["company", "household"] {
        let (mut listed, pages) = walk(&asker, group_type, "8").await;
        assert_eq!((listed.len(), pages), (50, 7));
        listed.sort_by(|one, other| one.id.cmp(&other.id));
        assert_eq!(listed, asker.tenant.groups(group_type));
    }
    for shape in [NextCursor::BeforeProfiles, NextCursor::AfterProfiles] {
        asker.tenant.set_shape(Shape {
            next_cursor: shape,
            ..Shape::default()
        });
        let page = asker.ask("/groups/company", &[]).await.text().await.unwrap();
        let place = |key: &str| page.find(key).unwrap();
        let is_before = place("\"nextCursor\"") < place("\"groups\"");
        assert_eq!(is_before, shape == NextCursor::BeforeProfiles);
    }
    let narrow = asker
        .json(
            "/groups/company",
            &[("properties", "company_name"), ("count", "50")],
        )
        .await;
    let narrow = narrow["groups"].as_array().unwrap();
    assert!(
        narrow
            .iter()
            .all(|group| group["properties"].as_array().unwrap().len() == 1)
    );
    assert_eq!(asker.status("/groups/nothing", &[]).await, 404);
    assert_eq!(
        asker.status("/groups/company", &[("cursor", "nonsense")]).await,
        400
    );
    assert!(asker.tenant.requests().count(Route::Groups) > 14);
}

/// The profiles of a listing with everything about groups.
async fn listed(asker: &Asker) -> Vec<Value> {
    let query = [
        ("expand", "profiles.profile.groups"),
        ("expand", "profiles.profile.matchingGroups"),
        ("count", "1000"),
    ];
    let page = asker.json("/segments/allvisitors/profiles", &query).await;
    elements(&page).clone()
}

fn groups_of(element: &Value) -> Vec<(String, String)> {
    let groups = element["groups"].as_array().unwrap().iter().map(read_group);
    groups.map(|group| (group.group_type_id, group.id)).collect()
}

fn stages_of(element: &Value) -> Vec<LifecycleStage> {
    let stages = element["lifecycleStages"].as_array().unwrap();
    let stage = |stage: &Value| LifecycleStage {
        lifecycle_id: text(&stage["lifecycle"]["id"]),
        lifecycle_name: text(&stage["lifecycle"]["name"]),
        stage_id: text(&stage["stage"]["id"]),
        stage_name: text(&stage["stage"]["name"]),
    };
    stages.iter().map(stage).collect()
}

#[tokio::test]
async fn profiles_name_their_groups_and_stages() {
    let asker = grouped().await;
    let truth: Vec<Profile> = asker.tenant.profiles().collect();
    let elements = listed(&asker).await;
    for (element, profile) in elements.iter().zip(&truth) {
        assert_eq!(groups_of(element), profile.groups);
        assert_eq!(stages_of(element), profile.stages);
        let matching = element["matchingGroups"].as_array().unwrap();
        assert_eq!(matching.len(), profile.groups.len());
        for (matching, (group_type, id)) in matching.iter().zip(&profile.groups) {
            assert_eq!(matching["profilePropertyId"], group_type.as_str());
            assert_eq!(matching["groupIds"][0], id.as_str());
        }
    }
    let sizes: HashSet<usize> = truth.iter().map(|profile| profile.groups.len()).collect();
    assert_eq!(sizes, HashSet::from([0, 1, 2]));
    assert!(truth.iter().any(|profile| profile.stages.len() == 2));
}

#[tokio::test]
async fn groups_and_memberships_change() {
    let asker = grouped().await;
    let tenant = &asker.tenant;
    let old = tenant.profile(3).unwrap();
    let added = tenant.add_group("household").unwrap();
    assert_eq!(tenant.add_group("nothing"), None);
    assert!(tenant.change_group("household", &added, "household_size", &["7"]));
    assert!(!tenant.change_group("household", "nobody", "household_size", &["7"]));
    let key = ("household".to_owned(), added.clone());
    assert!(tenant.set_groups(3, std::slice::from_ref(&key)) && tenant.set_stages(3, &[]));
    let (groups, _) = walk(&asker, "household", "1000").await;
    let group = groups.iter().find(|group| group.id == added).unwrap();
    assert_eq!(
        group.properties,
        [Property {
            id: "household_size".into(),
            values: vec!["7".into()]
        }]
    );
    let element = listed(&asker).await.remove(3);
    assert_eq!(
        (groups_of(&element), stages_of(&element)),
        (vec![key], Vec::new())
    );
    assert_eq!(tenant.profile(3).unwrap().modified_at, old.modified_at);
    assert!(tenant.delete_group("household", &added) && !tenant.delete_group("household", &added));
    assert_eq!(groups_of(&listed(&asker).await[3]), []);
    assert_eq!(tenant.groups("household").len(), 50);
}

#[tokio::test]
async fn a_profile_has_a_history_of_its_consent() {
    let asker = Asker::new(fixed()).await;
    let tenant = &asker.tenant;
    let position = (0..100)
        .find(|position| tenant.consent_events(*position).len() == 3)
        .unwrap();
    let event = ConsentEvent {
        date: tenant.now(),
        event_type: "ConsentChanged".into(),
        properties: vec![Property {
            id: "Source".into(),
            values: vec!["REST".into()],
        }],
    };
    assert!(tenant.add_consent_event(position, event));
    let path = format!("/profileEvents/{}", tenant.id(position));
    let page = asker.json(&path, &[("startIndex", "1"), ("count", "10")]).await;
    assert_eq!(page["totalResults"], 4);
    let events = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| ConsentEvent {
            date: milliseconds(&event["date"]),
            event_type: text(&event["type"]),
            properties: event["properties"]
                .as_array()
                .unwrap()
                .iter()
                .map(property)
                .collect(),
        });
    assert_eq!(events.collect::<Vec<_>>(), tenant.consent_events(position)[1..]);
    assert!(tenant.delete(position));
    assert_eq!(asker.status(&path, &[]).await, 404);
}

/// Without groups nothing about them is there, as before.
#[tokio::test]
async fn a_tenant_may_have_no_groups() {
    let asker = Asker::new(fixed()).await;
    let element = listed(&asker).await.remove(0);
    assert_eq!(
        (groups_of(&element), element.get("lifecycleStages")),
        (Vec::new(), None)
    );
    assert_eq!(asker.status(group_types().path, &[]).await, 404);
    assert_eq!(asker.status("/groups/company", &[]).await, 404);
    let refused = body(asker.ask("/groups/company", &[]).await).await;
    assert_eq!(refused["code"], 404);
}
