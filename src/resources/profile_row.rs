//! How one profile becomes a row: properties as one JSON object, dates, sets of ids, and the hash over its meaning.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::model::Time;
use crate::model::batch::{Batch, Known};
use crate::model::table::{Column, ColumnKind, Merge, Table};

use super::dates;
use super::few::Few;
use super::fields::{Fields, Raw, Wrong, array, wrong};
use super::list::{self, LONGEST_ID, Problem};

/// The table of profiles.
pub(super) static TABLE: Table = Table {
    name: "profiles",
    columns: &[
        Column::new("id", ColumnKind::Text),
        Column::new("created_at", ColumnKind::Timestamptz),
        Column::new("modified_at", ColumnKind::Timestamptz),
        Column::new("privacy_legislation", ColumnKind::Text),
        Column::new("permission_level", ColumnKind::Text),
        Column::new("consented_objectives", ColumnKind::TextArray),
        Column::new("refused_objectives", ColumnKind::TextArray),
        Column::new("segment_ids", ColumnKind::TextArray),
        Column::new("properties", ColumnKind::Jsonb),
        Column::new("source_hash", ColumnKind::Bytea),
        Column::new("content_hash", ColumnKind::Bytea),
    ],
    key: &["id"],
    merge: Merge::Profile,
};

/// The seed of both hashes: the decoder's version and every setting that changes what is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeds(pub(super) u64);

/// `V` is how the values of a property are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a, V> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    creation_date: Raw<'a>,
    #[serde(borrow)]
    privacy_legislation: Raw<'a>,
    #[serde(borrow)]
    consented_objectives: Raw<'a>,
    #[serde(borrow)]
    refused_objectives: Raw<'a>,
    #[serde(borrow)]
    permissions: Option<Permissions<'a>>,
    #[serde(borrow)]
    properties: Option<Vec<RawProperty<'a, V>>>,
    #[serde(borrow)]
    segments: Raw<'a>,
    #[serde(borrow)]
    replaced_by: Raw<'a>,
    #[serde(borrow)]
    replaces: Raw<'a>,
}

#[derive(Deserialize)]
struct Permissions<'a> {
    #[serde(borrow)]
    level: Raw<'a>,
}

#[derive(Deserialize)]
struct RawProperty<'a, V> {
    #[serde(borrow)]
    id: Raw<'a>,
    values: Option<V>,
}

/// A property with its values, in the order in which they came; repeats of one id are united.
struct Property<'a> {
    id: Cow<'a, str>,
    values: Few<Value<'a>>,
}

/// One value, ready to be written as JSON.
enum Value<'a> {
    /// A JSON string that can be copied as it stands, quotes included.
    Verbatim(&'a str),
    /// A text that has to be escaped again.
    Text(String),
    /// A null that the tenant sent among the values.
    Null,
}

/// A decoded profile.
pub(super) struct Decoded<'a> {
    id: String,
    created_at: Option<Time>,
    modified_at: Option<Time>,
    privacy_legislation: Option<Cow<'a, str>>,
    permission_level: Option<Cow<'a, str>>,
    consented_objectives: Vec<Cow<'a, str>>,
    refused_objectives: Vec<Cow<'a, str>>,
    segment_ids: Vec<Cow<'a, str>>,
    properties: Vec<Property<'a>>,
    replaced_by: Option<String>,
    replaces: Vec<String>,
    seeds: Seeds,
}

/// Decodes a profile. `wanted` limits the properties that are stored; the dates are taken from all that came.
pub(super) fn decode<'a>(
    element: &'a [u8],
    wanted: Option<&HashSet<String>>,
    fields: &mut Fields,
    seeds: Seeds,
) -> Result<Decoded<'a>, Problem> {
    // As text, each part of it is known to be UTF-8; and the values are cut in the same pass. What does not fit is
    // read again loosely, which finds the words for what is wrong with it.
    let strict = std::str::from_utf8(element).ok();
    match strict.and_then(|text| serde_json::from_str::<Profile<'a, Few<&'a RawValue>>>(text).ok()) {
        Some(profile) => assemble(profile, wanted, fields, seeds),
        None => assemble(
            serde_json::from_slice::<Profile<'a, &'a RawValue>>(element)?,
            wanted,
            fields,
            seeds,
        ),
    }
}

