//! What a look-up by id says of a profile, column by column. A look-up brings less than a listing (no permissions, no
//! merges), so that a column which it does not name must keep its value and not become empty.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::profile_row::{self, Seeds};

/// Which of the columns a look-up brought.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brought<'a> {
    #[serde(borrow)]
    privacy_legislation: Option<&'a RawValue>,
    #[serde(borrow)]
    consented_objectives: Option<&'a RawValue>,
    #[serde(borrow)]
    refused_objectives: Option<&'a RawValue>,
    #[serde(borrow)]
    permissions: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    segments: Option<&'a RawValue>,
}

/// The columns as a JSON object; empty where the profile cannot be decoded or does not say when it was modified, since
/// then nothing tells whether it is newer.
pub(super) fn columns(element: &[u8], wanted: Option<&HashSet<String>>) -> Bytes {
    let decoded = profile_row::decode(element, wanted, &mut Fields::default(), Seeds(0));
    let (Ok(profile), Ok(brought)) = (decoded, serde_json::from_slice::<Brought<'_>>(element)) else {
        return Bytes::new();
    };
    let Some(modified_at) = profile.modified_at else {
        return Bytes::new();
    };
    let mut columns = Map::from_iter([("modified_at".to_owned(), json!(modified_at))]);
    let mut put = |name: &str, is_there: bool, value: Value| {
        if is_there {
            columns.insert(name.to_owned(), value);
        }
    };
    let created_at = profile.created_at;
    put("created_at", created_at.is_some(), json!(created_at));
    let legislation = brought.privacy_legislation.is_some();
    put(
        "privacy_legislation",
        legislation,
        json!(profile.privacy_legislation),
    );
    let level = brought.permissions.is_some();
    put("permission_level", level, json!(profile.permission_level));
    let consented = brought.consented_objectives.is_some();
    put(
        "consented_objectives",
        consented,
        json!(profile.consented_objectives),
    );
    let refused = brought.refused_objectives.is_some();
    put("refused_objectives", refused, json!(profile.refused_objectives));
    put(
        "segment_ids",
        brought.segments.is_some(),
        json!(profile.segment_ids),
    );
    let properties = profile.properties_as_json();
    let properties = serde_json::from_slice(&properties).unwrap_or_default();
    put("properties", brought.properties.is_some(), properties);
    Bytes::from(Value::Object(columns).to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    fn columns_of(json: &str) -> Value {
        serde_json::from_slice(&columns(json.as_bytes(), None)).unwrap()
    }

    #[test]
    fn only_what_came_is_a_column() {
        let found = columns_of(
            r#"{"id":"p","consentedObjectives":["b","a"],"properties":[{"id":"lastmodifieddate","values":["1700000000000"]},
            {"id":"name","values":["x\u0000"]}],"segments":[{"id":"s2"},{"id":"s1"}]}"#,
        );
        assert_eq!(
            found,
            json!({
                "modified_at": "2023-11-14T22:13:20Z",
                "consented_objectives": ["a", "b"],
                "segment_ids": ["s1", "s2"],
                "properties": {"lastmodifieddate": ["1700000000000"], "name": ["x\u{fffd}"]},
            })
        );
    }

    #[test]
    fn without_a_date_nothing_is_newer() {
        for element in [
            r#"{"id":"p","segments":[]}"#,
            r#"{"id":"p","properties":7}"#,
            "<html>",
        ] {
            assert!(columns(element.as_bytes(), None).is_empty(), "{element}");
        }
    }

    #[test]
    fn properties_that_are_not_stored_are_left_out() {
        let wanted = HashSet::from(["name".to_owned()]);
        let element = br#"{"id":"p","properties":[{"id":"lastmodifieddate","values":["0"]},{"id":"name","values":[]}]}"#;
        let found: Value = serde_json::from_slice(&columns(element, Some(&wanted))).unwrap();
        assert_eq!(found["properties"], json!({ "name": [] }));
    }
}
