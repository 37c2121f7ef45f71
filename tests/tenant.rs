//! The simulated tenant keeps to its promises: pages and cursors, counts, refinements, changes while it serves,
//! audit events in three orders, tokens, faults. Without a client of ours: what asks here is plain reqwest.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use blueconic_sync::demo::faults::{Fault, Kind, RetryAfter, Route, When};
use blueconic_sync::demo::settings::{AuditOrder, DateHeader, MergedLookup, Settings};
use blueconic_sync::demo::shape::{KeyOrder, LastPage, Layout, NextCursor, Shape};
use blueconic_sync::demo::tenant::{self, Tenant};
use blueconic_sync::demo::truth::{AuditEvent, Profile};
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

struct Asker {
    client: Client,
    tenant: Tenant,
    token: String,
}

fn fixed() -> Settings {
    Settings {
        now: Some("2026-08-15T12:00:00Z".parse().unwrap()),
        ..Settings::default()
    }
}

impl Asker {
    async fn new(settings: Settings) -> Self {
        let tenant = tenant::start(settings).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let mut asker = Self {
            client,
            tenant,
            token: String::new(),
        };
        asker.renew().await;
        asker
    }

    async fn renew(&mut self) {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "simulated-client"),
            ("client_secret", "simulated-secret"),
        ];
        let answer = self.post("/oauth/token").form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = body(answer).await;
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 3600);
        self.token = text(&body["access_token"]);
    }

    fn address(&self, path: &str) -> String {
        format!("{}/rest/v2{path}", self.tenant.url())
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.address(path))
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.client
            .get(self.address(path))
            .query(query)
            .bearer_auth(&self.token)
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Response {
        self.get(path, query).send().await.unwrap()
    }

    async fn status(&self, path: &str, query: &[(&str, &str)]) -> u16 {
        self.ask(path, query).await.status().as_u16()
    }

    async fn json(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.ask(path, query).await;
        assert_eq!(answer.status(), 200, "{path} {query:?}");
        body(answer).await
    }

    /// All pages of a listing.
    async fn walk(&self, segment: &str, query: &[(&str, &str)]) -> Vec<Value> {
        let mut pages: Vec<Value> = Vec::new();
        let mut cursor = "*".to_owned();
        loop {
            let query: Vec<_> = query
                .iter()
                .copied()
                .chain([("cursor", cursor.as_str())])
                .collect();
            let page = self.json(&format!("/segments/{segment}/profiles"), &query).await;
            assert_eq!(text(&page["cursor"]), cursor);
            let next = page.get("nextCursor").map(text);
            pages.push(page);
            match next {
                Some(next) if next != cursor => cursor = next,
                _ => return pages,
            }
        }
    }

    async fn ids(&self, segment: &str, query: &[(&str, &str)]) -> Vec<String> {
        let pages = self.walk(segment, query).await;
        pages
            .iter()
            .flat_map(|page| elements(page))
            .map(|profile| text(&profile["id"]))
            .collect()
    }

    async fn events(&self, query: &[(&str, &str)]) -> Vec<i64> {
        let body = self.json("/auditEvents", query).await;
        let events = body["auditEvents"].as_array().unwrap();
        events.iter().map(|event| milliseconds(&event["date"])).collect()
    }
}