fn assemble<'a, V: IntoValues<'a>>(
    profile: Profile<'a, V>,
    wanted: Option<&HashSet<String>>,
    fields: &mut Fields,
    seeds: Seeds,
) -> Result<Decoded<'a>, Problem> {
    let id = list::id_of(profile.id)?;
    let mut properties = properties_of(profile.properties.unwrap_or_default(), fields)?;
    let created = fields.text("creationDate", profile.creation_date)?;
    let created_at = created
        .as_deref()
        .and_then(dates::parse)
        .or_else(|| date_in(&properties, "creationdate"));
    let modified_at = date_in(&properties, "lastmodifieddate");
    if let Some(wanted) = wanted {
        properties.retain(|property| wanted.contains(property.id.as_ref()));
    }
    let level = profile.permissions.and_then(|permissions| permissions.level);
    Ok(Decoded {
        created_at,
        modified_at,
        privacy_legislation: fields.text("privacyLegislation", profile.privacy_legislation)?,
        permission_level: fields.text("permissions.level", level)?,
        consented_objectives: set_of(fields.texts("consentedObjectives", profile.consented_objectives)?),
        refused_objectives: set_of(fields.texts("refusedObjectives", profile.refused_objectives)?),
        segment_ids: segment_ids(fields, profile.segments)?,
        properties,
        replaced_by: one_id(fields, "replacedBy", profile.replaced_by)?.filter(|survivor| *survivor != id),
        replaces: ids(fields, "replaces", profile.replaces)?
            .into_iter()
            .filter(|loser| *loser != id)
            .collect(),
        id,
        seeds,
    })
}

/// The ids of the segments that a profile is in, as an ordered set. An entry is `{"id": …}` or the bare id.
pub(super) fn segment_ids<'a>(fields: &mut Fields, raw: Raw<'a>) -> Result<Vec<Cow<'a, str>>, Wrong> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let mut found = Vec::new();
    for entry in array("segments", raw)? {
        let id = match serde_json::from_str::<Identified<'a>>(entry.get()) {
            Ok(object) => object.id,
            Err(_) => Some(entry),
        };
        found.extend(fields.text("segments[].id", id)?);
    }
    if found.iter().any(|id| id.len() > LONGEST_ID) {
        return Err(Wrong(format!("a segment's id is longer than {LONGEST_ID} bytes")));
    }
    Ok(set_of(found))
}

/// An array of ids says which, not in which order: one order for all.
fn set_of(mut ids: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn one_id(fields: &mut Fields, name: &str, raw: Raw<'_>) -> Result<Option<String>, Wrong> {
    let id = fields.text(name, raw)?.filter(|id| !id.is_empty());
    match id {
        Some(id) if id.len() > LONGEST_ID => Err(wrong(name, "an id", &id)),
        id => Ok(id.map(Cow::into_owned)),
    }
}

fn ids(fields: &mut Fields, name: &str, raw: Raw<'_>) -> Result<Vec<String>, Wrong> {
    let mut found = Vec::new();
    for value in array(name, raw)? {
        found.extend(one_id(fields, name, Some(value))?);
    }
    Ok(found)
}

/// Reads the properties and unites the values of an id that comes more than once, in order.
fn properties_of<'a, V: IntoValues<'a>>(
    raw: Vec<RawProperty<'a, V>>,
    fields: &mut Fields,
) -> Result<Vec<Property<'a>>, Problem> {
    let mut properties: Vec<Property<'a>> = Vec::with_capacity(raw.len());
    for one in raw {
        let id = fields.text("properties[].id", one.id)?;
        let id = id.ok_or_else(|| Wrong("a property has no `id`".to_owned()))?;
        let values = match one.values {
            Some(values) => values.into_values()?.try_map(|value| value_of(value, fields))?,
            None => Few::None,
        };
        properties.push(Property { id, values });
    }
    unite(&mut properties);
    Ok(properties)
}

/// The values of a property as they were read.
trait IntoValues<'a> {
    fn into_values(self) -> Result<Few<&'a RawValue>, Wrong>;
}

impl<'a> IntoValues<'a> for Few<&'a RawValue> {
    fn into_values(self) -> Result<Self, Wrong> {
        Ok(self)
    }
}

impl<'a> IntoValues<'a> for &'a RawValue {
    fn into_values(self) -> Result<Few<&'a RawValue>, Wrong> {
        array("properties[].values", Some(self)).map(Few::from)
    }
}

fn value_of<'a>(raw: &'a RawValue, fields: &mut Fields) -> Result<Value<'a>, Wrong> {
    let json = raw.get();
    if json.starts_with('"') && !json.contains('\\') {
        return Ok(Value::Verbatim(json));
    }
    Ok(match fields.text("properties[].values[]", Some(raw))? {
        Some(text) => Value::Text(text.into_owned()),
        None => Value::Null,
    })
}

