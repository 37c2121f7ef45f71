//! The history of a profile's consent: `GET /profileEvents/{profileId}`, a request for each profile that changed.
//!
//! The vendor's document calls the values of an event `property` in its schema and `properties` in its example. Both are read.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::Time;
use crate::model::batch::{Batch, Fingerprint};
use crate::model::children::Parent;
use crate::model::description::{Description, Each, List, Named, Parents, Reading};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::history::{Answer, History};
use crate::model::sanitize;
use crate::model::table::Column;

use super::consent_tables::{ARRAY, EVENTS, HISTORY};
use super::fields::{Fields, RawField, array};
use super::identity::{LONGEST_ID, Problem, object};
use super::keyed_json::keyed;
use super::members::{members, members_counting};
use super::profile_row;

/// The description of consent histories.
pub(super) const DESCRIPTION: Description = Description {
    title: "Consent history",
    holds: "The profiles whose history of consent was read, one row each; the events are in consent_events. Empty unless resources.consent_history is on.",
    path: "/profileEvents/{parent}",
    arrays: &[ARRAY],
    oauth_scope: "read:profiles",
    table: &HISTORY,
    reading: Reading::List(List {
        enabled: false,
        schedule: "30 4 * * *",
        keeps: true,
        each: Some(Each {
            parents: Parents::Stored(&profile_row::TABLE),
            named: Named::InPath,
        }),
        history: Some(&Consent),
        ..List::PLAIN
    }),
};

/// The member with the values of an event, in the example of the vendor's document and in its schema.
pub(super) const VALUES: [&str; 2] = ["properties", "property"];
/// The members of an event.
const MEMBERS: [&str; 4] = ["date", "type", VALUES[0], VALUES[1]];

/// Reads the histories.
#[derive(Debug)]
struct Consent;

impl History for Consent {
    fn answer(&self, body: &[u8]) -> Outcome<Answer> {
        let (events, total) = parts(body).map_err(|problem| {
            Fault::new(Kind::Final, "a history of consent cannot be read").because(problem.said())
        })?;
        let Some(events) = events else {
            return Err(Fault::new(
                Kind::Final,
                format!("a history of consent has no array `{ARRAY}`"),
            )
            .hint("see what answers in the tenant's place, and whether the tenant has a newer release"));
        };
        Ok(Answer {
            items: events.len() as u64,
            total,
        })
    }

    fn decode(&self, profile: &Fingerprint, bodies: &[Bytes], into: &mut Batch) {
        let mut reading = OneReading::default();
        for events in pages(bodies) {
            for event in events {
                reading.take(event, &profile.id, into);
            }
        }
        into.rows
            .row(profile.id.as_bytes(), None, count(HISTORY.columns))
            .text(&profile.id)
            .bytea(&profile.source)
            .bigint(Some(reading.events))
            .bigint(Some(reading.not_stored))
            .text_or_null(reading.detail.as_deref());
        let children = into.children.hash();
        into.children.keep(Parent {
            id: profile.id.clone(),
            source: profile.source,
            content: [0; 16],
            children,
            differs: true,
            has_row: true,
            asked_at: None,
            modified_at: None,
        });
        into.read_counts.replaced_characters += reading.fields.replaced;
        into.unknown.merge(&reading.fields.unknown);
    }
}

/// The events of an answer, if it has the array, and how many there are in all.
fn parts(body: &[u8]) -> Result<(Option<Vec<&RawValue>>, Option<u64>), Problem> {
    object(body)?;
    let found = members(body, &[ARRAY, "totalResults"])?;
    let (events, total) = (found.first().copied().flatten(), found.get(1).copied().flatten());
    let events = events.map(|raw| array(ARRAY, Some(raw))).transpose()?;
    let total = Fields::default().integer("totalResults", total)?;
    Ok((events, total.and_then(|total| u64::try_from(total).ok())))
}

/// The events of each page. A page that is the same as an earlier one is left out: a tenant that ignores `startIndex` lists the same
/// events on each.
fn pages(bodies: &[Bytes]) -> Vec<Vec<&RawValue>> {
    let mut hashes = HashSet::new();
    let pages = bodies
        .iter()
        .filter_map(|body| parts(body).ok().and_then(|(events, _)| events));
    pages
        .filter(|events| {
            let texts: Vec<&str> = events.iter().map(|event| event.get()).collect();
            hashes.insert(xxh3_128(texts.join("\n").as_bytes()))
        })
        .collect()
}

