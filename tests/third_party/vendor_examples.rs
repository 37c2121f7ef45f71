//! The vendor's own examples, served by a mock server that is not ours, must be in the tables value for value. The
//! expectations come from the document alone.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgPool};

use super::document::Document;
use super::lists;
use super::prism::Prism;
use super::recorder::Recorder;
use super::service::{Ended, Service};
use super::table::{Cell, Expected, assert_rows};

const PARTIAL: i32 = 3;
/// Requests of the first scan. The example heeds no `fromDate`, and two dates show no order, so that the scan halves the
/// thirty days less an hour that the tenant keeps (2.6 billion milliseconds) 32 times.
const FIRST_SCANS: i64 = 33;

/// The mock's tenant in one database.
struct Stage {
    document: Document,
    recorder: Recorder,
    service: Service,
    _prism: Prism,
}

impl Stage {
    async fn set() -> Self {
        let document = Document::load();
        let prism = Prism::start(&document).await;
        let recorder = Recorder::before(&prism.url).await;
        let mut service = Service::before(&recorder.url).await;
        service.set("BLUECONIC_SYNC__TENANT__API_PATH", "");
        lists::enable_all(&mut service, "1000");
        Self {
            document,
            recorder,
            service,
            _prism: prism,
        }
    }

    async fn backfill(&self) -> Ended {
        let arguments = ["backfill", "--full", "--json"];
        self.service.run(&arguments).await.expect(PARTIAL)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_examples_are_in_the_tables_value_for_value() {
    let stage = Stage::set().await;
    let ended = stage.backfill().await;
    statuses_are_as_the_counts_of_the_examples_want_them(&stage.document, &ended);
    events_were_counted(&ended, FIRST_SCANS, 7);
    only_the_requests_that_are_needed_were_sent(&stage.document, &stage.recorder);
    let database = &stage.service.database;
    every_list_is_equal(&stage.document, database).await;
    statistics_are_equal(&stage.document, database).await;
    segments_are_equal(&stage.document, database).await;
    profile_properties_are_equal(&stage.document, database).await;
    profiles_are_equal(&stage.document, database).await;
    audit_events_are_equal(&stage.document, database).await;
    nothing_is_a_reject(database).await;

    // Once more: nothing to write, nothing doubled, and the same end.
    let before = versions(&stage.document, database).await;
    let again = stage.backfill().await;
    statuses_are_as_the_counts_of_the_examples_want_them(&stage.document, &again);
    events_were_counted(&again, 1, 0);
    for run in again.json()["runs"].as_array().unwrap() {
        let written = ["rows_inserted", "rows_updated", "rows_removed"].map(|name| run[name].as_i64());
        assert_eq!(written, [Some(0); 3], "{run}");
    }
    assert_eq!(versions(&stage.document, database).await, before);
    histories_are_equal(&stage).await;
    stage.service.stop().await;
}

/// 5 of 5 segments; 2 of 144 properties and 1 of 100 profiles; other lists by their examples. Audit events have no total, and
/// each request gets the same example, whatever its lower bound.
fn statuses_are_as_the_counts_of_the_examples_want_them(document: &Document, ended: &Ended) {
    let lists = lists::all(document);
    let by_example = lists.iter().map(|list| {
        let status = if list.is_complete() {
            "succeeded"
        } else {
            "partial"
        };
        (list.description.name(), status, list.total(), list.rows())
    });
    let by_hand = [
        ("segments", "succeeded", Some(5), 5),
        ("profile_properties", "partial", Some(144), 2),
        ("profiles", "partial", Some(100), 1),
    ];
    for (resource, status, total, distinct) in by_hand.into_iter().chain(by_example) {
        let run = ended.run_of(resource);
        let reported = (
            run["status"].as_str(),
            run["source_total"].as_i64(),
            run["rows_distinct"].as_i64(),
        );
        assert_eq!(reported, (Some(status), total, Some(distinct)), "{run}");
    }
    let events = ended.run_of("audit_events");
    assert_eq!(events["status"], "succeeded", "{events}");
    assert_eq!(events["source_total"], Value::Null, "{events}");
    let summary = ended.json();
    assert_eq!(summary["status"], "partial");
    assert_eq!(summary["exit_code"], PARTIAL);
}

/// The mock's walk over profiles never ends, since it counts 100 and lists one. Histories follow only a walk that ended.
async fn histories_are_equal(stage: &Stage) {
    let database = &stage.service.database;
    let ended = "update sync.cursors set watermark = now() where resource = 'profiles' and scope = 'full'";
    assert_eq!(
        sqlx::query(ended)
            .execute(database)
            .await
            .unwrap()
            .rows_affected(),
        1
    );
    stage
        .service
        .run(&["backfill", "consent_history"])
        .await
        .expect(0);
    let example = stage.document.first_example("/profileEvents/{profileId}");
    let expected: Vec<(DateTime<Utc>, String, Value)> = example["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let values = event["properties"].as_array().unwrap().iter();
            let values: Map<String, Value> = values
                .map(|value| (value["id"].as_str().unwrap().to_owned(), value["values"].clone()))
                .collect();
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            (text("date").parse().unwrap(), text("type"), Value::Object(values))
        })
        .collect();
    assert!(expected.len() > 3, "{expected:#?}");
    let stored: Vec<(DateTime<Utc>, String, Value)> = sqlx::query_as(
        "select occurred_at, event_type, properties from blueconic.consent_events order by occurred_at",
    )
    .fetch_all(database)
    .await
    .unwrap();
    assert_eq!(stored, expected);
    let columns = "select count(*) from blueconic.consent_events
                   where from_level is distinct from properties #>> '{FromLevel,0}'
                     or to_legislation is distinct from properties #>> '{ToLegislation,0}'
                     or to_jsonb(to_consented) is distinct from properties -> 'ToConsented'";
    let other: i64 = sqlx::query_scalar(columns).fetch_one(database).await.unwrap();
    assert_eq!(other, 0);
}

/// Each request brings the same seven events; a run inserts those that are not stored.
fn events_were_counted(ended: &Ended, requests: i64, inserted: i64) {
    let events = ended.run_of("audit_events");
    let counts =
        ["requests", "rows_read", "rows_inserted", "rows_unchanged"].map(|name| events[name].as_i64());
    let read = 7 * requests;
    let expected = [requests, read, inserted, read - inserted].map(Some);
    assert_eq!(counts, expected, "{events}");
}

/// A listing whose page has no new id ends after at most two more reads.
fn only_the_requests_that_are_needed_were_sent(document: &Document, recorder: &Recorder) {
    let by_hand = [
        ("POST /oauth/token", 1),
        // The list, and the choice of the segment to walk: twice, since the one that is set is not there.
        ("GET /segments", 3),
        // One page with the two, one with nothing new, and both again; one page with those of a group type.
        ("GET /profileProperties", 5),
        // There is no `allvisitors`; this one has the largest `profileCount`. A page with the one profile, and one
        // that lists it again with the cursor that was just sent.
        ("GET /segments/aa9c3c86-edec-4ac5-8521-a1be602eb7c6/profiles", 2),
        ("GET /auditEvents", usize::try_from(FIRST_SCANS).unwrap()),
        // The day of the test and the thirty before it; all dialogues of the example fit into one request.
        ("GET /reporting/dialogues", 31),
    ];
    let lists = lists::all(document);
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for (call, count) in lists.iter().flat_map(lists::VendorList::calls) {
        *expected.entry(call).or_default() += count;
    }
    expected.extend(by_hand.map(|(call, count)| (call.to_owned(), count)));
    assert_eq!(recorder.counts(), expected);
    for request in recorder.all() {
        assert_eq!(request.status, 200, "{request:?}");
    }
}

/// Every list of the registry, by its description; the two below are written by hand, from the document alone.
async fn every_list_is_equal(document: &Document, database: &PgPool) {
    for list in lists::all(document) {
        assert!(list.rows() > 0, "{}", list.description.name());
        assert_rows(database, &list.query(), &list.expected()).await;
    }
}

/// The example is what the mock answers for each day.
async fn statistics_are_equal(document: &Document, database: &PgPool) {
    let example = document.first_example("/reporting/dialogues");
    let days: Vec<(i64, i64)> = sqlx::query_as(
        "select count(*), count(distinct day) from blueconic.dialogue_statistics
         where day between current_date - 32 and current_date + 1",
    )
    .fetch_all(database)
    .await
    .unwrap();
    assert_eq!(days, [(62, 31)]);
    let mut entries = example["dialogueStatistics"].as_array().unwrap().clone();
    entries.sort_by_key(|entry| entry["dialogueId"].as_str().unwrap().to_owned());
    let expected = entries.iter().map(|entry| -> Expected {
        let number = |name: &str| Cell::Bigint(entry["statistics"][name].as_i64());
        vec![
            ("dialogue_id", Cell::text(&entry["dialogueId"])),
            ("name", Cell::text(&entry["name"])),
            ("enabled", Cell::Bool(entry["isEnabled"].as_bool())),
            ("views", number("views")),
            ("unique_views", number("uniqueViews")),
            ("clicks", number("clicks")),
            ("unique_clicks", number("uniqueClicks")),
            ("conversions", number("conversions")),
            ("unique_conversions", number("uniqueConversions")),
            ("indirect_conversions", number("indirectConversions")),
            ("total_conversions", number("totalConversions")),
            ("statistics", Cell::Json(lists::plain(&entry["statistics"]))),
            ("body", Cell::Json(Value::Object(Map::new()))),
        ]
    });
    let expected: Vec<Expected> = expected.collect();
    let query =
        "select distinct dialogue_id, name, enabled, views, unique_views, clicks, unique_clicks, conversions,
          unique_conversions, indirect_conversions, total_conversions, statistics, body
        from blueconic.dialogue_statistics order by dialogue_id";
    assert_rows(database, query, &expected).await;
}

async fn segments_are_equal(document: &Document, database: &PgPool) {
    let example = document.example("/segments", "get", "Example segment response");
    let expected = sorted(&example["segments"])
        .into_iter()
        .map(|segment| -> Expected {
            vec![
                ("id", Cell::text(&segment["id"])),
                ("name", Cell::text(&segment["name"])),
                ("description", Cell::text(&segment["description"])),
                ("tags", Cell::texts(&segment["tags"])),
                ("profile_count", Cell::Bigint(segment["profileCount"].as_i64())),
                ("creator", Cell::text(&segment["creator"]["userName"])),
                ("created_at", Cell::date(&segment["creationDate"])),
                ("modified_at", Cell::date(&segment["lastModifiedDate"])),
                ("inverse_of", Cell::text(&segment["inverseOf"])),
                ("inversed_by", Cell::text(&segment["inversedBy"])),
                ("synced_at", Cell::Own),
            ]
        });
    let expected: Vec<Expected> = expected.collect();
    assert_eq!(expected.len(), 5);
    assert_rows(
        database,
        "select * from blueconic.segments order by id",
        &expected,
    )
    .await;
}

async fn profile_properties_are_equal(document: &Document, database: &PgPool) {
    let title = "Response body (profile properties)";
    let example = document.example("/profileProperties", "get", title);
    let expected = sorted(&example["profileProperties"])
        .into_iter()
        .map(|property| -> Expected {
            let precision = property["precision"]
                .as_i64()
                .map(|digits| digits.try_into().unwrap());
            vec![
                ("id", Cell::text(&property["id"])),
                ("name", Cell::text(&property["name"])),
                ("description", Cell::text(&property["description"])),
                ("filter_type", Cell::text(&property["filterType"])),
                ("precision", Cell::Int(precision)),
                ("currency", Cell::text(&property["currency"]["isoCode"])),
                ("data_sensitivity", Cell::text(&property["dataSensitivity"])),
                ("permission_level", Cell::text(&property["permissionLevel"])),
                ("merge_strategy", Cell::text(&property["mergeStrategy"])),
                ("indexed", Cell::Bool(property["indexed"].as_bool())),
                ("tags", Cell::texts(&property["tags"])),
                ("profile_count", Cell::Bigint(property["profileCount"].as_i64())),
                ("created_at", Cell::date(&property["creationDate"])),
                ("modified_at", Cell::date(&property["lastModifiedDate"])),
                ("synced_at", Cell::Own),
            ]
        });
    let expected: Vec<Expected> = expected.collect();
    assert_eq!(expected.len(), 2);
    let query = "select * from blueconic.profile_properties order by id";
    assert_rows(database, query, &expected).await;
}

async fn profiles_are_equal(document: &Document, database: &PgPool) {
    let title = "Example segment profiles response";
    let example = document.example("/segments/{segment}/profiles", "get", title);
    let expected: Vec<Expected> = sorted(&example["profiles"]).iter().map(profile).collect();
    assert_eq!(expected.len(), 1);
    assert_rows(
        database,
        "select * from blueconic.profiles order by id",
        &expected,
    )
    .await;

    // The example's segment is not in the example of the list: the membership is kept all the same.
    let query = "select profile_id, segment_id from blueconic.profile_segments";
    let membership = vec![
        ("profile_id", Cell::text(&example["profiles"][0]["id"])),
        (
            "segment_id",
            Cell::text(&example["profiles"][0]["segments"][0]["id"]),
        ),
    ];
    assert_rows(database, query, &[membership]).await;
    for query in [
        "select from blueconic.profile_aliases",
        "select from blueconic.profile_tombstones",
    ] {
        assert_rows(database, query, &[]).await;
    }
}

fn profile(profile: &Value) -> Expected {
    let properties: Map<String, Value> = profile["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|property| {
            (
                property["id"].as_str().unwrap().to_owned(),
                property["values"].clone(),
            )
        })
        .collect();
    assert_eq!(properties.len(), profile["properties"].as_array().unwrap().len());
    let modified: i64 = properties["lastmodifieddate"][0]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let segments = profile["segments"].as_array().unwrap().iter();
    let segments: Value = segments.map(|segment| segment["id"].clone()).collect();
    vec![
        ("id", Cell::text(&profile["id"])),
        ("created_at", Cell::date(&profile["creationDate"])),
        (
            "modified_at",
            Cell::Date(DateTime::from_timestamp_millis(modified)),
        ),
        ("privacy_legislation", Cell::text(&profile["privacyLegislation"])),
        ("permission_level", Cell::text(&profile["permissions"]["level"])),
        ("consented_objectives", Cell::set(&profile["consentedObjectives"])),
        ("refused_objectives", Cell::set(&profile["refusedObjectives"])),
        ("segment_ids", Cell::set(&segments)),
        ("properties", Cell::Json(properties.into())),
        ("source_hash", Cell::Own),
        ("content_hash", Cell::Own),
        ("synced_at", Cell::Own),
        ("asked_at", Cell::Own),
    ]
}