/// Orders by id and unites repeats; the sort is stable, so the values stay in the order in which they came.
fn unite(properties: &mut Vec<Property<'_>>) {
    properties.sort_by(|left, right| left.id.cmp(&right.id));
    properties.dedup_by(|later, kept| {
        let same = later.id == kept.id;
        if same {
            kept.values.append(std::mem::take(&mut later.values));
        }
        same
    });
}

fn date_in(properties: &[Property<'_>], id: &str) -> Option<Time> {
    let place = properties
        .binary_search_by(|property| property.id.as_ref().cmp(id))
        .ok()?;
    properties[place]
        .values
        .as_slice()
        .iter()
        .find_map(|value| match value {
            Value::Verbatim(json) => dates::parse(json.trim_matches('"')),
            Value::Text(text) => dates::parse(text),
            Value::Null => None,
        })
}

impl Decoded<'_> {
    /// Puts the profile into the batch: as a row, as a refreshed hash, or as the loser of a merge.
    pub(super) fn put(self, source: [u8; 16], known: Known, into: &mut Batch) {
        into.aliases
            .extend(self.replaces.iter().map(|loser| (loser.clone(), self.id.clone())));
        if let Some(survivor) = self.replaced_by {
            into.aliases.push((self.id, survivor));
            return;
        }
        let mut json = Vec::with_capacity(2048);
        self.write_properties(&mut json);
        let content = self.content_hash(&json);
        if known == (Known::Differs { content }) {
            into.tally.unchanged += 1;
            into.rehash.push((self.id, source));
            return;
        }
        into.rows
            .row(self.id.as_bytes(), self.modified_at, 11)
            .text(&self.id)
            .timestamp(self.created_at)
            .timestamp(self.modified_at)
            .text_or_null(self.privacy_legislation.as_deref())
            .text_or_null(self.permission_level.as_deref())
            .text_array(&self.consented_objectives)
            .text_array(&self.refused_objectives)
            .text_array(&self.segment_ids)
            .jsonb(&json)
            .bytea(&source)
            .bytea(&content);
    }

    /// The properties as one JSON object, in the order of their ids.
    fn write_properties(&self, json: &mut Vec<u8>) {
        json.push(b'{');
        for (place, property) in self.properties.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            write_text(&property.id, json);
            json.extend_from_slice(b":[");
            for (place, value) in property.values.as_slice().iter().enumerate() {
                if place > 0 {
                    json.push(b',');
                }
                match value {
                    Value::Verbatim(quoted) => json.extend_from_slice(quoted.as_bytes()),
                    Value::Text(text) => write_text(text, json),
                    Value::Null => json.extend_from_slice(b"null"),
                }
            }
            json.push(b']');
        }
        json.push(b'}');
    }

    /// A hash over the meaning: properties by id, sets in one order, each part with its length before it.
    fn content_hash(&self, json: &[u8]) -> [u8; 16] {
        let mut meaning = Vec::with_capacity(json.len() + 256);
        let mut part = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => {
                meaning.extend_from_slice(&(bytes.len() as u64 + 1).to_be_bytes());
                meaning.extend_from_slice(bytes);
            }
            None => meaning.extend_from_slice(&0_u64.to_be_bytes()),
        };
        for time in [self.created_at, self.modified_at] {
            part(
                time.map(|time| time.timestamp_micros().to_be_bytes())
                    .as_ref()
                    .map(|bytes| &bytes[..]),
            );
        }
        for text in [&self.privacy_legislation, &self.permission_level] {
            part(text.as_deref().map(str::as_bytes));
        }
        for set in [
            &self.consented_objectives,
            &self.refused_objectives,
            &self.segment_ids,
        ] {
            part(Some(&(set.len() as u64).to_be_bytes()));
            for id in set {
                part(Some(id.as_bytes()));
            }
        }
        part(Some(json));
        xxh3_128_with_seed(&meaning, self.seeds.0).to_be_bytes()
    }
}

