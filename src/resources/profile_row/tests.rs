//! The row of a profile, and that both readers read alike.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it needs by panicking"
)]

mod generated;

use std::cell::Cell;

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use simulated_tenant::settings::Settings;
use simulated_tenant::shape::{KeyOrder, Layout, Shape};
use simulated_tenant::tenant;

use crate::model::children::CHILDLESS;
use crate::model::page::RejectReason;
use crate::resources::identity;

use super::*;

const SEEDS: HashSeeds = HashSeeds {
    source: 1,
    content: 1,
};

/// A batch of this one profile, and how many of its readings were slow.
fn put(json: &str, known: Known) -> (Batch, u64) {
    let mut rows = ProfileRows::new(Vec::new(), SEEDS, &TABLE);
    let mut batch = Batch::default();
    rows.put(json.as_bytes(), [0; 16], known, &mut batch)
        .unwrap_or_else(|_| panic!("not decoded: {json}"));
    (batch, rows.slow_reads)
}

/// The fields of a profile's row.
fn row(json: &str) -> Vec<Vec<u8>> {
    let (batch, _) = put(json, Known::Absent);
    let mut rest = &batch.rows.tuples().next().unwrap()[2..];
    let mut fields = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let (field, behind) = behind.split_at(length);
        fields.push(field.to_vec());
        rest = behind;
    }
    fields
}

fn properties(json: &str) -> String {
    String::from_utf8(row(json)[8][1..].to_vec()).unwrap()
}

fn hash(json: &str) -> [u8; 16] {
    row(json)[10].as_slice().try_into().unwrap()
}

/// Milliseconds since 1970.
fn date(field: &[u8]) -> i64 {
    i64::from_be_bytes(field.try_into().unwrap()) / 1000 + 946_684_800_000
}

#[test]
fn values_are_kept_as_they_came() {
    let json = r#"{"id":"p","properties":[
        {"id":"z","values":["a\"b","\u0041\u0000",12,1.50,true,null,"üé"]},{"id":"e","values":[]},{"id":"n"}]}"#;
    assert_eq!(
        properties(json),
        "{\"e\":[],\"n\":[],\"z\":[\"a\\\"b\",\"A\u{fffd}\",\"12\",\"1.50\",\"true\",null,\"üé\"]}"
    );
    assert_eq!(put(json, Known::Absent).0.read_counts.replaced_characters, 1);
    let usual = json.replace("\\u0000", "\\/\\ud83d\\ude00\\u001f\\n");
    assert_eq!(
        properties(&usual),
        "{\"e\":[],\"n\":[],\"z\":[\"a\\\"b\",\"A/😀\\u001f\\n\",\"12\",\"1.50\",\"true\",null,\"üé\"]}"
    );
    assert_eq!(put(&usual, Known::Absent).1, 0);
}

#[test]
fn a_repeated_property_has_its_values_united_in_order() {
    let json = r#"{"id":"p","properties":[{"id":"b","values":["2"]},{"id":"a","values":["x"]},
        {"id":"b","values":["1","2"]},{"id":"longer than eight, b","values":["4"]},
        {"id":"longer than eight, a","values":[]},{"id":"longer than eight, b","values":["3"]}]}"#;
    assert_eq!(
        properties(json),
        r#"{"a":["x"],"b":["2","1","2"],"longer than eight, a":[],"longer than eight, b":["4","3"]}"#
    );
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
    // The id is not part of the content.
    assert_eq!(hash(base), hash(&base.replace("\"p\"", "\"q\"")));
}

#[test]
fn equal_content_leaves_no_row_and_a_refreshed_hash() {
    let json = r#"{"id":"p","properties":[{"id":"a","values":["1"]}]}"#;
    let content = hash(json);
    let mut rows = ProfileRows::new(Vec::new(), SEEDS, &TABLE);
    let mut batch = Batch::default();
    let before = json.replace("\"p\"", "\"o\"");
    for (element, known) in [
        (before.as_str(), Known::Absent),
        (
            json,
            Known::Differs {
                content,
                children: CHILDLESS,
            },
        ),
    ] {
        assert!(rows.put(element.as_bytes(), [7; 16], known, &mut batch).is_ok());
    }
    let alone = put(&before, Known::Absent).0.rows;
    assert_eq!(batch.rows.size(), alone.size());
    assert_eq!(batch.rows.keys().collect::<Vec<_>>(), [b"o"]);
    assert_eq!(batch.rehash, [("p".to_owned(), [7; 16])]);
    assert_eq!(batch.read_counts.unchanged, 1);
    assert_eq!(
        put(
            json,
            Known::Differs {
                content: [0; 16],
                children: CHILDLESS
            }
        )
        .0
        .rows
        .len(),
        1
    );
}

