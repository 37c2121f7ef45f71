//! What typed columns hold of a profile.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{REST, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn values_have_the_types_of_the_catalogue_and_misfits_are_told() {
    let scene = Scene::new().await;
    scene.lists("email", "EMAIL", "BOTH").await;
    scene.lists("visits", "RANGE", "SUM").await;
    scene.lists("spent", "CURRENCY", "SUM").await;
    scene.lists("last visit", "DATETIME", "LATEST").await;
    scene.lists("user", "None", "LATEST").await;
    scene.put(
        "a",
        &json!({"email": ["a@x.example", "b@x.example"], "visits": ["3"], "spent": ["12.50"],
                "last visit": ["1700000000000"], "user": ["Jo"], "unlisted": ["x"]}),
    );
    scene.put("b", &json!({"email": [null, "c@x.example"], "visits": ["n/a"], "spent": ["12,50"], "last visit": ["2023-11-14"]}));
    scene.put(
        "c",
        &json!({"visits": [""], "spent": ["1e3"], "last visit": ["12345678901234567890"], "email": []}),
    );
    scene.walk().await;
    let rows = "select concat_ws('|', id, email, email_all, visits, spent, last_visit at time zone 'UTC', p_user, problems)
                from blueconic.profiles_wide order by id";
    assert_eq!(
        scene.texts(rows).await,
        [
            "a|a@x.example|{a@x.example,b@x.example}|3|12.50|2023-11-14 22:13:20|Jo",
            "b|c@x.example|2023-11-14 00:00:00|{spent:not_a_number,visits:not_a_number}",
            "c|{\"last visit:not_a_date\",spent:not_a_number,visits:empty}",
        ]
    );
    let problems = "select concat_ws('|', property_id, problem, profiles, example_profile_id)
                    from blueconic.value_problems order by 1";
    assert_eq!(
        scene.texts(problems).await,
        [
            "last visit|not_a_date|1|c",
            "spent|not_a_number|2|b",
            "visits|empty|1|c",
            "visits|not_a_number|1|b",
        ]
    );
    let run = scene.walk().await;
    assert_eq!(run["rows_unchanged"], 3, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_columns_change_merge_and_leave_with_their_profile() {
    let scene = Scene::new().await;
    scene.lists("name", "None", "LATEST").await;
    for id in ["a", "b", "c", "d"] {
        scene.put(id, &json!({ "name": [id] }));
    }
    scene.walk().await;
    scene.put("a", &json!({"name": ["other"]}));
    scene.held.lock().unwrap().remove("b");
    scene.held.lock().unwrap().remove("d");
    let mut survivor = super::profile("c", &json!({"name": ["c"]}));
    survivor["replaces"] = json!(["b"]);
    scene.put_raw(survivor);
    let run = scene.walk().await;
    assert_eq!(run["rows_removed"], 2, "{run}");
    let rows = "select id || ' ' || name from blueconic.profiles_wide order by id";
    assert_eq!(scene.texts(rows).await, ["a other", "c c"]);
}

/// The values of an indexed property follow their profiles, also where they were stored before the property was indexed.
#[tokio::test(flavor = "multi_thread")]
async fn identifiers_name_their_profiles() {
    const ALL: &str =
        "select concat_ws(' ', property_id, value, profile_id) from blueconic.profile_identifiers order by 1";
    let scene = Scene::new().await;
    scene.lists("email", "EMAIL", "BOTH").await;
    scene.lists("phone", "None", "LATEST").await;
    let long = "x".repeat(601);
    scene.put(
        "a",
        &json!({"email": ["one@x.example", "two@x.example", "one@x.example"], "phone": ["1"]}),
    );
    scene.put(
        "b",
        &json!({"email": ["one@x.example", null, "", long], "phone": ["2"]}),
    );
    scene.put("c", &json!({"phone": ["3"]}));
    scene.walk().await;
    assert_eq!(scene.texts(ALL).await, Vec::<String>::new());
    scene
        .database
        .run("update blueconic.profile_properties set indexed = true where id = 'email'")
        .await;
    assert_eq!(scene.walk().await["rows_unchanged"], 3);
    let before = [
        "email one@x.example a",
        "email one@x.example b",
        "email two@x.example a",
    ];
    assert_eq!(scene.texts(ALL).await, before);

    scene.put("a", &json!({"email": ["two@x.example", "three@x.example"]}));
    scene.put("d", &json!({"email": ["four@x.example"]}));
    scene.held.lock().unwrap().remove("b");
    scene.walk().await;
    assert_eq!(
        scene.texts(ALL).await,
        [
            "email four@x.example d",
            "email three@x.example a",
            "email two@x.example a"
        ]
    );
    scene
        .database
        .run("update blueconic.profile_properties set indexed = (id = 'phone')")
        .await;
    scene.put("d", &json!({"phone": ["4"], "email": ["four@x.example"]}));
    scene.walk().await;
    assert_eq!(scene.texts(ALL).await, ["phone 3 c", "phone 4 d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_consent_and_merges_have_rows_of_their_own() {
    let scene = Scene::new().await;
    let mut profile = super::profile("a", &json!({"email": ["x", null, "y"]}));
    profile["consentedObjectives"] = json!(["mail"]);
    profile["refusedObjectives"] = json!(["ads", "sms"]);
    profile["privacyLegislation"] = json!("GDPR");
    profile["replaces"] = json!(["loser"]);
    scene.put_raw(profile);
    scene.walk().await;
    let values = "select concat_ws('|', profile_id, property_id, position, coalesce(value, 'null'))
                  from blueconic.profile_values order by 1";
    assert_eq!(
        scene.texts(values).await,
        ["a|email|1|x", "a|email|2|null", "a|email|3|y"]
    );
    let consent = "select concat_ws('|', profile_id, objective_id, state, legislation) from blueconic.profile_consent order by 1";
    assert_eq!(
        scene.texts(consent).await,
        [
            "a|ads|refused|GDPR",
            "a|mail|consented|GDPR",
            "a|sms|refused|GDPR"
        ]
    );
    let merges = "select concat_ws('|', loser_id, survivor_id) from blueconic.profile_merges";
    assert_eq!(scene.texts(merges).await, ["loser|a"]);
}

/// A value as tenants have it: what fits, what nearly fits, and any text.
fn value() -> impl Strategy<Value = Option<String>> {
    let odd = prop::sample::select(vec![
        "",
        " ",
        "n/a",
        "12.5",
        "12,50",
        "NaN",
        "1e3",
        "007",
        "-0",
        "+5",
        ".5",
        "5.",
        "0.10",
        "12345678901234567890",
        "9223372036854775807",
        "-9223372036854775808",
        "1700000000000",
        "99999999999999",
        "2024-02-30",
        "2024-02-29",
        "2024-02-29T12:00:00Z",
        "2024-02-29T12:00:00.123+02:00",
        "\u{1f600}",
        "a\"b\\c",
        "\u{7}",
    ]);
    prop_oneof![
        1 => Just(None),
        4 => odd.prop_map(|text| Some(text.to_owned())),
        4 => "-?[0-9]{1,20}(\\.[0-9]{0,4})?".prop_map(Some),
        2 => "[0-9]{1,14}".prop_map(Some),
        3 => "\\PC{0,12}".prop_map(Some),
    ]
}

type Properties = BTreeMap<String, Vec<Option<String>>>;

/// Ids of properties, of which some get the same name.
fn property() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "user",
        "select",
        "id",
        "problems",
        "synced_at",
        "ctid",
        "1st",
        "E-mail",
        "e_mail",
        "é\u{301}",
        "it's",
        "a\"b",
        "\u{202e}x",
        "\\",
        "06d3a5d1-3cf9-4a4e-bd47-1d2b3c4d5e6f",
    ]);
    prop_oneof![2 => odd.prop_map(str::to_owned), 1 => "\\PC{1,70}".prop_filter("an id", |id| id.len() < 200)]
}

