//! The questions of `docs/queries.sql` about what was: their answers after known changes.

use std::collections::BTreeSet;

use super::{Person, Scene, settled};
use crate::queries::{asked, rows};

use sqlx::{Connection as _, Executor as _, PgConnection};

/// What the test's tenant calls what the demo has other names for.
const NAMES: [(&str, &str); 2] = [("'High value'", "'a'"), ("'country'", "'tier'")];

/// How each question about what was begins, and its answer.
pub(crate) const ANSWERS: &[(&str, &[&str])] = &[
    // Each size of yesterday was ten less than it was before the changes.
    (
        "Segment over time: how large",
        &["today|a|34|4", "today|b|6|", "yesterday|a|30|"],
    ),
    ("Segment over time: how many", &["a|0|6", "b|6|0"]),
    (
        "Who was in a segment an hour ago",
        &["p00", "p02", "p04", "p06", "p08", "p10"],
    ),
    (
        "Lifecycle stage transition",
        &["life|new|loyal|4", "life|loyal|gone|1"],
    ),
    ("Consent over time", &["month|mail|3"]),
    ("Values over time", &["gold|silver|5", "silver|gold|2"]),
    ("Profiles over time", &["month|35|35"]),
    (
        "Profile property filling level over time",
        &["city||0", "tier|30|40"],
    ),
];

/// Forty profiles whose histories have begun, and then two rounds of changes.
async fn changed() -> Scene {
    let scene = Scene::recording().await;
    let database = &scene.database;
    database
        .run(
            "insert into blueconic.segments (id, name, synced_at) values ('a', 'a', now()), ('b', 'b', now());
             insert into blueconic.profile_properties (id, filter_type, indexed, synced_at)
             values ('tier', 'None', true, now()), ('city', 'None', false, now());
             update sync.histories set recorded_since = now() - interval '2 hours'",
        )
        .await;
    let mut people: Vec<Person> = (0..40).map(settled).collect();
    let put = |people: &[Person]| {
        for (number, person) in people.iter().enumerate() {
            scene.put(&format!("p{number:02}"), person);
        }
    };
    for number in [0, 2, 4, 6, 8, 10] {
        people[number].segments.remove("a");
        people[number].segments.insert("b".to_owned());
    }
    for person in &mut people[0..4] {
        person.stages = BTreeSet::from([("life".to_owned(), "loyal".to_owned())]);
    }
    for person in &mut people[5..10] {
        person.tier = Some("silver".to_owned());
    }
    for person in &mut people[20..23] {
        person.consented.clear();
    }
    put(&people);
    scene.walk().await;
    people[1].stages = BTreeSet::from([("life".to_owned(), "gone".to_owned())]);
    for person in &mut people[5..7] {
        person.tier = Some("gold".to_owned());
    }
    put(&people);
    scene
        .database
        .run("update blueconic.daily_profile_counts set measured_at = measured_at - interval '2 hours'")
        .await;
    scene.walk().await;
    scene
}

/// Earlier days, with ten profiles less.
async fn with_earlier_days(scene: &Scene) {
    scene
        .database
        .run(
            "insert into blueconic.daily_segment_sizes
             select day - 1, segment_id, 30, measured_at from blueconic.daily_segment_sizes where segment_id = 'a';
             insert into blueconic.daily_profile_counts
             select date_trunc('month', day)::date + (case when extract(day from day) = 1 then 1 else 0 end),
               is_known, privacy_legislation, permission_level, profiles - 10, measured_at
             from blueconic.daily_profile_counts;
             insert into blueconic.daily_property_fill
             select day - 30, property_id, profiles - 10, measured_at from blueconic.daily_property_fill where property_id = 'tier'",
        )
        .await;
}

/// A row without what only the clock knows.
async fn plain(scene: &Scene, question: &str, found: Vec<String>) -> Vec<String> {
    let day = |ago: i32| format!("select ((now() at time zone 'UTC')::date - {ago})::text");
    let (today, yesterday) = (
        scene.database.texts(&day(0)).await.remove(0),
        scene.database.texts(&day(1)).await.remove(0),
    );
    let row = |row: String| {
        if question.starts_with("Who was") {
            return row.split('|').next().unwrap_or_default().to_owned();
        }
        row.replace(&today, "today")
            .replace(&yesterday, "yesterday")
            .replace(&today[..7], "month")
    };
    found.into_iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_what_was_have_their_answers() {
    let scene = changed().await;
    with_earlier_days(&scene).await;
    // The changes of the last hour are answers to what was an hour ago.
    let mut connection = PgConnection::connect(&scene.database.url).await.unwrap();
    connection.execute("set timezone = 'UTC'").await.unwrap();
    let mut answered = 0;
    for one in asked() {
        let answers = ANSWERS
            .iter()
            .filter(|(begins, _)| one.question.starts_with(begins));
        let [(_, expected)] = answers.collect::<Vec<_>>()[..] else {
            continue;
        };
        let sql = NAMES
            .iter()
            .fold(one.sql.clone(), |sql, (demo, own)| sql.replace(demo, own));
        let found = rows(&mut connection, &sql).await;
        let found = plain(&scene, &one.question, found).await;
        assert_eq!(found, *expected, "{}", one.question);
        answered += 1;
    }
    assert_eq!(answered, ANSWERS.len(), "every answer belongs to a question");
}