#[test]
fn dates_come_from_their_field_or_their_property() {
    let profile = row(
        r#"{"id":"p","properties":[{"id":"lastmodifieddate","values":["\n1679913371990"]},
           {"id":"creationdate","values":["no","1"]}]}"#,
    );
    assert_eq!((date(&profile[1]), date(&profile[2])), (1, 1_679_913_371_990));
    let profile = row(r#"{"id":"p","creationDate":"1970-01-01T00:00:02Z"}"#);
    assert_eq!((date(&profile[1]), profile[2].len()), (2000, 0));
}

#[test]
fn what_is_not_wanted_is_not_stored_and_gives_its_date_all_the_same() {
    let mut rows = ProfileRows::new(vec!["c".into(), "b".into(), "aa".into()], SEEDS, &TABLE);
    let mut batch = Batch::default();
    let json = br#"{"id":"p","properties":[{"id":"c","values":["3"]},{"id":"a","values":["1"]},
        {"id":"lastmodifieddate","values":["5"]},{"id":"b","values":[]},{"id":"c","values":["4"]}]}"#;
    assert!(rows.put(json, [0; 16], Known::Absent, &mut batch).is_ok());
    let tuple = batch.rows.tuples().next().unwrap().escape_ascii().to_string();
    assert!(tuple.contains(r#"{\"b\":[],\"c\":[\"3\",\"4\"]}"#), "{tuple}");
    let date = (5000_i64 - 946_684_800_000_000).to_be_bytes();
    assert!(tuple.contains(&date.escape_ascii().to_string()), "{tuple}");
}

#[test]
fn a_loser_is_an_alias_and_no_row_and_a_winner_names_its_losers() {
    let mut rows = ProfileRows::new(Vec::new(), SEEDS, &TABLE);
    let mut batch = Batch::default();
    for json in [
        r#"{"id":"l","replacedBy":"w"}"#,
        r#"{"id":"w","replaces":["l","m","w"],"replacedBy":"w"}"#,
    ] {
        assert!(
            rows.put(json.as_bytes(), [0; 16], Known::Absent, &mut batch)
                .is_ok()
        );
    }
    let pair = |loser: &str, winner: &str| (loser.to_owned(), winner.to_owned());
    assert_eq!(batch.aliases, [pair("l", "w"), pair("l", "w"), pair("m", "w")]);
    assert_eq!(batch.rows.keys().collect::<Vec<_>>(), [b"w"]);
}

/// Why an element has no row.
fn problem(element: &[u8]) -> (RejectReason, String) {
    let mut batch = Batch::default();
    let mut rows = ProfileRows::new(Vec::new(), SEEDS, &TABLE);
    match rows.put(element, [0; 16], Known::Absent, &mut batch) {
        Ok(()) => panic!("decoded: {}", element.escape_ascii()),
        Err(problem) => {
            assert!(batch.is_empty());
            let reject = identity::reject(element, None, problem);
            (reject.reason, reject.detail)
        }
    }
}

#[test]
fn wrong_shapes_are_distinguished() {
    for nobody in ["{}", r#"{"id":""}"#, r#"{"id":null}"#] {
        assert_eq!(problem(nobody.as_bytes()).0, RejectReason::NoId);
    }
    for (json, words) in [
        (r#"{"id":"p","properties":"x"}"#, "sequence"),
        (
            r#"{"id":"p","properties":[{"id":"a","values":"x"}]}"#,
            "not a list",
        ),
        (r#"{"id":"p","properties":[{"values":["x"]}]}"#, "no `id`"),
        (
            r#"{"id":"p","properties":[{"id":"a","values":[["x"]]}]}"#,
            "not a text",
        ),
        (r#"{"id":"p","id":"q"}"#, "duplicate"),
        (r#"{"id":"p","permissions":null,"permissions":null}"#, "duplicate"),
    ] {
        let (reason, detail) = problem(json.as_bytes());
        assert_eq!(reason, RejectReason::WrongShape, "{json}");
        assert!(detail.contains(words), "{detail}");
    }
}

#[test]
fn what_is_only_balanced_is_no_json() {
    for broken in [
        &br#"{"id":"a",}"#[..],
        br#"{"id":"a" "x":1}"#,
        br#"{"id":"a","x":tru}"#,
        br#"{"id":"a","x":01}"#,
        br#"{"id":"a","x":"\x"}"#,
        br#"{"id":"a","x":"\u00g0"}"#,
        br#"{"id":"a","x":[1 2]}"#,
        br#"{"id":"a"}{}"#,
        br#"{id:"a"}"#,
        b"{\"id\":\"a\",\"x\":\"\x01\"}",
        b"{\"id\":\"a\",\"properties\":[{\"id\":\"a\",\"values\":[\"\n\"]}]}",
        b"{\"id\":\"a\",\"x\":\"\xff\"}",
        b"\xef\xbb\xbf{\"id\":\"a\"}",
        b"",
    ] {
        assert_eq!(
            problem(broken).0,
            RejectReason::NotJson,
            "{}",
            broken.escape_ascii()
        );
    }
}

/// The tuples and aliases that one reader makes of an element; none if it does not read it.
fn written(element: &str, read: impl FnOnce(&mut Draft) -> bool) -> Option<Vec<Vec<u8>>> {
    let mut draft = Draft::default();
    if !read(&mut draft) {
        return None;
    }
    let mut batch = Batch::default();
    let profile = draft.complete(element, &[], None).unwrap();
    let id = profile.id.unwrap();
    if write_aliases(&profile, id, &mut batch) {
        let rows = RowsOfProfile {
            profile: &profile,
            id,
            seeds: SEEDS,
            typed: None,
            stores_rest: false,
        };
        rows.write(([0; 16], Known::Absent), None, &mut batch);
    }
    let aliases = batch.aliases.iter().flat_map(|(loser, winner)| [loser, winner]);
    let aliases = aliases.map(|id| id.clone().into_bytes());
    Some(batch.rows.tuples().map(<[u8]>::to_vec).chain(aliases).collect())
}

/// Checks what must hold for any bytes, and returns whether the fast reader read them.
fn check(element: &[u8]) -> bool {
    let json = serde_json::from_slice::<IgnoredAny>(element).is_ok();
    let Ok(text) = std::str::from_utf8(element) else {
        assert_eq!(problem(element).0, RejectReason::NotJson);
        return false;
    };
    let mut fields = Fields::default();
    let loosely = written(text, |draft| loose::read(text, &mut fields, draft).is_ok());
    let fast = written(text, |draft| {
        fast::read(text, &mut Bitmap::default(), draft).is_ok()
    });
    match &loosely {
        Some(_) => assert!(json, "read and no JSON: {text}"),
        None => assert_eq!(problem(element).0 == RejectReason::NotJson, !json, "{text}"),
    }
    if fast.is_some() {
        assert_eq!(fast, loosely, "{text}");
        assert_eq!(fields.replaced, 0, "{text}");
    }
    fast.is_some()
}

#[test]
fn the_fast_reader_reads_as_the_other_or_leaves_it_to_it() {
    let config = ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let (checked, fast) = (Cell::new(0), Cell::new(0));
    proptest!(config, |(seed in any::<u64>())| {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut element = generated::profile(random).into_bytes();
        for _ in 0..4 {
            checked.set(checked.get() + 1);
            fast.set(fast.get() + u32::from(check(&element)));
            generated::damage(random, &mut element);
        }
    });
    let (checked, fast) = (checked.get(), fast.get());
    assert!(
        (checked / 5..checked / 5 * 4).contains(&fast),
        "{fast} of {checked}"
    );
}

/// The profiles of a tenant that answers in this shape.
async fn profiles_of(shape: Shape) -> Vec<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Page {
        profiles: Vec<Box<RawValue>>,
    }
    let settings = Settings {
        profiles: 300,
        ..Settings::default()
    };
    let tenant = tenant::start(settings).await.unwrap();
    tenant.set_shape(shape);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    ];
    let grant = client
        .post(format!("{}/rest/v2/oauth/token", tenant.url()))
        .form(&form);
    let grant = grant.send().await.unwrap().text().await.unwrap();
    let grant: serde_json::Value = serde_json::from_str(&grant).unwrap();
    let query = [
        ("cursor", "*"),
        ("count", "1000"),
        ("expand", "profiles.profile.segments"),
        ("expand", "profiles.profile.permissions"),
        ("expand", "profiles.profile.replace"),
    ];
    let page = client
        .get(format!("{}/rest/v2/segments/allvisitors/profiles", tenant.url()))
        .query(&query)
        .bearer_auth(grant["access_token"].as_str().unwrap());
    let page = page.send().await.unwrap().text().await.unwrap();
    tenant.stop().await;
    serde_json::from_str::<Page>(&page).unwrap().profiles
}

/// Whatever form a tenant writes, the fast reader reads all of its profiles.
#[tokio::test]
async fn a_tenants_profiles_are_read_fast() {
    for (layout, key_order, liberal) in [
        (Layout::Minified, KeyOrder::Documented, false),
        (Layout::Pretty, KeyOrder::Reversed, false),
        (Layout::Airy, KeyOrder::Shuffled, true),
    ] {
        let shape = Shape {
            layout,
            key_order,
            escaped: liberal,
            numbers_swapped: liberal,
            unknown_keys: liberal,
            ..Shape::default()
        };
        let mut rows = ProfileRows::new(Vec::new(), SEEDS, &TABLE);
        let mut batch = Batch::default();
        let profiles = profiles_of(shape).await;
        for profile in &profiles {
            assert!(check(profile.get().as_bytes()), "{profile}");
            assert!(
                rows.put(profile.get().as_bytes(), [0; 16], Known::Absent, &mut batch)
                    .is_ok()
            );
        }
        assert!(batch.rows.len() > 250, "only {} rows", batch.rows.len());
        assert_eq!(rows.slow_reads, 0, "{shape:?}");
    }
}

#[test]
fn each_choice_of_child_tables_has_a_table_of_its_own() {
    for place in 0..CHOICES {
        assert_eq!(ReadChildren::at(place).place(), place);
    }
}
