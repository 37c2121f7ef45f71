//! Asks the tenant as any client could, and reads its answers in the terms of the truth.

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{self, Tenant};
use simulated_tenant::truth::{Profile, Property};

pub(crate) struct Asker {
    pub(crate) client: Client,
    pub(crate) tenant: Tenant,
    pub(crate) token: String,
}

pub(crate) fn fixed() -> Settings {
    Settings {
        now: Some("2026-08-15T12:00:00Z".parse().unwrap()),
        ..Settings::default()
    }
}

impl Asker {
    pub(crate) async fn new(settings: Settings) -> Self {
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

    pub(crate) async fn renew(&mut self) {
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

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}/rest/v2{path}", self.tenant.url())
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.address(path))
    }

    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.client
            .get(self.address(path))
            .query(query)
            .bearer_auth(&self.token)
    }

    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Response {
        self.get(path, query).send().await.unwrap()
    }

    pub(crate) async fn status(&self, path: &str, query: &[(&str, &str)]) -> u16 {
        self.ask(path, query).await.status().as_u16()
    }

    pub(crate) async fn json(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.ask(path, query).await;
        assert_eq!(answer.status(), 200, "{path} {query:?}");
        body(answer).await
    }

    /// All pages of a listing.
    pub(crate) async fn walk(&self, segment: &str, query: &[(&str, &str)]) -> Vec<Value> {
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

    pub(crate) async fn ids(&self, segment: &str, query: &[(&str, &str)]) -> Vec<String> {
        let pages = self.walk(segment, query).await;
        pages
            .iter()
            .flat_map(elements)
            .map(|profile| text(&profile["id"]))
            .collect()
    }

    pub(crate) async fn events(&self, query: &[(&str, &str)]) -> Vec<i64> {
        let body = self.json("/auditEvents", query).await;
        let events = body["auditEvents"].as_array().unwrap();
        events.iter().map(|event| milliseconds(&event["date"])).collect()
    }
}

pub(crate) async fn body(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

pub(crate) fn elements(page: &Value) -> &Vec<Value> {
    page["profiles"].as_array().unwrap()
}

pub(crate) fn milliseconds(value: &Value) -> i64 {
    DateTime::parse_from_rfc3339(&text(value))
        .unwrap()
        .timestamp_millis()
}

pub(crate) fn iso(milliseconds: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(milliseconds)
        .unwrap()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn modified_between(from: i64, to: i64) -> String {
    let (from, to) = (iso(from), iso(to));
    format!(r#"{{"property":"lastmodifieddate","operator":"IN_RANGE","fromDate":"{from}","toDate":"{to}"}}"#)
}

pub(crate) const EVERYTHING: [(&str, &str); 4] = [
    ("expand", "profiles.profile.segments"),
    ("expand", "profiles.profile.permissions"),
    ("expand", "profiles.profile.replace"),
    ("expand", "profiles.profile.timeline"),
];

/// A profile as the answer has it, in the terms of the truth; the order of lists is not compared.
pub(crate) fn read(element: &Value, position: u64) -> Profile {
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

pub(crate) fn property(value: &Value) -> Property {
    let values = value
        .get("values")
        .map(|values| values.as_array().unwrap().clone())
        .unwrap_or_default();
    Property {
        id: text(&value["id"]),
        values: values.iter().map(text).collect(),
    }
}

/// The truth in the same order-free form, without the timeline.
pub(crate) fn canonical(mut profile: Profile) -> Profile {
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
