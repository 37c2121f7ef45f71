//! Audit events: `GET /auditEvents`, read by date. Events have no id, so each gets a key over its content, and equal events
//! are numbered within their response.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::Time;
use crate::model::batch::{Batch, Reject};
use crate::model::description::{Description, Reading};
use crate::model::drift::{DriftKind, UnknownCounts};
use crate::model::event::{AlternateKeys, EventIdentity, EventKey, FormerKey, Rename};
use crate::model::page::{Broken, RejectReason, Request};
use crate::model::ports::{Clock, Feed, FeedDecoder, Resource};
use crate::model::table::{Column, ColumnKind, Merge, Table};

use super::audit_key::{self, FineDate, Values};
use super::audit_values;
use super::fields::{Fields, RawField, array};
use super::identity::{self, Problem};
use super::members::members_counting;
use super::reject;

/// The description of audit events.
pub(super) const DESCRIPTION: Description = Description {
    title: "Audit events",
    holds: "The tenant's audit log, one partition a month (UTC). Rows never change, except that an erased person leaves objects. Stretches that cannot be known are counted in freshness.open_gaps.",
    path: "/auditEvents",
    arrays: &["auditEvents"],
    oauth_scope: "read:audit-events",
    table: &TABLE,
    reading: Reading::Feed(()),
};
/// A field that the vendor spells in two ways, in its schema and in its example.
pub(super) const SPELLINGS: [&str; 2] = ["username", "userName"];
/// An event before this year is a reject: the product is younger.
const FIRST_YEAR: i32 = 2000;
/// How far ahead of our clock an event's date may lie.
const AHEAD: TimeDelta = TimeDelta::days(1);

static TABLE: Table = Table {
    name: "audit_events",
    columns: &[
        Column::new("occurred_at", ColumnKind::Timestamptz).from("date").comment("When it happened, to the microsecond where the tenant tells it so fine."),
        Column::new("event_key", ColumnKind::Bytea).comment("SHA-256 over the event, its date as fine as it came and a renamed value as it was before: the tenant gives events no id."),
        Column::new("occurrence", ColumnKind::Int).comment("0, 1, 2 … where the tenant has several events that are alike."),
        Column::new("user_name", ColumnKind::Text).from("username").comment("Who did it."),
        Column::new("application", ColumnKind::Text).from("application").comment("With which application."),
        Column::new("object_type", ColumnKind::Text).from("objectType").comment("On what kind of object, as the tenant called it when the event was first read."),
        Column::new("operation", ColumnKind::Text).from("operation").comment("What was done."),
        Column::new("ip_address", ColumnKind::Text).from("ipAddress").comment("From which address, as the tenant wrote it."),
        Column::new("objects", ColumnKind::Jsonb).from("objects").comment("The objects it was done on: an array of {id, name}, without persons who were erased."),
    ],
    key: &["event_key", "occurrence", "occurred_at"],
    merge: Merge::Occurrence,
    children: &[],
};

/// Audit events as a resource.
pub(super) struct AuditEvents {
    page_size: u32,
    clock: Arc<dyn Clock>,
}

impl AuditEvents {
    /// Audit events in pages of `page_size`; the clock shows which dates lie ahead.
    pub(super) fn new(page_size: u32, clock: Arc<dyn Clock>) -> Self {
        Self { page_size, clock }
    }

    fn since(from: Time, count: u32) -> Request {
        let from = from.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        Request {
            path: DESCRIPTION.path.to_owned(),
            query: vec![("fromDate", from), ("count", count.to_string())],
            arrays: DESCRIPTION.arrays,
            scope: DESCRIPTION.oauth_scope,
        }
    }
}

impl Resource for AuditEvents {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn trial_request(&self) -> Request {
        Self::since(self.clock.now() - TimeDelta::hours(1), 1)
    }

    fn broken(&self, broken: &Broken) -> Reject {
        reject::broken(broken)
    }
}

impl Feed for AuditEvents {
    fn page(&self, from: Time) -> Request {
        Self::since(from, self.page_size)
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn decoder(&self, renames: &[Rename]) -> Box<dyn FeedDecoder> {
        Box::new(EventDecoder {
            latest: self.clock.now() + AHEAD,
            multiplicity: HashMap::new(),
            renames: renames.to_vec(),
            dates: Vec::new(),
        })
    }
}

/// The fields of an event, in the order of [`Event`].
const FIELDS: [&str; 8] = [
    "date",
    "objectType",
    "operation",
    "application",
    SPELLINGS[0],
    SPELLINGS[1],
    "ipAddress",
    "objects",
];

struct Event<'a> {
    date: RawField<'a>,
    object_type: RawField<'a>,
    operation: RawField<'a>,
    application: RawField<'a>,
    /// The spelling of the vendor's schema.
    username: RawField<'a>,
    /// The spelling of the vendor's example.
    user_name: RawField<'a>,
    ip_address: RawField<'a>,
    objects: RawField<'a>,
}