async fn body(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

fn elements(page: &Value) -> &Vec<Value> {
    page["profiles"].as_array().unwrap()
}

fn milliseconds(value: &Value) -> i64 {
    DateTime::parse_from_rfc3339(&text(value))
        .unwrap()
        .timestamp_millis()
}

fn iso(milliseconds: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(milliseconds)
        .unwrap()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn modified_between(from: i64, to: i64) -> String {
    let (from, to) = (iso(from), iso(to));
    format!(r#"{{"property":"lastmodifieddate","operator":"IN_RANGE","fromDate":"{from}","toDate":"{to}"}}"#)
}

const EVERYTHING: [(&str, &str); 4] = [
    ("expand", "profiles.profile.segments"),
    ("expand", "profiles.profile.permissions"),
    ("expand", "profiles.profile.replace"),
    ("expand", "profiles.profile.timeline"),
];

/// A profile as the answer has it, in the terms of the truth; the order of lists is not compared.
fn read(element: &Value, position: u64) -> Profile {
    let texts = |key: &str| {
        let list = element.get(key)?.as_array().unwrap();
        Some(list.iter().map(text).collect::<Vec<_>>())
    };
    let ids = |key: &str| {
        let list = element.get(key).map(|list| list.as_array().unwrap().clone());
        let mut ids: Vec<String> = list
            .unwrap_or_default()
            .iter()
            .map(|item| text(&item["id"]))
            .collect();
        ids.sort();
        ids
    };
    let sorted = |list: Option<Vec<String>>| {
        list.map(|mut list| {
            list.sort();
            list
        })
    };
    let mut profile = Profile {
        position,
        id: text(&element["id"]),
        creation_date: element.get("creationDate").map(milliseconds),
        privacy_legislation: element.get("privacyLegislation").map(text),
        consented_objectives: sorted(texts("consentedObjectives")),
        refused_objectives: sorted(texts("refusedObjectives")),
        permission_level: element
            .get("permissions")
            .map(|permissions| text(&permissions["level"])),
        properties: element.get("properties").map(|properties| {
            let mut properties: Vec<_> = properties.as_array().unwrap().iter().map(property).collect();
            properties.sort_by(|one, other| one.id.cmp(&other.id));
            properties
        }),
        segment_ids: ids("segments"),
        replaces: sorted(texts("replaces")).unwrap_or_default(),
        ..Profile::default()
    };
    profile.modified_at = profile
        .values("lastmodifieddate")
        .map(|values| values[0].parse().unwrap());
    profile
}

fn property(value: &Value) -> blueconic_sync::demo::truth::Property {
    let values = value
        .get("values")
        .map(|values| values.as_array().unwrap().clone())
        .unwrap_or_default();
    blueconic_sync::demo::truth::Property {
        id: text(&value["id"]),
        values: values.iter().map(text).collect(),
    }
}

/// The truth in the same order-free form, without the timeline.
fn canonical(mut profile: Profile) -> Profile {
    for list in [&mut profile.consented_objectives, &mut profile.refused_objectives]
        .into_iter()
        .flatten()
    {
        list.sort();
    }
    profile
        .properties
        .iter_mut()
        .for_each(|properties| properties.sort_by(|one, other| one.id.cmp(&other.id)));
    profile.segment_ids.sort();
    profile.replaces.sort();
    profile.events.clear();
    profile
}

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
    let listed: Vec<&Value> = pages.iter().flat_map(|page| elements(page)).collect();
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
            .flat_map(|page| elements(page))
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
            .flat_map(|page| elements(page))
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
async fn every_shape_says_the_same() {
    let asker = Asker::new(Settings {
        profiles: 300,
        zero_characters: true,
        ..fixed()
    })
    .await;
    asker.tenant.touch(7, "company", &["changed"]);
    let truth: Vec<Profile> = asker.tenant.profiles().map(canonical).collect();
    let shapes = [
        Shape::default(),
        Shape {
            layout: Layout::Pretty,
            key_order: KeyOrder::Reversed,
            ..Shape::default()
        },
        Shape {
            layout: Layout::Airy,
            key_order: KeyOrder::Shuffled,
            shuffled_lists: true,
            ..Shape::default()
        },
        Shape {
            unknown_keys: true,
            escaped: true,
            ..Shape::default()
        },
        Shape {
            next_cursor: NextCursor::AfterProfiles,
            last_page: LastPage::SameCursor,
            ..Shape::default()
        },
        Shape {
            links_upper_case: true,
            ..Shape::default()
        },
    ];
    let mut bodies = HashSet::new();
    for shape in shapes {
        asker.tenant.set_shape(shape);
        let query: Vec<_> = EVERYTHING.into_iter().chain([("count", "128")]).collect();
        let pages = asker.walk("allvisitors", &query).await;
        let last = pages.last().unwrap();
        assert_eq!(
            last.get("nextCursor").is_some(),
            shape.last_page == LastPage::SameCursor
        );
        let listed: Vec<Value> = pages.iter().flat_map(|page| elements(page)).cloned().collect();
        let read: Vec<Profile> = listed
            .iter()
            .zip(0..)
            .map(|(element, position)| read(element, position))
            .collect();
        assert_eq!(read, truth, "{shape:?}");
        let body = asker
            .ask("/segments/allvisitors/profiles", &query)
            .await
            .text()
            .await
            .unwrap();
        let cursor_first = body.find("\"nextCursor\"") < body.find("\"profiles\"");
        assert_eq!(
            cursor_first,
            shape.next_cursor == NextCursor::BeforeProfiles,
            "{shape:?}"
        );
        bodies.insert(body);
        for path in ["/segments", "/profileProperties", "/auditEvents"] {
            asker.json(path, &[]).await;
        }
    }
    assert_eq!(bodies.len(), 6, "every shape has bytes of its own");
}

/// A changed profile is written by way of a tree, an unchanged one straight into the buffer.
#[tokio::test]
async fn both_ways_of_writing_a_profile_are_equal_to_the_byte() {
    let asker = Asker::new(Settings {
        profiles: 400,
        ..fixed()
    })
    .await;
    let query: Vec<_> = EVERYTHING.into_iter().chain([("count", "400")]).collect();
    let plain = asker
        .ask("/segments/allvisitors/profiles", &query)
        .await
        .text()
        .await
        .unwrap();
    for profile in asker.tenant.profiles().collect::<Vec<_>>() {
        if let Some(modified) = profile.modified_at {
            asker.tenant.set_modified(profile.position, modified);
        }
    }
    let changed = asker
        .ask("/segments/allvisitors/profiles", &query)
        .await
        .text()
        .await
        .unwrap();
    assert!(plain == changed, "the two ways differ");
}

#[tokio::test]
async fn equal_seeds_make_equal_tenants() {
    let one = Asker::new(fixed()).await;
    let other = Asker::new(fixed()).await;
    let third = Asker::new(Settings { seed: 2, ..fixed() }).await;
    for path in [
        "/segments/allvisitors/profiles",
        "/segments",
        "/profileProperties",
        "/auditEvents",
    ] {
        let body = |asker: &Asker, body: String| body.replace(asker.tenant.url(), "");
        let of_one = body(&one, one.ask(path, &[]).await.text().await.unwrap());
        let of_other = body(&other, other.ask(path, &[]).await.text().await.unwrap());
        let of_third = body(&third, third.ask(path, &[]).await.text().await.unwrap());
        assert_eq!(of_one, of_other);
        assert_ne!(of_one, of_third);
    }
}

#[tokio::test]
async fn what_changes_shows_at_once() {
    let asker = Asker::new(Settings {
        profiles: 500,
        ..fixed()
    })
    .await;
    let tenant = &asker.tenant;
    let segment = tenant.segments()[1].clone();
    let members = tenant.member_count(&segment.id).unwrap();
    let outside = tenant
        .profiles()
        .find(|profile| !profile.segment_ids.contains(&segment.id))
        .unwrap();
    assert!(tenant.set_member(outside.position, &segment.id, true));
    assert!(tenant.rename_segment(&segment.id, "Renamed"));
    assert_eq!(tenant.member_count(&segment.id), Some(members + 1));
    assert!(
        asker
            .ids(&segment.id, &[("count", "500")])
            .await
            .contains(&outside.id)
    );
    let path = format!("/profiles/{}", outside.id);
    let body = asker
        .json(
            &path,
            &[("expand", "profile.segments"), ("profileProperty", "visits")],
        )
        .await;
    let listed = body["segments"].as_array().unwrap();
    assert!(
        listed
            .iter()
            .any(|one| one["id"] == segment.id.as_str() && one["name"] == "Renamed")
    );
    assert!(tenant.set_property(outside.position, "plan", Some(&["gold", "silver"])));
    assert!(tenant.set_property(outside.position, "visits", None));
    let truth = tenant.profile(outside.position).unwrap();
    assert_eq!(
        (truth.modified_at, truth.values("visits")),
        (outside.modified_at, None)
    );
    assert_eq!(
        read(&asker.json(&path, &[]).await, outside.position).values("plan"),
        truth.values("plan")
    );
    assert!(tenant.delete(outside.position));
    assert!(!tenant.delete(outside.position), "it is gone");
    assert_eq!(asker.status(&path, &[]).await, 404);
    assert_eq!(asker.ids("allvisitors", &[("count", "500")]).await.len(), 499);
    assert!(tenant.restore(outside.position));
    assert_eq!(tenant.profile(outside.position), Some(truth));
    assert!(tenant.remove_segment(&segment.id));
    assert_eq!(
        asker
            .status(&format!("/segments/{}/profiles", segment.id), &[])
            .await,
        404
    );
    assert!(
        tenant
            .profiles()
            .all(|profile| !profile.segment_ids.contains(&segment.id))
    );
    assert!(tenant.remove_property("email"));
    let properties = asker.json("/profileProperties", &[("count", "1000")]).await;
    assert_eq!(properties["totalResults"], 39);
}

#[tokio::test]
async fn merges_show_at_the_winner_and_by_the_losers_id() {
    for lookup in [
        MergedLookup::ReplacedBy,
        MergedLookup::Survivor,
        MergedLookup::NotFound,
    ] {
        let asker = Asker::new(Settings {
            merged_lookup: lookup,
            merged_per_thousand: 100,
            ..fixed()
        })
        .await;
        let tenant = &asker.tenant;
        assert!(tenant.merge(10, 20));
        assert!(!tenant.merge(10, 30), "it is merged already");
        let (loser, winner) = (tenant.id(10), tenant.id(20));
        let made = tenant
            .profiles()
            .find(|profile| !profile.replaces.is_empty() && profile.id != winner)
            .unwrap();
        let aliases = tenant.aliases();
        assert!(aliases.contains(&(loser.clone(), winner.clone())) && aliases.len() > 50);
        let listed = asker
            .walk(
                "allvisitors",
                &[("expand", "profiles.profile.replace"), ("count", "1000")],
            )
            .await;
        let listed = elements(&listed[0]);
        assert!(listed.iter().all(|profile| profile["id"] != loser.as_str()));
        let found = listed
            .iter()
            .find(|profile| profile["id"] == winner.as_str())
            .unwrap();
        assert!(
            found["replaces"]
                .as_array()
                .unwrap()
                .contains(&Value::from(loser.clone()))
        );
        for (loser, winner) in [(loser, winner), (made.replaces[0].clone(), made.id.clone())] {
            let answer = asker.ask(&format!("/profiles/{loser}"), &[]).await;
            match lookup {
                MergedLookup::NotFound => assert_eq!(answer.status(), 404),
                MergedLookup::Survivor => assert_eq!(body(answer).await["id"], winner),
                MergedLookup::ReplacedBy => {
                    let expected = serde_json::json!({"id": loser, "replacedBy": winner});
                    assert_eq!(body(answer).await, expected);
                }
            }
        }
    }
}

#[tokio::test]
async fn listings_go_wrong_as_ordered() {
    let asker = Asker::new(Settings {
        profiles: 50,
        ..fixed()
    })
    .await;
    let tenant = &asker.tenant;
    tenant.insert_raw(5, r#"{"id":7,"properties":"none"}"#);
    tenant.repeat(1, 40);
    tenant.skip(9);
    let pages = asker.walk("allvisitors", &[("count", "30")]).await;
    assert!(pages.iter().all(|page| page["totalResults"] == 50));
    let listed: Vec<Value> = pages
        .iter()
        .flat_map(|page| elements(page))
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(listed.len(), 51);
    assert_eq!(listed[5], 7);
    assert_eq!(
        listed.iter().filter(|id| **id == tenant.id(1).as_str()).count(),
        2
    );
    assert!(!listed.contains(&tenant.id(9).into()));
    assert_eq!(
        asker.status(&format!("/profiles/{}", tenant.id(9)), &[]).await,
        200
    );
    tenant.list_truly();
    assert_eq!(asker.ids("allvisitors", &[]).await.len(), 50);
}

#[tokio::test]
async fn a_raw_element_may_be_no_json_at_all() {
    let asker = Asker::new(Settings {
        profiles: 3,
        ..fixed()
    })
    .await;
    asker.tenant.insert_raw(0, &b"{\"id\":\"\xff"[..]);
    let body = asker
        .ask("/segments/allvisitors/profiles", &[])
        .await
        .bytes()
        .await
        .unwrap();
    assert!(
        body.windows(9).any(|window| window == b"[{\"id\":\"\xff"),
        "first in the array"
    );
    assert!(serde_json::from_slice::<Value>(&body).is_err());
}

#[tokio::test]
async fn audit_events_come_in_the_order_of_the_setting() {
    for order in [
        AuditOrder::OldestFirst,
        AuditOrder::NewestFirst,
        AuditOrder::Shuffled,
    ] {
        let asker = Asker::new(Settings {
            audit_order: order,
            ..fixed()
        })
        .await;
        let truth: Vec<i64> = asker
            .tenant
            .audit_events()
            .iter()
            .map(|event| event.date)
            .collect();
        let all = asker.events(&[("count", "1000")]).await;
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, truth);
        let from = truth[100];
        let later: Vec<i64> = truth.iter().copied().filter(|date| *date > from).collect();
        let page = asker.events(&[("fromDate", &iso(from)), ("count", "50")]).await;
        let mut newest = later[later.len() - 50..].to_vec();
        match order {
            AuditOrder::OldestFirst => assert_eq!(page, later[..50]),
            AuditOrder::NewestFirst => {
                newest.reverse();
                assert_eq!(page, newest);
            }
            AuditOrder::Shuffled => {
                assert!(!page.is_sorted() && !page.iter().rev().is_sorted());
                let mut page = page;
                page.sort_unstable();
                assert_eq!(page, newest);
            }
        }
        assert_eq!(asker.events(&[]).await.len(), 100);
    }
}

#[tokio::test]
async fn audit_events_are_as_awkward_as_the_document_allows() {
    let asker = Asker::new(Settings {
        audit_events: 5_000,
        audit_order: AuditOrder::OldestFirst,
        ..fixed()
    })
    .await;
    let truth = asker.tenant.audit_events();
    assert!(
        truth.windows(2).any(|pair| pair[0] == pair[1]),
        "equal in every field"
    );
    assert!(
        truth
            .windows(2)
            .any(|pair| pair[0] != pair[1] && pair[0].date == pair[1].date),
        "ties"
    );
    assert!(
        truth
            .iter()
            .any(|event| event.objects.as_ref().is_some_and(Vec::is_empty))
    );
    assert!(
        truth
            .iter()
            .any(|event| event.objects.is_none() && event.user_name.is_some())
    );
    assert!(truth.iter().any(|event| event.object_type == "AGENT_2027"));
    let body = asker.json("/auditEvents", &[("count", "1000")]).await;
    let listed = body["auditEvents"].as_array().unwrap();
    assert!(listed.iter().any(|event| event.get("username").is_some()));
    assert!(listed.iter().any(|event| event.get("userName").is_some()));
    for (event, truth) in listed.iter().zip(&truth) {
        let user = event.get("username").or_else(|| event.get("userName")).map(text);
        assert_eq!(
            (user, text(&event["operation"])),
            (truth.user_name.clone(), truth.operation.clone())
        );
    }
    asker.tenant.advance(Duration::from_hours(24 * 10));
    let mut asker = asker;
    asker.renew().await;
    let oldest = asker.events(&[("count", "1")]).await[0];
    assert!(
        oldest > asker.tenant.now() - 30 * 86_400_000,
        "older ones are forgotten"
    );
    let event = AuditEvent {
        date: asker.tenant.now(),
        ..truth[0].clone()
    };
    asker.tenant.push_audit_events([event.clone()]);
    assert_eq!(
        asker.events(&[("fromDate", &iso(event.date - 1))]).await,
        [event.date]
    );
    assert!(
        asker.events(&[("fromDate", &iso(event.date))]).await.is_empty(),
        "`fromDate` is exclusive"
    );
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
async fn tokens_are_given_as_rfc_6749_has_it() {
    let asker = Asker::new(fixed()).await;
    let ask = async |fields: &[(&str, &str)]| {
        let answer = asker.post("/oauth/token").form(fields).send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            body(answer).await["error"]
                .as_str()
                .unwrap_or("none")
                .to_owned(),
        )
    };
    let (id, secret) = (
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    );
    let grant = ("grant_type", "client_credentials");
    assert_eq!(ask(&[grant, id, secret]).await, (200, "none".into()));
    assert_eq!(
        ask(&[grant, id, secret, ("scope", "read:segments")]).await,
        (200, "none".into())
    );
    assert_eq!(
        ask(&[grant, id, secret, ("scope", "write:all")]).await,
        (400, "invalid_scope".into())
    );
    assert_eq!(
        ask(&[grant, id, ("client_secret", "wrong")]).await,
        (401, "invalid_client".into())
    );
    assert_eq!(ask(&[grant, id]).await, (400, "invalid_request".into()));
    assert_eq!(ask(&[id, secret]).await, (400, "invalid_request".into()));
    assert_eq!(
        ask(&[grant, grant, id, secret]).await,
        (400, "invalid_request".into())
    );
    assert_eq!(
        ask(&[("grant_type", "password"), id, secret]).await,
        (400, "unsupported_grant_type".into())
    );
    let basic = asker
        .post("/oauth/token")
        .basic_auth(id.1, Some(secret.1))
        .form(&[grant])
        .send()
        .await
        .unwrap();
    assert_eq!(basic.status(), 200);
    let json = asker.post("/oauth/token").header("content-type", "application/json").body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(json.status(), 400);
    asker.tenant.switch_application(false);
    assert_eq!(ask(&[grant, id, secret]).await, (401, "invalid_client".into()));
    asker.tenant.switch_application(true);
    asker.tenant.rotate_secret("new");
    assert_eq!(ask(&[grant, id, secret]).await, (401, "invalid_client".into()));
    assert_eq!(
        ask(&[grant, id, ("client_secret", "new")]).await,
        (200, "none".into())
    );
    assert_eq!(asker.tenant.requests().count(Route::Token), 14);
}

#[tokio::test]
async fn tokens_die_in_four_ways() {
    let mut asker = Asker::new(fixed()).await;
    assert_eq!(asker.status("/segments", &[]).await, 200);
    asker.tenant.advance(Duration::from_mins(61));
    assert_eq!(asker.status("/segments", &[]).await, 401);
    asker.renew().await;
    asker.tenant.revoke_tokens();
    assert_eq!(asker.status("/segments", &[]).await, 401);
    asker.renew().await;
    let form = [
        ("token", asker.token.as_str()),
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    ];
    for _ in 0..2 {
        assert_eq!(
            asker
                .post("/oauth/revoke")
                .form(&form)
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
    }
    assert_eq!(asker.status("/segments", &[]).await, 401);
    asker.renew().await;
    asker.tenant.switch_application(false);
    assert_eq!(asker.status("/segments", &[]).await, 401);
    assert_eq!(
        asker
            .client
            .get(asker.address("/segments"))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
}

#[tokio::test]
async fn a_missing_scope_denies_its_resource_alone() {
    let asker = Asker::new(Settings {
        scopes: vec!["read:segments".into()],
        ..fixed()
    })
    .await;
    assert_eq!(asker.status("/segments/allvisitors/profiles", &[]).await, 200);
    let profile = format!("/profiles/{}", asker.tenant.id(0));
    for path in [profile.as_str(), "/profileProperties", "/auditEvents"] {
        assert_eq!(asker.status(path, &[]).await, 403, "{path}");
    }
    let other = Asker::new(Settings {
        scopes: Vec::new(),
        missing_scope: 401,
        ..fixed()
    })
    .await;
    assert_eq!(other.status("/segments", &[]).await, 401);
}

#[tokio::test]
async fn statuses_come_as_ordered() {
    let asker = Asker::new(fixed()).await;
    let faults = asker.tenant.faults();
    let status = |status, retry_after| Kind::Status { status, retry_after };
    let busy = faults.push(Fault {
        limit: Some(2),
        ..Fault::at(
            Route::Segments,
            When::Always,
            status(503, Some(RetryAfter::Seconds(7))),
        )
    });
    for _ in 0..2 {
        let answer = asker.ask("/segments", &[]).await;
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["retry-after"].to_str().unwrap()
            ),
            (503, "7")
        );
    }
    assert_eq!(asker.status("/segments", &[]).await, 200);
    assert_eq!(faults.given_of(busy), 2);
    faults.push(Fault::at(
        Route::AuditEvents,
        When::Request(2),
        status(429, Some(RetryAfter::Date(Duration::from_secs(30)))),
    ));
    assert_eq!(asker.status("/auditEvents", &[]).await, 200);
    let answer = asker.ask("/auditEvents", &[]).await;
    let header = |name: &str| httpdate::parse_http_date(answer.headers()[name].to_str().unwrap()).unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(
        header("retry-after").duration_since(header("date")).unwrap(),
        Duration::from_secs(30)
    );
    faults.push(Fault::at(Route::ProfileProperties, When::Always, Kind::Html));
    let answer = asker.ask("/profileProperties", &[]).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("<html>"));
    faults.push(Fault::at(Route::Profile, When::Always, Kind::Empty));
    let answer = asker.ask(&format!("/profiles/{}", asker.tenant.id(0)), &[]).await;
    assert_eq!(
        (answer.status().as_u16(), answer.bytes().await.unwrap().len()),
        (200, 0)
    );
    faults.push(Fault {
        limit: Some(1),
        ..Fault::at(Route::Profiles, When::Always, Kind::TokensDie)
    });
    assert_eq!(asker.status("/segments/allvisitors/profiles", &[]).await, 401);
    assert_eq!(faults.given(), 6);
}

#[tokio::test]
async fn a_body_is_cut_at_the_byte_and_only_there() {
    let asker = Asker::new(Settings {
        profiles: 2_000,
        ..fixed()
    })
    .await;
    let path = "/segments/allvisitors/profiles";
    let whole = asker.ask(path, &[("count", "2000")]).await.bytes().await.unwrap();
    for (after, kind) in [
        (300_001, Kind::CutAfter(300_001)),
        (0, Kind::CutAfter(0)),
        (70_000, Kind::EndAfter(70_000)),
    ] {
        let ends = matches!(kind, Kind::EndAfter(_));
        asker.tenant.faults().clear();
        asker
            .tenant
            .faults()
            .push(Fault::at(Route::Profiles, When::Page(1), kind));
        let mut answer = asker.ask(path, &[("count", "2000")]).await;
        assert_eq!(answer.status(), 200);
        let mut bytes = Vec::new();
        let end = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(end.is_ok(), ends);
        assert_eq!(bytes.len(), after);
        assert_eq!(bytes, whole[..after]);
    }
}

#[tokio::test]
async fn connections_are_reset_before_any_header() {
    let asker = Asker::new(fixed()).await;
    asker.tenant.faults().push(Fault {
        limit: Some(1),
        ..Fault::at(Route::Segments, When::Always, Kind::Reset)
    });
    let error = asker.get("/segments", &[]).send().await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_status(), "{error:?}");
    assert_eq!(asker.status("/segments", &[]).await, 200);
    let log = asker.tenant.requests().of(Route::Segments);
    assert_eq!(
        log.iter().map(|request| request.status).collect::<Vec<_>>(),
        [None, Some(200)]
    );
}

#[tokio::test]
async fn slow_bodies_take_their_time() {
    let asker = Asker::new(fixed()).await;
    let faults = asker.tenant.faults();
    let whole = asker.ask("/segments", &[]).await.bytes().await.unwrap();
    let half_a_second = whole.len() as u64 * 2;
    faults.push(Fault::at(
        Route::Segments,
        When::Request(1),
        Kind::Slow {
            bytes_per_second: half_a_second,
        },
    ));
    let pause = Duration::from_millis(300);
    faults.push(Fault::at(
        Route::Segments,
        When::Request(2),
        Kind::Stall { after: 100, pause },
    ));
    faults.push(Fault::at(Route::Segments, When::Request(3), Kind::Delay(pause)));
    for least in [400, 300, 300] {
        let begun = Instant::now();
        assert_eq!(asker.ask("/segments", &[]).await.bytes().await.unwrap(), whole);
        assert!(
            begun.elapsed() >= Duration::from_millis(least),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn the_date_header_is_true_absent_or_off() {
    for (setting, expected) in [
        (DateHeader::True, Some(0)),
        (DateHeader::Off(-3600), Some(-3600)),
        (DateHeader::Absent, None),
    ] {
        let asker = Asker::new(Settings {
            date_header: setting,
            ..fixed()
        })
        .await;
        for path in ["/segments", "/segments/allvisitors/profiles", "/nothing"] {
            let answer = asker.ask(path, &[]).await;
            let date = answer
                .headers()
                .get("date")
                .map(|date| httpdate::parse_http_date(date.to_str().unwrap()).unwrap());
            let off = date.map(|date| DateTime::<Utc>::from(date).timestamp() - asker.tenant.now() / 1000);
            match (off, expected) {
                (Some(off), Some(expected)) => assert!((expected - 2..=expected).contains(&off), "{off}"),
                (off, expected) => assert_eq!(off, expected),
            }
        }
    }
}

#[tokio::test]
async fn bodies_are_compressed_only_for_those_who_accept_it() {
    let asker = Asker::new(Settings {
        compress: true,
        ..fixed()
    })
    .await;
    let path = "/segments/allvisitors/profiles";
    let query = [("count", "1000")];
    let plain = Client::builder()
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .build()
        .unwrap();
    let request = plain
        .get(asker.address(path))
        .query(&query)
        .bearer_auth(&asker.token);
    let uncompressed = request.send().await.unwrap().bytes().await.unwrap();
    let request = plain
        .get(asker.address(path))
        .query(&query)
        .bearer_auth(&asker.token);
    let answer = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert!(answer.bytes().await.unwrap().len() < uncompressed.len() / 2);
    let decoded = asker.ask(path, &query).await.bytes().await.unwrap();
    assert_eq!(decoded, uncompressed);
}

#[tokio::test]
async fn requests_are_logged_and_counted() {
    let asker = Asker::new(Settings {
        latency: Duration::from_millis(50),
        ..fixed()
    })
    .await;
    asker.tenant.requests().forget();
    let requests = (0..6).map(|_| asker.status("/segments", &[("count", "5")]));
    assert!(
        futures_util::future::join_all(requests)
            .await
            .iter()
            .all(|status| *status == 200)
    );
    let log = asker.tenant.requests();
    assert_eq!(
        (
            log.count(Route::Segments),
            log.most_at_once_of(Route::Segments),
            log.most_at_once()
        ),
        (6, 6, 6)
    );
    assert_eq!(log.most_at_once_of(Route::Profiles), 0);
    let first = &log.all()[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str()),
        ("GET", "/rest/v2/segments")
    );
    assert_eq!((first.query.as_str(), first.status), ("count=5", Some(200)));
}

#[tokio::test]
async fn a_tenant_that_stops_drops_its_connections() {
    let asker = Asker::new(fixed()).await;
    let address = asker.tenant.address();
    let stall = Kind::Stall {
        after: 10,
        pause: Duration::from_hours(1),
    };
    asker
        .tenant
        .faults()
        .push(Fault::at(Route::Segments, When::Always, stall));
    let answer = asker.ask("/segments", &[]).await;
    asker.tenant.stop().await;
    assert!(answer.bytes().await.is_err(), "the body never ended");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
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