/// The number of columns, as a row is told it.
fn count(columns: &[Column]) -> u16 {
    u16::try_from(columns.len()).unwrap_or(u16::MAX)
}

/// The reading of one history.
#[derive(Default)]
struct OneReading {
    fields: Fields,
    /// How many events have had the same date and type.
    ordinals: HashMap<(Time, String), i32>,
    events: i64,
    not_stored: i64,
    /// What is wrong with the first event that is not stored.
    detail: Option<String>,
}

impl OneReading {
    /// Adds the row of an event, or counts it as not stored.
    fn take(&mut self, event: &RawValue, profile: &str, into: &mut Batch) {
        self.events += 1;
        if let Err(problem) = self.row(event, profile, into) {
            self.not_stored += 1;
            self.detail
                .get_or_insert_with(|| sanitize::line(&problem.said()).into_owned());
        }
    }

    fn row(&mut self, event: &RawValue, profile: &str, into: &mut Batch) -> Result<(), Problem> {
        object(event.get().as_bytes())?;
        let found = members_counting(event.get().as_bytes(), &MEMBERS, &mut self.fields.unknown)?;
        let member = |place: usize| found.get(place).copied().flatten();
        let occurred_at = self.fields.date("date", member(0))?;
        let occurred_at = occurred_at.ok_or_else(|| missing("date"))?;
        let event_type = self.fields.text("type", member(1))?;
        let event_type = event_type.filter(|text| !text.is_empty());
        let event_type = event_type.ok_or_else(|| missing("type"))?.into_owned();
        if event_type.len() > LONGEST_ID {
            return Err(Problem::Shape(format!(
                "`type` is longer than {LONGEST_ID} bytes"
            )));
        }
        let raw = member(2).or_else(|| member(3));
        let properties = match raw {
            Some(raw) => Some(keyed(VALUES[0], raw, &mut self.fields)?),
            None => None,
        };
        let values = Values::of(raw)?;
        let ordinal = self
            .ordinals
            .entry((occurred_at, event_type.clone()))
            .or_default();
        let key = format!(
            "{}\u{1f}{event_type}\u{1f}{ordinal}",
            occurred_at.timestamp_micros()
        );
        let mut row = into.children.row(0, key.as_bytes(), count(EVENTS.columns));
        row.text(profile)
            .timestamp(Some(occurred_at))
            .text(&event_type)
            .int(Some(*ordinal));
        for id in ["FromLegislation", "ToLegislation", "FromLevel", "ToLevel"] {
            row.text_or_null(values.one(id));
        }
        for id in ["FromConsented", "ToConsented", "FromRefused", "ToRefused"] {
            match values.all(id) {
                Some(values) => row.text_array(values),
                None => row.null(),
            };
        }
        row.text_or_null(values.one("Source"));
        match properties {
            Some(json) => row.jsonb(json.as_bytes()),
            None => row.null(),
        };
        *ordinal += 1;
        Ok(())
    }
}

/// An event without a part of its key.
fn missing(member: &str) -> Problem {
    Problem::Shape(format!("an event has no `{member}`"))
}

/// The values of an event by their ids.
struct Values<'a>(HashMap<String, Vec<Cow<'a, str>>>);

impl<'a> Values<'a> {
    fn of(raw: RawField<'a>) -> Result<Self, Problem> {
        // The characters that are replaced are counted with the values as JSON.
        let mut fields = Fields::default();
        let mut values: HashMap<String, Vec<Cow<'a, str>>> = HashMap::new();
        for entry in array(VALUES[0], raw)? {
            object(entry.get().as_bytes())?;
            let found = members(entry.get().as_bytes(), &["id", "values"])?;
            let id = fields.text("id", found.first().copied().flatten())?;
            let some = fields.texts("values", found.get(1).copied().flatten())?;
            if let Some(id) = id {
                values.entry(id.into_owned()).or_default().extend(some);
            }
        }
        Ok(Self(values))
    }

    /// The first value of an id.
    fn one(&self, id: &str) -> Option<&str> {
        self.all(id)?.first().map(AsRef::as_ref)
    }

    /// The values of an id, if the event has it.
    fn all(&self, id: &str) -> Option<&[Cow<'a, str>]> {
        self.0.get(id).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