impl<'a> Event<'a> {
    fn of(element: &'a [u8], fields: &mut Fields) -> Result<Self, Problem> {
        let found = members_counting(element, &FIELDS, &mut fields.unknown)?;
        let [
            date,
            object_type,
            operation,
            application,
            by_the_schema,
            by_the_example,
            ip_address,
            objects,
        ] = found.try_into().unwrap_or([None; FIELDS.len()]);
        Ok(Self {
            date,
            object_type,
            operation,
            application,
            username: by_the_schema,
            user_name: by_the_example,
            ip_address,
            objects,
        })
    }
}

/// An object of an event.
struct Object<'a> {
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

/// Decodes the events of one response. It numbers equal events, so it must not be used for another response.
struct EventDecoder {
    latest: Time,
    multiplicity: HashMap<EventKey, i32>,
    renames: Vec<Rename>,
    dates: Vec<Time>,
}

impl FeedDecoder for EventDecoder {
    fn decode(&mut self, element: &[u8], into: &mut Batch) {
        let mut fields = Fields::default();
        if let Err(reject) = self.row(element, &mut fields, into) {
            into.rejects.push(reject);
        }
        into.read_counts.replaced_characters += fields.replaced;
        into.unknown.merge(&fields.unknown);
    }

    fn dates(&self) -> &[Time] {
        &self.dates
    }
}

/// Rounds a date to microseconds, the resolution of the table.
fn to_microseconds(date: Time) -> Time {
    Time::from_timestamp_micros(date.timestamp_micros()).unwrap_or(date)
}

impl EventDecoder {
    fn row(&mut self, element: &[u8], fields: &mut Fields, into: &mut Batch) -> Result<(), Reject> {
        let refuse = |problem: Problem| identity::reject(element, None, problem);
        identity::object(element).map_err(refuse)?;
        let event = Event::of(element, fields).map_err(refuse)?;
        let read = Read::of(&event, fields).map_err(refuse)?;
        read.count_unknown_values(&mut fields.unknown);
        let Some(date) = read.date else {
            return Err(refuse(Problem::Shape("the event has no `date`".to_owned())));
        };
        self.dates.push(date);
        if chrono::Datelike::year(&date) < FIRST_YEAR || date > self.latest {
            let detail = format!(
                "`date` {} is before {FIRST_YEAR} or more than a day ahead",
                date.to_rfc3339()
            );
            return Err(reject::whole(element, None, RejectReason::DateOutOfRange, detail));
        }
        let text = event.date.map_or("", RawValue::get);
        let fine = FineDate::of(date, text);
        // Events that differ only by a renamed value are equal.
        let oldest = audit_key::oldest_values(read.values(), &self.renames);
        let alike = audit_key::key(&fine, oldest, &read.object_ids());
        let occurrence = *self
            .multiplicity
            .entry(alike)
            .and_modify(|count| *count += 1)
            .or_insert(0);
        let key = read.identify(&fine, to_microseconds(date), occurrence, &self.renames, into);
        read.put(date, key, occurrence, into);
        Ok(())
    }
}

/// The decoded fields of an event.
struct Read<'a> {
    date: Option<Time>,
    user_name: Option<Cow<'a, str>>,
    application: Option<Cow<'a, str>>,
    object_type: Option<Cow<'a, str>>,
    operation: Option<Cow<'a, str>>,
    ip_address: Option<Cow<'a, str>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Read<'a> {
    fn of(event: &Event<'a>, fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            date: fields.date("date", event.date)?,
            user_name: match fields.text("username", event.username)? {
                Some(name) => Some(name),
                None => fields.text("userName", event.user_name)?,
            },
            application: fields.text("application", event.application)?,
            object_type: fields.text("objectType", event.object_type)?,
            operation: fields.text("operation", event.operation)?,
            ip_address: fields.text("ipAddress", event.ip_address)?,
            objects: objects(fields, event.objects)?,
        })
    }

    fn count_unknown_values(&self, unknown: &mut UnknownCounts) {
        for known in audit_values::KNOWN {
            let value = match known.field {
                "objectType" => self.object_type.as_deref(),
                _ => self.operation.as_deref(),
            };
            if let Some(value) = value.filter(|value| !known.knows(value)) {
                unknown.count(DriftKind::UnknownValue, &format!("{} = {value}", known.field));
            }
        }
    }

    /// The fields whose values may be renamed.
    fn values(&self) -> Values<'_> {
        [
            self.application.as_deref(),
            self.user_name.as_deref(),
            self.object_type.as_deref(),
            self.operation.as_deref(),
            self.ip_address.as_deref(),
        ]
    }

    fn object_ids(&self) -> Vec<Option<&str>> {
        let mut ids: Vec<Option<&str>> = self.objects.iter().map(|object| object.id.as_deref()).collect();
        ids.sort_unstable();
        ids
    }

    /// Adds the event's identity and its other possible keys to the batch, and returns its key.
    fn identify(
        &self,
        date: &FineDate,
        at: Time,
        occurrence: i32,
        renames: &[Rename],
        into: &mut Batch,
    ) -> EventKey {
        let (values, objects) = (self.values(), self.object_ids());
        let key = audit_key::key(date, values, &objects);
        let older = audit_key::older_values(values, renames);
        if date.has_former_key() {
            into.former_keys
                .extend(std::iter::once(&values).chain(&older).map(|values| FormerKey {
                    former: audit_key::former_key(date, *values, &objects),
                    key: audit_key::key(date, *values, &objects),
                    occurrence,
                    at,
                }));
        }
        if !older.is_empty() {
            into.alternate_keys.push(AlternateKeys {
                key,
                occurrence,
                older: older
                    .iter()
                    .map(|values| audit_key::key(date, *values, &objects))
                    .collect(),
            });
        }
        into.events.push(EventIdentity {
            key,
            occurrence,
            at,
            fields: values.map(|value| value.map(str::to_owned)),
            objects: objects.into_iter().map(|id| id.map(str::to_owned)).collect(),
        });
        key
    }

    fn put(&self, date: Time, key: EventKey, occurrence: i32, into: &mut Batch) {
        let objects: Vec<serde_json::Value> = self
            .objects
            .iter()
            .map(|object| serde_json::json!({ "id": object.id.as_deref(), "name": object.name.as_deref() }))
            .collect();
        let mut order = key.to_vec();
        order.extend_from_slice(&occurrence.to_be_bytes());
        into.rows
            .row(&order, None, 9)
            .timestamp(Some(date))
            .bytea(&key)
            .int(Some(occurrence))
            .text_or_null(self.user_name.as_deref())
            .text_or_null(self.application.as_deref())
            .text_or_null(self.object_type.as_deref())
            .text_or_null(self.operation.as_deref())
            .text_or_null(self.ip_address.as_deref())
            .jsonb(serde_json::Value::Array(objects).to_string().as_bytes());
    }
}