/// As a multiset: an event has no id, and equal ones are so many rows.
async fn audit_events_are_equal(document: &Document, database: &PgPool) {
    let example = document.example("/auditEvents", "get", "Example response");
    let mut events = example["auditEvents"].as_array().unwrap().clone();
    let order = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let date: DateTime<Utc> = text(&event["date"]).parse().unwrap();
        (date, text(&event["operation"]), text(&event["objects"][0]["id"]))
    };
    events.sort_by_key(order);
    let expected = events.iter().map(|event| -> Expected {
        // None of the seven is another's equal.
        let alike = events.iter().filter(|other| *other == event).count();
        assert_eq!(alike, 1);
        vec![
            ("occurred_at", Cell::date(&event["date"])),
            ("occurrence", Cell::Int(Some(0))),
            ("user_name", Cell::text(&event["userName"])),
            ("application", Cell::text(&event["application"])),
            ("object_type", Cell::text(&event["objectType"])),
            ("operation", Cell::text(&event["operation"])),
            ("ip_address", Cell::text(&event["ipAddress"])),
            ("objects", Cell::Json(event["objects"].clone())),
            ("event_key", Cell::Own),
            ("synced_at", Cell::Own),
        ]
    });
    let expected: Vec<Expected> = expected.collect();
    assert_eq!(expected.len(), 7);
    let query = r#"select * from blueconic.audit_events
        order by occurred_at, operation collate "C", objects -> 0 ->> 'id' collate "C""#;
    assert_rows(database, query, &expected).await;

    // Each event lies in the partition of its own month, 2023 and 2025, and not in a default one.
    let partitions: Vec<(String, i64)> = sqlx::query_as(
        "select pg_get_expr(c.relpartbound, c.oid), count(*)
        from blueconic.audit_events as e
        join pg_class as c on c.oid = e.tableoid
        group by 1 order by 1",
    )
    .fetch_all(database)
    .await
    .unwrap();
    let [(april_2023, five), (april_2025, two)] = partitions.as_slice() else {
        panic!("{partitions:?}")
    };
    assert_eq!((five, two), (&5, &2));
    assert!(
        april_2023.contains("'2023-04-01 00:00:00+00'") && april_2023.contains("'2023-05-01 00:00:00+00'")
    );
    assert!(
        april_2025.contains("'2025-04-01 00:00:00+00'") && april_2025.contains("'2025-05-01 00:00:00+00'")
    );
}