/// Writes a text as a JSON string.
fn write_text(text: &str, json: &mut Vec<u8>) {
    if text
        .bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        // Writing a str into a Vec cannot fail.
        let _ = serde_json::to_writer(json, text);
    } else {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test says what it needs by panicking"
    )]

    use super::*;

    fn decoded(json: &str) -> Decoded<'_> {
        decode(json.as_bytes(), None, &mut Fields::default(), Seeds(1))
            .unwrap_or_else(|_| panic!("not decoded: {json}"))
    }

    fn properties(json: &str) -> String {
        let mut text = Vec::new();
        decoded(json).write_properties(&mut text);
        String::from_utf8(text).unwrap()
    }

    fn hash(json: &str) -> [u8; 16] {
        let decoded = decoded(json);
        let mut text = Vec::new();
        decoded.write_properties(&mut text);
        decoded.content_hash(&text)
    }

    #[test]
    fn values_are_kept_as_they_came() {
        let json = r#"{"id":"p","properties":[
            {"id":"z","values":["a\"b","\u0041\u0000",12,1.50,true,null,"üé"]},{"id":"e","values":[]},{"id":"n"}]}"#;
        assert_eq!(
            properties(json),
            "{\"e\":[],\"n\":[],\"z\":[\"a\\\"b\",\"A\u{fffd}\",\"12\",\"1.50\",\"true\",null,\"üé\"]}"
        );
    }

    #[test]
    fn a_repeated_property_has_its_values_united_in_order() {
        let json = r#"{"id":"p","properties":[{"id":"b","values":["2"]},{"id":"a","values":["x"]},
            {"id":"b","values":["1","2"]}]}"#;
        assert_eq!(properties(json), r#"{"a":["x"],"b":["2","1","2"]}"#);
    }

    #[test]
    fn the_content_hash_is_blind_to_order_and_spelling_and_sees_every_other_change() {
        let base = r#"{"id":"p","properties":[{"id":"a","values":["1","2"]},{"id":"b","values":["x"]}],
            "segments":[{"id":"s1"},{"id":"s2"}],"consentedObjectives":["o"],"permissions":{"level":"L"}}"#;
        let same = r#"{"permissions":{"level":"L"},"segments":[{"name":"n","id":"s2"},{"id":"s1"},{"id":"s1"}],
            "properties":[{"values":["x"],"id":"b"},{"id":"a","values":["\u0031","2"]}],"id":"p",
            "consentedObjectives":["o"],"refusedObjectives":[],"unknown":{"x":[1]}}"#;
        assert_eq!(hash(base), hash(same));
        for other in [
            base.replace(r#"["1","2"]"#, r#"["2","1"]"#),
            base.replace("\"x\"", "\"y\""),
            base.replace("s2", "s3"),
            base.replace("[\"o\"]", "[]"),
            base.replace("consented", "refused"),
            base.replace("\"L\"", "\"M\""),
        ] {
            assert_ne!(hash(base), hash(&other), "{other}");
        }
    }

    #[test]
    fn dates_come_from_their_field_or_their_property() {
        let profile = decoded(
            r#"{"id":"p","properties":[{"id":"lastmodifieddate","values":["1679913371990"]},
               {"id":"creationdate","values":["1"]}]}"#,
        );
        assert_eq!(profile.modified_at.unwrap().timestamp_millis(), 1_679_913_371_990);
        assert_eq!(profile.created_at.unwrap().timestamp_millis(), 1);
        let profile = decoded(r#"{"id":"p","creationDate":"1970-01-01T00:00:02Z"}"#);
        assert_eq!(profile.created_at.unwrap().timestamp_millis(), 2000);
    }

    #[test]
    fn a_loser_is_an_alias_and_no_row_and_a_winner_names_its_losers() {
        let mut batch = Batch::default();
        decoded(r#"{"id":"l","replacedBy":"w"}"#).put([0; 16], Known::Absent, &mut batch);
        decoded(r#"{"id":"w","replaces":["l","m"]}"#).put([0; 16], Known::Absent, &mut batch);
        let pair = |loser: &str, winner: &str| (loser.to_owned(), winner.to_owned());
        assert_eq!(batch.aliases, [pair("l", "w"), pair("l", "w"), pair("m", "w")]);
        assert_eq!(batch.rows.len(), 1);
    }

    #[test]
    fn wrong_shapes_are_told_apart() {
        let problem = |json: &str| match decode(json.as_bytes(), None, &mut Fields::default(), Seeds(1)) {
            Ok(_) => panic!("decoded: {json}"),
            Err(Problem::NoId) => "no id".to_owned(),
            Err(Problem::Shape(detail)) => detail,
        };
        assert_eq!(problem("{}"), "no id");
        assert_eq!(problem(r#"{"id":""}"#), "no id");
        assert!(problem(r#"{"id":"p","properties":"x"}"#).contains("sequence"));
        assert!(problem(r#"{"id":"p","properties":[{"id":"a","values":"x"}]}"#).contains("not a list"));
        assert!(problem(r#"{"id":"p","properties":[{"values":["x"]}]}"#).contains("no `id`"));
        assert!(problem(r#"{"id":"p","properties":[{"id":"a","values":[["x"]]}]}"#).contains("not a text"));
        assert!(problem(r#"{"id":"p","id":"q"}"#).contains("duplicate"));
    }
}
