//! Pages, cursors, counts, refinements and the small lists.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use simulated_tenant::settings::Settings;
use simulated_tenant::truth::Profile;

use super::asker::{
    Asker, EVERYTHING, canonical, elements, fixed, milliseconds, modified_between, read, text,
};

#[tokio::test]
async fn a_walk_brings_every_profile_once_and_as_it_is() {
    let asker = Asker::new(Settings {
        profiles: 2_500,
        ..fixed()
    })
    .await;
    let query: Vec<_> = EVERYTHING.into_iter().chain([("count", "600")]).collect();
    let pages = asker.walk("allvisitors", &query).await;
    assert_eq!(pages.len(), 5);
    for page in &pages {
        assert_eq!(
            (page["totalResults"].as_u64(), page["totalPages"].as_u64()),
            (Some(2_500), Some(5))
        );
        assert_eq!(page["itemsPerPage"], 600);
        assert!(
            text(&page["links"][0]["href"])
                .contains("/rest/v2/segments/allvisitors/profiles?cursor=*&count=600")
        );
    }
    let listed: Vec<&Value> = pages.iter().flat_map(elements).collect();
    let truth: Vec<Profile> = asker.tenant.profiles().collect();
    assert_eq!(listed.len(), truth.len());
    for (element, profile) in listed.iter().zip(&truth) {
        assert_eq!(read(element, profile.position), canonical(profile.clone()));
        let events = element["events"].as_array().unwrap();
        assert_eq!(events.len(), profile.events.len().min(20));
        assert!(
            events
                .iter()
                .zip(&profile.events)
                .all(|(event, truth)| milliseconds(&event["date"]) == truth.date)
        );
    }
    assert!(truth.iter().any(|profile| profile.events.len() > 20));
    assert!(truth.iter().any(|profile| profile.values("email").is_none()));
    assert!(
        truth
            .iter()
            .any(|profile| profile.values("newsletter_topics") == Some(&[]))
    );
    assert!(truth.iter().any(|profile| profile.properties.is_none()));
    assert!(truth.iter().any(|profile| profile.creation_date.is_none()));
    let size = listed
        .iter()
        .map(|element| element.to_string().len())
        .sum::<usize>()
        / listed.len();
    assert!((2_000..4_500).contains(&size), "{size} bytes a profile");
}

