//! Converts one profile from JSON to a row of `blueconic.profiles`, in PostgreSQL's binary form: borrowed and typed, with the
//! values of properties unparsed.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use bench::Outcome;

/// The columns that are written, in order; `synced_at` is written by the merge.
pub(crate) const COLUMNS: &str = "id, created_at, modified_at, privacy_legislation, permission_level, \
     consented_objectives, refused_objectives, segment_ids, properties, source_hash, content_hash";
/// The number of these columns.
const COUNT: i16 = 11;
/// 2000-01-01 in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;
/// The type of an array's elements: `text`.
const TEXT: i32 = 25;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    creation_date: Option<&'a str>,
    #[serde(borrow)]
    privacy_legislation: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    consented_objectives: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    refused_objectives: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    permissions: Option<Permissions<'a>>,
    #[serde(borrow, default)]
    properties: Vec<Property<'a>>,
    #[serde(borrow, default)]
    segments: Vec<Segment<'a>>,
}

#[derive(Deserialize)]
struct Permissions<'a> {
    #[serde(borrow)]
    level: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Property<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
struct Segment<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Appends the row of an element.
pub(crate) fn write_row(element: &str, source: &[u8; 16], into: &mut Vec<u8>) -> Outcome<()> {
    let mut profile: Profile<'_> = serde_json::from_str(element)?;
    let created = match profile.creation_date {
        Some(date) => Some(
            DateTime::parse_from_rfc3339(date)?
                .with_timezone(&Utc)
                .timestamp_micros(),
        ),
        None => profile.date("\"creationdate\"")?,
    };
    let modified = profile.date("\"lastmodifieddate\"")?;
    let start = into.len();
    into.extend_from_slice(&COUNT.to_be_bytes());
    field(profile.id.as_bytes(), into);
    timestamp(created, into);
    timestamp(modified, into);
    text(profile.privacy_legislation.as_deref(), into);
    text(
        profile
            .permissions
            .and_then(|permissions| permissions.level)
            .as_deref(),
        into,
    );
    texts(&mut profile.consented_objectives, into);
    texts(&mut profile.refused_objectives, into);
    let mut segments: Vec<_> = profile.segments.into_iter().map(|segment| segment.id).collect();
    texts(&mut segments, into);
    // In the order of jsonb's keys: PostgreSQL sorts them, which is faster for sorted keys.
    profile.properties.sort_unstable_by_key(|property| {
        let id = property.id.get();
        (id.len(), id)
    });
    properties(&profile.properties, into);
    field(source, into);
    let content = xxh3_128(&into[start..]).to_be_bytes();
    field(&content, into);
    Ok(())
}

impl Profile<'_> {
    /// Microseconds since 1970, of a property that holds milliseconds as a text; `id` with its quotes.
    fn date(&self, id: &str) -> Outcome<Option<i64>> {
        let property = self.properties.iter().find(|property| property.id.get() == id);
        let Some(text) = property.map(|property| property.values.get().trim_matches(['[', ']', '"'])) else {
            return Ok(None);
        };
        Ok(Some(text.parse::<i64>()? * 1000))
    }
}

fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}

fn field(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&length(bytes.len()));
    into.extend_from_slice(bytes);
}

fn null(into: &mut Vec<u8>) {
    into.extend_from_slice(&(-1_i32).to_be_bytes());
}

fn text(value: Option<&str>, into: &mut Vec<u8>) {
    match value {
        Some(value) => field(value.as_bytes(), into),
        None => null(into),
    }
}

fn timestamp(micros: Option<i64>, into: &mut Vec<u8>) {
    match micros {
        Some(micros) => field(&(micros - EPOCH).to_be_bytes(), into),
        None => null(into),
    }
}

/// A field whose length is written after its content.
fn measured(into: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = into.len();
    into.extend_from_slice(&[0; 4]);
    write(into);
    let size = length(into.len() - start - 4);
    into[start..start + 4].copy_from_slice(&size);
}

/// A sorted set.
fn texts(values: &mut Vec<Cow<'_, str>>, into: &mut Vec<u8>) {
    values.sort_unstable();
    values.dedup();
    measured(into, |into| {
        for number in [i32::from(!values.is_empty()), 0, TEXT] {
            into.extend_from_slice(&number.to_be_bytes());
        }
        if !values.is_empty() {
            into.extend_from_slice(&length(values.len()));
            into.extend_from_slice(&1_i32.to_be_bytes());
        }
        for value in values.iter() {
            field(value.as_bytes(), into);
        }
    });
}

fn properties(properties: &[Property<'_>], into: &mut Vec<u8>) {
    measured(into, |into| {
        into.extend_from_slice(b"\x01{");
        for (place, property) in properties.iter().enumerate() {
            if place > 0 {
                into.push(b',');
            }
            into.extend_from_slice(property.id.get().as_bytes());
            into.push(b':');
            into.extend_from_slice(property.values.get().as_bytes());
        }
        into.push(b'}');
    });
}