/// Any id, name, type and value makes a valid column and no failing query, and the rest with the columns is what came.
#[test]
fn the_rest_and_the_columns_are_what_came() {
    let kinds = prop::sample::select(vec!["None", "RANGE", "DECIMAL", "CURRENCY", "DATETIME"]);
    let strategies = prop::sample::select(vec!["BOTH", "LATEST"]);
    let catalogue = prop::collection::btree_map(property(), (kinds, strategies), 1..8);
    let scenes = catalogue.prop_flat_map(|catalogue| {
        let ids: Vec<String> = catalogue.keys().cloned().collect();
        let properties = prop::collection::btree_map(
            prop::sample::select(ids),
            prop::collection::vec(value(), 0..4),
            0..6,
        );
        (
            Just(catalogue),
            prop::collection::vec(properties, 1..12),
            any::<bool>(),
        )
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&scenes, |(catalogue, profiles, is_rest)| {
            runtime.block_on(check(catalogue, profiles, is_rest));
            Ok(())
        })
        .unwrap();
}

async fn check(catalogue: BTreeMap<String, (&str, &str)>, profiles: Vec<Properties>, is_rest: bool) {
    let settings = if is_rest { vec![REST] } else { Vec::new() };
    let scene = Scene::with(&settings).await;
    for (id, (kind, strategy)) in &catalogue {
        scene.lists(id, kind, strategy).await;
    }
    for (number, properties) in profiles.iter().enumerate() {
        scene.put(&format!("profile {number}"), &json!(properties));
    }
    scene.walk().await;
    for (number, properties) in profiles.iter().enumerate() {
        let sql =
            format!("select properties::text from blueconic.profiles_json where id = 'profile {number}'");
        let stored: Value = serde_json::from_str(&scene.database.one::<String>(&sql).await).unwrap();
        assert_eq!(stored, json!(properties), "{catalogue:?}");
    }
    if is_rest {
        // What fits exactly is not stored twice.
        let twice = "blueconic.profiles as p, blueconic.profiles_wide as w
                     where p.id = w.id and w.problems is null and length(p.properties::text) > 4000";
        assert_eq!(scene.database.count(twice).await, 0);
    }
    scene.app.close().await.unwrap();
}
