//! Reads bodies as far as a probe needs them: tolerantly, since what is asked is how a tenant answers.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Time;

use super::requests::MODIFIED;

/// A page of profiles.
#[derive(Debug, Default)]
pub(super) struct ProfilesPage {
    /// The profiles.
    pub(super) profiles: Vec<Profile>,
    /// The ids of all properties that came.
    pub(super) properties: BTreeSet<String>,
    /// `nextCursor`.
    next: Option<String>,
    /// `totalResults`.
    pub(super) total: Option<u64>,
}

/// A profile.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// Its id.
    pub(super) id: String,
    /// When it was last changed.
    pub(super) modified: Option<Time>,
    /// The ids that were merged into it.
    pub(super) replaces: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage<'a> {
    #[serde(borrow)]
    profiles: Vec<RawProfile<'a>>,
    next_cursor: Option<Value>,
    total_results: Option<Value>,
}

#[derive(Deserialize)]
struct RawProfile<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    properties: Option<Vec<RawProperty<'a>>>,
    replaces: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct RawProperty<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
}

/// A number, or a number as text.
fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The first value, as milliseconds since 1970.
fn milliseconds(values: &RawValue) -> Option<Time> {
    let values: Vec<Value> = serde_json::from_str(values.get()).ok()?;
    let text = values.first()?;
    let milliseconds = text.as_i64().or_else(|| text.as_str()?.parse().ok())?;
    Time::from_timestamp_millis(milliseconds)
}

impl ProfilesPage {
    /// Reads a body; none if it is no page of profiles.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let raw: RawPage<'_> = serde_json::from_slice(body).ok()?;
        let mut page = Self {
            next: raw
                .next_cursor
                .as_ref()
                .and_then(Value::as_str)
                .map(str::to_owned),
            total: number(raw.total_results.as_ref()),
            ..Self::default()
        };
        for profile in raw.profiles {
            let mut modified = None;
            for property in profile.properties.into_iter().flatten() {
                let Some(id) = property.id else { continue };
                if id == MODIFIED {
                    modified = property.values.and_then(milliseconds);
                }
                if !page.properties.contains(&*id) {
                    page.properties.insert(id.into_owned());
                }
            }
            let replaces = profile.replaces.into_iter().flatten();
            page.profiles.push(Profile {
                id: profile.id.unwrap_or_default().into_owned(),
                modified,
                replaces: replaces.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            });
        }
        Some(page)
    }

    /// The cursor of the next page, if there is one after the page of the cursor `sent`.
    pub(super) fn next_after(&self, sent: &str) -> Option<&str> {
        let next = self.next.as_deref();
        next.filter(|next| !next.is_empty() && *next != sent)
    }

    /// How many profiles it holds.
    pub(super) fn len(&self) -> u64 {
        self.profiles.len() as u64
    }

    /// A number that two pages with the same profiles in the same order have in common.
    pub(super) fn print(&self) -> u64 {
        let ids: Vec<&str> = self.profiles.iter().map(|profile| profile.id.as_str()).collect();
        xxh3_64(ids.join("\n").as_bytes())
    }
}

/// A number that stands for a profile in one state.
pub(super) fn print_of(profile: &Profile) -> u64 {
    let modified = profile.modified.map_or(0, |time| time.timestamp_millis());
    xxh3_64(format!("{}\n{modified}", profile.id).as_bytes())
}

/// The elements of a list.
pub(super) struct List {
    /// The elements.
    pub(super) elements: Vec<Value>,
    /// `totalResults`.
    pub(super) total: Option<u64>,
}

impl List {
    /// Reads a body whose array has one of these names; none if it has none of them.
    pub(super) fn read(body: &[u8], arrays: &[&str]) -> Option<Self> {
        let mut envelope: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
        let total = number(envelope.get("totalResults"));
        let array = arrays.iter().find_map(|name| envelope.remove(*name))?;
        match array {
            Value::Array(elements) => Some(Self { elements, total }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    #[test]
    fn a_page_is_read_however_it_is_spelled_and_anything_else_is_none() {
        let body = br#"{"totalResults":"7","nextCursor":"n","profiles":[
            {"id":"a\u0041","properties":[{"id":"lastmodifieddate","values":["1700000000000"]},{"id":"x"}],"replaces":["b"]},
            {"properties":null}]}"#;
        let page = ProfilesPage::read(body).unwrap();
        assert_eq!(
            (page.total, page.next_after("*"), page.len()),
            (Some(7), Some("n"), 2)
        );
        assert_eq!(page.next_after("n"), None, "the end, as some tenants tell it");
        assert_eq!(page.profiles[0].id, "aA");
        assert_eq!(page.profiles[0].replaces, ["b"]);
        let modified = page.profiles[0].modified.unwrap();
        assert_eq!(modified.timestamp_millis(), 1_700_000_000_000);
        assert_eq!(page.properties.len(), 2);
        assert!(ProfilesPage::read(b"{}").is_none());
        assert!(ProfilesPage::read(b"<html>").is_none());
        assert!(List::read(br#"{"segments":[]}"#, &["lists", "segments"]).is_some());
        assert!(List::read(br#"{"segments":{}}"#, &["segments"]).is_none());
    }
}