#[tokio::test]
async fn segments_overlap_and_count_their_members() {
    let asker = Asker::new(Settings {
        profiles: 3_000,
        ..fixed()
    })
    .await;
    let body = asker.json("/segments", &[("count", "100")]).await;
    let segments = body["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 9);
    assert_eq!(segments[0]["id"], "allvisitors");
    assert!(
        segments
            .iter()
            .any(|segment| segment.get("profileCount").is_none())
    );
    let mut memberships: HashMap<String, usize> = HashMap::new();
    for segment in segments {
        let id = text(&segment["id"]);
        let ids = asker.ids(&id, &[("count", "1000")]).await;
        assert_eq!(Some(ids.len() as u64), asker.tenant.member_count(&id));
        if let Some(count) = segment.get("profileCount") {
            assert_eq!(count.as_u64(), Some(ids.len() as u64));
        }
        assert_eq!(ids.len(), ids.iter().collect::<HashSet<_>>().len());
        for id in ids {
            *memberships.entry(id).or_default() += 1;
        }
    }
    assert!(memberships.values().any(|count| *count >= 5));
    let second = asker
        .json("/segments", &[("startIndex", "4"), ("count", "3")])
        .await;
    assert_eq!(second["segments"][0]["id"], segments[4]["id"]);
    assert_eq!(
        (second["totalPages"].as_u64(), second["totalResults"].as_u64()),
        (Some(3), Some(9))
    );
    let tagged = asker.json("/segments", &[("filterTag", "marketing")]).await;
    let tagged = tagged["segments"].as_array().unwrap();
    assert!(!tagged.is_empty() && tagged.len() < 9);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let asker = Asker::new(fixed()).await;
    let path = "/segments/allvisitors/profiles";
    for query in [
        ("cursor", "nonsense"),
        ("cursor", ""),
        ("count", "0"),
        ("count", "-1"),
        ("count", "many"),
        ("count", "1000001"),
        ("refinement", "{"),
        (
            "refinement",
            r#"{"property":"lastmodifieddate","operator":"IN_RANGE"}"#,
        ),
        ("expand", "profile.segments"),
        ("audienceId", "x"),
        ("maxHitsAllowed", "10"),
    ] {
        assert_eq!(asker.status(path, &[query]).await, 400, "{query:?}");
    }
    assert_eq!(asker.status(path, &[("count", "1000000")]).await, 200);
    assert_eq!(asker.status("/segments/no-such-segment/profiles", &[]).await, 404);
    assert_eq!(
        asker
            .status("/profiles/41ebc321-b02b-4e8a-a368-82995c81fb18", &[])
            .await,
        404
    );
    assert_eq!(asker.status("/auditEvents", &[("count", "1001")]).await, 400);
    assert_eq!(
        asker.status("/auditEvents", &[("fromDate", "2026-08-01")]).await,
        400
    );
    assert_eq!(asker.status("/segments", &[("startIndex", "-1")]).await, 400);
    assert_eq!(
        asker
            .status("/profileProperties", &[("filterType", "BOOLEAN")])
            .await,
        400
    );
    assert_eq!(asker.status("/nothing", &[]).await, 404);
    assert_eq!(
        asker
            .client
            .get(asker.address("/oauth/token"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
}

#[tokio::test]
async fn properties_are_narrowed_by_either_parameter() {
    let asker = Asker::new(fixed()).await;
    let all: [(&str, &str); 2] = [
        ("profileProperty", "email"),
        ("profileProperty", "lastmodifieddate"),
    ];
    for query in [&all[..], &[("properties", "email,lastmodifieddate")]] {
        let pages = asker.walk("allvisitors", query).await;
        let seen: HashSet<String> = pages
            .iter()
            .flat_map(elements)
            .flat_map(|profile| profile["properties"].as_array().cloned().unwrap_or_default())
            .map(|property| text(&property["id"]))
            .collect();
        assert_eq!(
            seen,
            HashSet::from(["email".to_owned(), "lastmodifieddate".to_owned()])
        );
    }
    let page = asker.json("/segments/allvisitors/profiles", &[]).await;
    for absent in ["segments", "permissions", "replaces", "events", "groups"] {
        assert!(
            elements(&page)
                .iter()
                .all(|profile| profile.get(absent).is_none()),
            "{absent}"
        );
    }
}

#[tokio::test]
async fn refinements_find_exactly_who_they_describe() {
    let asker = Asker::new(Settings {
        profiles: 12_000,
        ..fixed()
    })
    .await;
    let now = asker.tenant.now();
    asker.tenant.touch(3, "city", &["Utrecht"]);
    asker.tenant.touch(11_990, "city", &["Utrecht"]);
    let new = asker.tenant.add_profiles(3);
    asker.tenant.delete(new);
    let truth: Vec<Profile> = asker.tenant.profiles().collect();
    let (from, to) = (now - 90 * 86_400_000, now - 60 * 86_400_000);
    let within = |from: i64, to: i64| {
        let inside =
            move |profile: &&Profile| profile.modified_at.is_some_and(|at| (from..=to).contains(&at));
        truth
            .iter()
            .filter(inside)
            .map(|profile| profile.id.clone())
            .collect::<Vec<_>>()
    };
    let lately = r#"{"property":"lastmodifieddate","operator":"IN_LAST_HOURS","hoursCount":1}"#;
    let both = format!(
        r#"{{"operator":"AND","filters":[{},{{"property":"email","operator":"IS_EMPTY"}}]}}"#,
        modified_between(from, to)
    );
    let mut without_email = within(from, to);
    without_email.retain(|id| {
        let found = truth.iter().find(|profile| profile.id == *id).unwrap();
        found.values("email").is_none_or(<[String]>::is_empty)
    });
    for (refinement, expected) in [
        (modified_between(from, to), within(from, to)),
        (modified_between(to, from), Vec::new()),
        (lately.to_owned(), within(now - 3_600_000, i64::MAX)),
        (both, without_email),
    ] {
        let query = [("refinement", refinement.as_str()), ("count", "100")];
        let pages = asker.walk("allvisitors", &query).await;
        let ids: Vec<String> = pages
            .iter()
            .flat_map(elements)
            .map(|one| text(&one["id"]))
            .collect();
        assert_eq!(ids, expected, "{refinement}");
        assert!(
            pages
                .iter()
                .all(|page| page["totalResults"].as_u64() == Some(expected.len() as u64))
        );
    }
    assert_eq!(within(now, i64::MAX).len(), 4, "two were touched, two came");
}

#[tokio::test]
async fn properties_are_those_of_profiles_unless_groups_are_asked_for() {
    let asker = Asker::new(Settings {
        properties: 60,
        ..fixed()
    })
    .await;
    let body = asker.json("/profileProperties", &[("count", "1000")]).await;
    let listed = body["profileProperties"].as_array().unwrap();
    let ids: HashSet<String> = listed.iter().map(|property| text(&property["id"])).collect();
    let used = asker
        .tenant
        .profiles()
        .flat_map(|profile| profile.properties.unwrap_or_default());
    assert_eq!(used.map(|property| property.id).collect::<HashSet<_>>(), ids);
    let types: HashSet<_> = listed
        .iter()
        .filter_map(|property| property["filterType"].as_str())
        .collect();
    assert_eq!(types.len(), 6);
    assert!(
        listed
            .iter()
            .any(|property| property["currency"]["isoCode"].is_string())
    );
    assert!(
        listed
            .iter()
            .all(|property| property.get("groupTypeId").is_none())
    );
    let groups = asker
        .json("/profileProperties", &[("groupTypeId", "company")])
        .await;
    assert_eq!(groups["totalResults"], 2);
    let decimals = asker
        .json("/profileProperties", &[("filterType", "DECIMAL"), ("count", "2")])
        .await;
    assert_eq!(decimals["profileProperties"].as_array().unwrap().len(), 2);
    assert!(decimals["totalPages"].as_u64() > Some(1));
}

#[tokio::test]
async fn the_segment_of_everybody_may_have_another_id_or_none() {
    let renamed = Asker::new(Settings {
        all_visitors: Some("everyone/é".into()),
        ..fixed()
    })
    .await;
    assert_eq!(
        renamed.ids("everyone%2F%C3%A9", &[("count", "1000")]).await.len(),
        1_000
    );
    let hidden = Asker::new(Settings {
        all_visitors: None,
        ..fixed()
    })
    .await;
    assert_eq!(hidden.json("/segments", &[]).await["totalResults"], 8);
    assert_eq!(hidden.status("/segments/allvisitors/profiles", &[]).await, 404);
    assert!(
        hidden
            .tenant
            .profiles()
            .all(|profile| !profile.segment_ids.contains(&String::new()))
    );
}
