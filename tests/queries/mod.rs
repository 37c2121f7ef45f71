//! `docs/queries.sql`: each question is short and needs no operator of JSON, and each answer is what the tenant's own data say, also where
//! values are odd.

mod activity;
mod asked;
mod profiles;
mod truth;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use simulated_tenant::settings::Settings;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

pub(crate) use self::asked::asked;
use self::truth::Truth;
use crate::history::questions as of_histories;
use crate::support::coordinator::Coordinator;
use crate::support::database::Database;
use crate::support::registry;
use crate::support::truth::assert_profiles_equal;
use crate::support::{Scene, scene, small};

/// The longest query.
const MOST_LINES: usize = 10;
/// The question whose answer the test's own clock knows.
const FRESHNESS: &str = "How current is each table";

/// The question whose answer comes from samples.
const QUALITY: &str = "Profile property filling level";

type Answer = fn(&Truth<'_>) -> Vec<String>;

/// How each question begins, and what the tenant answers.
const ANSWERS: &[(&str, Answer)] = &[
    ("Who is in a segment", profiles::members),
    ("How large is each segment", profiles::sizes),
    ("Segment overlap", profiles::overlap),
    ("Which other segments", profiles::other_segments),
    ("Segment comparison", profiles::comparison),
    ("How many profiles does each country have", profiles::countries),
    ("Under which legislation", profiles::legislations),
    ("How many profiles consent", profiles::consent),
    ("Whom may we send e-mail", profiles::may_be_mailed),
    ("Who shares an e-mail address", profiles::shared_addresses),
    ("Profile identifiers", profiles::identifiers),
    ("Which values do not fit", profiles::problems),
    ("Profile property filling level", profiles::quality),
    ("Profile property distribution", profiles::distribution),
    ("Which topics", profiles::topics),
    ("Profile origin", profiles::origins),
    ("Which profiles changed last", profiles::last_changes),
    ("How many of today's profiles are new", profiles::new_by_month),
    ("On how many days", profiles::changed_by_day),
    ("Cohort", profiles::cohorts),
    ("Funnel", profiles::funnel),
    ("Hour of day", profiles::hours),
    ("Merged profiles", activity::merges_by_month),
    ("Which profiles did most others merge into", activity::survivors),
    ("How many profiles are gone", activity::gone),
    ("Audit: who changed what last", activity::audit_changes),
    ("Audit: who does how much", activity::audit_users),
    ("Audit, hour of day", activity::audit_hours),
    ("Connection runs: how many has", activity::connection_runs),
    (
        "Connection runs: how many profiles",
        activity::connection_statistics,
    ),
    ("Dialogue effectiveness", activity::dialogues),
    ("What did profiles do", activity::timelines),
    ("Lifecycles", activity::stages),
    ("Which groups", activity::groups),
];

#[test]
fn each_question_is_short_and_needs_no_operator_of_json() {
    let asked = asked();
    assert!(asked.len() >= 20, "only {} questions were found", asked.len());
    for one in asked {
        let lines = one.sql.lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines", one.question);
        for operator in ["->", "#>", "@>", "jsonb_", "json_", "@?", "properties"] {
            assert!(!one.sql.contains(operator), "{}: `{operator}`", one.question);
        }
    }
}

/// A tenant with odd values and shared addresses, and its tables.
async fn loaded() -> Scene {
    let mut scene = scene(Settings {
        properties: Settings::default().properties,
        distinct: Some(560),
        groups: 12,
        lifecycles: 2,
        timeline_events: Some(3),
        odd_values_per_thousand: 60,
        ..small(600)
    })
    .await;
    for (name, value) in [
        ("resources.profiles.timeline", "with_profiles"),
        ("resources.profiles.groups", "with_profiles"),
        ("resources.profiles.lifecycle_stages", "with_profiles"),
    ] {
        scene.program = scene.program.set(name, value);
    }
    scene.program.expect(0, &["backfill"]).await;
    scene.database.run("analyze").await;
    scene
}

/// The rows of a query as psql shows them, in UTC.
pub(crate) async fn rows(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = connection
        .fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |row: &sqlx::postgres::PgRow, place: usize| {
        let value = row.try_get_raw(place).unwrap();
        value.as_str().map(str::to_owned).unwrap_or_default()
    };
    rows.iter()
        .map(|row| {
            let fields: Vec<String> = (0..row.len()).map(|place| text(row, place)).collect();
            fields.join("|")
        })
        .collect()
}

fn agree(found: &[String], expected: &[String]) -> bool {
    let mut pairs = found.iter().zip(expected);
    found.len() == expected.len() && pairs.all(|(found, expected)| agrees(found, expected))
}

/// Whether a row is the expected one, in which fields may hold anything.
fn agrees(found: &str, expected: &str) -> bool {
    let (found, expected) = (found.split('|'), expected.split('|'));
    let (found, expected): (Vec<&str>, Vec<&str>) = (found.collect(), expected.collect());
    let mut fields = found.iter().zip(&expected);
    found.len() == expected.len() && fields.all(|(one, other)| *other == profiles::ANY || one == other)
}

async fn assert_fresh(database: &Database, rows: &[String], began: DateTime<Utc>) {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for row in rows {
        let [resource, complete_as_of, open_gaps] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        assert!(open_gaps == "0" || resource == "audit_events", "{row}");
        named.insert(resource, complete_as_of);
    }
    let mut expected = registry::names();
    expected.push("timeline_events");
    expected.sort_unstable();
    assert_eq!(named.keys().copied().collect::<Vec<_>>(), expected);
    let current = database
        .count(&format!(
            "blueconic.freshness where complete_as_of between timestamptz '{began}' - interval '2 minutes' and now()"
        ))
        .await;
    assert_eq!(usize::try_from(current).unwrap(), rows.len(), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_what_the_tenant_says() {
    let began = Utc::now();
    let Scene { tenant, database, .. } = loaded().await;
    assert_profiles_equal(&database, &tenant).await;
    let days = database
        .texts("select distinct day::text from blueconic.dialogue_statistics order by 1")
        .await;
    assert!(days.len() > 3, "{days:?}");
    let truth = Truth::of(&tenant, days);
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    connection.execute("set timezone = 'UTC'").await.unwrap();
    let mut wrong = Vec::new();
    let mut answered = 0;
    for one in asked() {
        let found = rows(&mut connection, &one.sql).await;
        if one.question.starts_with(FRESHNESS) {
            assert_fresh(&database, &found, began).await;
            continue;
        }
        let is_asked = |begins: &&str| one.question.starts_with(*begins);
        if of_histories::ANSWERS.iter().any(|(begins, _)| is_asked(begins)) {
            continue;
        }
        let answers = ANSWERS.iter().filter(|(begins, _)| is_asked(begins));
        let [(_, answer)] = answers.collect::<Vec<_>>()[..] else {
            panic!("not one answer for: {}", one.question);
        };
        let expected = answer(&truth);
        answered += 1;
        if one.question.starts_with(QUALITY) {
            // A coordinator has no statistics of distributed tables.
            if Coordinator::named().is_some() {
                continue;
            }
            for row in &found {
                profiles::assert_ends_occur(&truth, row);
            }
        }
        if !agree(&found, &expected) {
            let differs = found
                .iter()
                .zip(&expected)
                .find(|(found, expected)| !agrees(found, expected));
            let counts = (found.len(), expected.len());
            wrong.push(format!(
                "{}\n  rows: {counts:?}, first difference: {differs:#?}",
                one.question
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(answered, ANSWERS.len(), "every answer belongs to a question");
}