fn objects<'a>(fields: &mut Fields, raw: RawField<'a>) -> Result<Vec<Object<'a>>, Problem> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
    }
    let mut objects = Vec::new();
    for entry in array("objects", raw)? {
        let object: Named<'a> = serde_json::from_str(entry.get())?;
        objects.push(Object {
            id: fields.text("objects[].id", object.id)?,
            name: fields.text("objects[].name", object.name)?,
        });
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn decode(elements: &[&str]) -> (Batch, Vec<Time>) {
        let resource = AuditEvents::new(1000, Arc::new(SystemClock));
        let mut decoder = resource.decoder(&[]);
        let mut batch = Batch::default();
        for element in elements {
            decoder.decode(element.as_bytes(), &mut batch);
        }
        let dates = decoder.dates().to_vec();
        (batch, dates)
    }

    const EVENT: &str = r#"{"date":"2025-04-15T11:21:33.872Z","objectType":"LISTENER","operation":"UPDATE",
        "application":"blueconic","userName":"u","ipAddress":"1.2.3.4","objects":[{"id":"a","name":"A"},{"id":"b"}]}"#;

    #[test]
    fn equal_events_of_one_response_are_numbered() {
        let (mut batch, dates) = decode(&[EVENT, EVENT, EVENT]);
        assert_eq!(
            (batch.rows.len(), batch.rows.deduplicate(), dates.len()),
            (3, 0, 3)
        );
    }

    #[test]
    fn the_key_is_blind_to_names_spelling_and_the_order_of_objects() {
        let same = EVENT
            .replace("userName", "username")
            .replace("\"A\"", "\"renamed\"")
            .replace(r#"{"id":"b"}"#, r#"{"id":"a"}"#)
            .replacen(r#"{"id":"a","name"#, r#"{"id":"b","name"#, 1);
        let (one, _) = decode(&[EVENT]);
        let (two, _) = decode(&[&same]);
        assert_eq!(one.rows.keys().next(), two.rows.keys().next());
        for other in [
            EVENT.replace(".872Z", ".873Z"),
            EVENT.replace("LISTENER", "X"),
            EVENT.replace("\"u\"", "\"\""),
            EVENT.replace(r#","ipAddress":"1.2.3.4""#, ""),
            EVENT.replace(r#",{"id":"b"}"#, ""),
        ] {
            assert_ne!(
                one.rows.keys().next(),
                decode(&[&other]).0.rows.keys().next(),
                "{other}"
            );
        }
    }

    #[test]
    fn dates_that_cannot_be_are_rejects() {
        let ahead = (chrono::Utc::now() + TimeDelta::days(2)).to_rfc3339();
        let (batch, dates) = decode(&[
            r#"{"date":"1999-12-31T23:59:59Z"}"#,
            &format!(r#"{{"date":"{ahead}"}}"#),
            r#"{"date":"soon"}"#,
            r#"{"objects":[]}"#,
            r"[]",
        ]);
        let reasons: Vec<&str> = batch
            .rejects
            .iter()
            .map(|reject| reject.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            [
                "date_out_of_range",
                "date_out_of_range",
                "wrong_shape",
                "wrong_shape",
                "wrong_shape"
            ]
        );
        assert_eq!((batch.rows.len(), dates.len()), (0, 2));
    }
}
