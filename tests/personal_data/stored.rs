//! What a first load stores under rules.

use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{FORMS, Scene, hash, profile};
use crate::support::traces::traces;

const RULES: &str = "property:zip=keep, sensitivity:PII=hash, property:secret=drop";

/// Two persons with one address, and one profile whose values have the wrong shape.
async fn scene(form: &[(&str, &str)]) -> Scene {
    let scene = Scene::new(RULES, form).await;
    scene.lists("email", "EMAIL", "PII").await;
    scene.lists("phone", "RANGE", "PII").await;
    scene.lists("zip", "None", "PII").await;
    scene.lists("secret", "None", "NON_PII").await;
    scene.lists("visits", "RANGE", "NON_PII").await;
    let person = json!({
        "email": ["tracemail@x.example", null, "trace\"quoted\\\u{e9}"],
        "phone": ["4915550001"],
        "zip": ["tracezip"],
        "secret": ["tracesecret"],
        "visits": ["7"],
        "hidden": ["tracehidden"],
    });
    scene.put("a", &person);
    scene.put("b", &json!({"email": ["tracemail@x.example"]}));
    let mut wrong = profile("wrong", &json!({}));
    wrong["properties"] = json!([{"id": "email", "values": [{"deep": "tracewrong"}]}]);
    scene.held.lock().unwrap().put(wrong);
    scene
}

const SECRETS: [&str; 7] = [
    "tracemail",
    "quoted",
    "4915550001",
    "tracesecret",
    "tracehidden",
    "tracewrong",
    "a key that only",
];

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_hashed_nor_a_dropped_value_is_anywhere_and_hashes_join() {
    for form in FORMS {
        let scene = scene(form).await;
        let run = scene.read(Scope::Full).await;
        assert_eq!(
            (&run["rows_inserted"], &run["rows_rejected"]),
            (&json!(2), &json!(1)),
            "{run}"
        );
        scene.assert_nowhere(&SECRETS).await;
        // The search finds what is kept.
        assert!(!traces(&scene.database, "tracezip").await.is_empty());
        let stored = "select properties::text from blueconic.profiles_json where id = 'a'";
        let stored: serde_json::Value = serde_json::from_str(&scene.texts(stored).await[0]).unwrap();
        let expected = json!({
            "email": [hash("tracemail@x.example"), null, hash("trace\"quoted\\\u{e9}")],
            "phone": [hash("4915550001")],
            "zip": ["tracezip"],
            "visits": ["7"],
        });
        assert_eq!(stored, expected, "{form:?}");
        let join = "select count(*) from blueconic.profile_values as one
                    join blueconic.profile_values as other using (property_id, value)
                    where one.profile_id = 'a' and other.profile_id = 'b'";
        assert_eq!(scene.database.one::<i64>(join).await, 1);
        let rejects = "select concat_ws('|', element_id, raw, detail) from sync.rejects";
        assert!(scene.texts(rejects).await[0].starts_with("wrong||withheld by"));
        if form != FORMS[2] {
            let wide = "select concat_ws('|', email, phone, zip, visits) from blueconic.profiles_wide where id = 'a'";
            let expected = format!(
                "{}|{}|tracezip|7",
                hash("tracemail@x.example"),
                hash("4915550001")
            );
            assert_eq!(scene.texts(wide).await, [expected]);
            let owners = format!(
                "select profile_id from blueconic.profile_identifiers where value = '{}' order by 1",
                hash("tracemail@x.example")
            );
            assert_eq!(scene.texts(&owners).await, ["a", "b"]);
        }
        // The same bytes again change nothing but the hash of the profile with a property that nobody lists.
        let again = scene.read(Scope::Full).await;
        assert_eq!(
            (&again["rows_updated"], &again["rows_inserted"]),
            (&json!(0), &json!(0)),
            "{again}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_that_was_not_listed_comes_once_the_catalogue_says_what_it_is() {
    let scene = scene(FORMS[0]).await;
    scene.read(Scope::Full).await;
    scene.lists("hidden", "None", "NON_PII").await;
    scene.read(Scope::Full).await;
    let hidden = "select hidden from blueconic.profiles_wide where id = 'a'";
    assert_eq!(scene.texts(hidden).await, ["tracehidden"]);
}

/// What the rules no longer drop or hash is read again by the next full walk, from the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn milder_rules_bring_the_values_back() {
    let scene = scene(FORMS[0]).await;
    scene.read(Scope::Full).await;
    let scene = scene.restarted("", FORMS[0]).await;
    scene.read(Scope::Full).await;
    let wide = "select concat_ws('|', email, phone, secret) from blueconic.profiles_wide where id = 'a'";
    assert_eq!(
        scene.texts(wide).await,
        ["tracemail@x.example|4915550001|tracesecret"]
    );
}