async fn nothing_is_a_reject(database: &PgPool) {
    let query = "select element_id, reason, detail from sync.rejects";
    let rejects: Vec<(Option<String>, String, Option<String>)> =
        sqlx::query_as(query).fetch_all(database).await.unwrap();
    assert_eq!(rejects, []);
}

/// The version of each row: a row that is written, even without a change, gets a new one.
async fn versions(document: &Document, database: &PgPool) -> Vec<(String, String)> {
    let lists = lists::all(document);
    let mut rows = vec![
        "select 'profile ' || id, xmin::text || ' ' || ctid::text from blueconic.profiles".to_owned(),
        "select 'event ' || encode(event_key, 'hex'), xmin::text || ' ' || ctid::text from blueconic.audit_events"
            .to_owned(),
    ];
    rows.extend(lists.iter().map(|list| {
        let name = list.description.name();
        let key = list.description.table.key.join(" || ");
        format!("select '{name} ' || {key}, xmin::text || ' ' || ctid::text from blueconic.{name}")
    }));
    let query = format!("{} order by 1", rows.join(" union all "));
    let versions: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(query))
        .fetch_all(database)
        .await
        .unwrap();
    let of_lists: i64 = lists.iter().map(lists::VendorList::rows).sum();
    assert_eq!(versions.len(), 1 + 7 + usize::try_from(of_lists).unwrap());
    versions
}

/// The elements of an array by id, in the order of `collate "C"`.
fn sorted(elements: &Value) -> Vec<Value> {
    let mut elements = elements.as_array().unwrap().clone();
    elements.sort_by_key(|element| element["id"].as_str().unwrap().to_owned());
    elements
}
