//! Bodies of every kind through the real reader and the real decoders, ten thousand of them: whole, cut at any byte,
//! damaged, deep, huge. What must hold stands in `reader`; here they are made.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::reader::{self, check, check_event, resources};
use crate::support::fixture::{AUDIT, PROFILES_FULL, SEGMENTS, fixture};

/// Elements above it are rejects.
const LARGEST: usize = 4096;

/// Texts within quotes: escapes, NUL, lone surrogates, and what no JSON may hold.
const TEXTS: [&str; 12] = [
    "",
    "a@b.example",
    r"\u0000",
    r"\ud800",
    r"\udfff\ud800x",
    r"\ud83d\ude00",
    r#"\"]},{\"id\":\""#,
    r"\\",
    "ä\u{10ffff}\u{feff}",
    "1679913371990",
    r"\/\b\f\n\r\t",
    "\u{7f}\u{2028}",
];

/// Values of the wrong type, or too much for any type.
const VALUES: [&str; 14] = [
    "null",
    "true",
    "0",
    "-0.0",
    "1e999",
    "-1E-999",
    "12345678901234567890123",
    "9223372036854775808",
    "[]",
    "{}",
    "[[],[{}]]",
    r#"{"id":null}"#,
    r#""text""#,
    "4.000",
];

/// What no JSON reader takes.
const BROKEN: [&[u8]; 14] = [
    br#"{"id":"\x"}"#,
    br#"{"id":"a",}"#,
    br#"{"id" "a"}"#,
    br#"{id:"a"}"#,
    br#"{"id":NaN}"#,
    br#"{"id":01}"#,
    b"undefined",
    b"tru",
    b"1.",
    b"-",
    b"{\"id\":\"\xff\xfe\"}",
    b"{\"id\":\"a\nb\"}",
    b"{\"id\":\"a\0\"}",
    b"{\"id\":\"\xed\xa0\x80\"}",
];

fn pick<'a, T: ?Sized>(random: &mut StdRng, from: &'a [&'a T]) -> &'a T {
    from[random.random_range(0..from.len())]
}

/// A field with a text or with anything.
fn field(random: &mut StdRng, name: &str) -> String {
    let value = if random.random_bool(0.7) {
        format!("\"{}\"", pick(random, &TEXTS))
    } else {
        pick(random, &VALUES).to_owned()
    };
    format!("\"{name}\":{value}")
}

fn object(random: &mut StdRng, names: &[&str]) -> String {
    let mut fields = Vec::new();
    for _ in 0..random.random_range(0..8) {
        let name = pick(random, names);
        fields.push(field(random, name));
    }
    format!("{{{}}}", fields.join(","))
}

fn property(random: &mut StdRng) -> String {
    let values: Vec<String> = (0..random.random_range(0..4))
        .map(|_| format!("\"{}\"", pick(random, &TEXTS)))
        .collect();
    format!(
        r#"{{"id":"{}","values":[{}]}}"#,
        pick(random, &TEXTS),
        values.join(",")
    )
}

/// An element as the tenant may write it, in some resource.
fn likely(random: &mut StdRng) -> String {
    let id = random.random_range(0..1000);
    let properties: Vec<String> = (0..random.random_range(0..4)).map(|_| property(random)).collect();
    match random.random_range(0..3) {
        0 => format!(
            r#"{{"id":"p{id}","properties":[{}],"segments":[{{"id":"s"}}],{}}}"#,
            properties.join(","),
            field(random, "privacyLegislation")
        ),
        1 => format!(
            r#"{{"date":"2025-04-15T11:21:33.{:03}Z","objectType":"LISTENER","operation":"UPDATE",{},"objects":[{}]}}"#,
            id % 1000,
            field(random, "userName"),
            object(random, &["id", "name"])
        ),
        _ => format!(r#"{{"id":"s{id}","tags":["t"],{}}}"#, field(random, "name")),
    }
}

const NAMES: [&str; 16] = [
    "id",
    "id",
    "properties",
    "segments",
    "replacedBy",
    "replaces",
    "creationDate",
    "date",
    "objects",
    "userName",
    "username",
    "name",
    "tags",
    "profileCount",
    "permissions",
    "other",
];

/// One element of a kind, the rest by chance.
fn element(kind: u8, seed: u32) -> Vec<u8> {
    let random = &mut StdRng::seed_from_u64(u64::from(seed));
    match kind {
        0 => likely(random).into_bytes(),
        // Fields of any type, some of them twice.
        1 => object(random, &NAMES).into_bytes(),
        2 => pick(random, &VALUES).into(),
        3 => pick(random, &BROKEN).to_vec(),
        4 => nested(random),
        5 => format!(
            r#"{{"id":"a","name":"{}"}}"#,
            "x".repeat(random.random_range(1..2 * LARGEST))
        )
        .into_bytes(),
        6 => format!(
            r#"{{"name":"\q{}"}}"#,
            "x".repeat(random.random_range(1..2 * LARGEST))
        )
        .into_bytes(),
        7 => format!(
            "{}{}",
            "9".repeat(random.random_range(1..600)),
            "\n".repeat(random.random_range(0..9))
        )
        .into_bytes(),
        _ => [
            pick(random, &BROKEN),
            &b" \t\r\n".repeat(random.random_range(0..500)),
        ]
        .concat(),
    }
}

/// Brackets in brackets; now and then a hundred thousand of them.
fn nested(random: &mut StdRng) -> Vec<u8> {
    let levels = if random.random_bool(0.005) {
        100_000
    } else {
        random.random_range(1..3000)
    };
    let (open, close) = if random.random_bool(0.5) {
        ("[", "]")
    } else {
        ("{\"a\":", "}")
    };
    let inner = if open == "[" { "" } else { "1" };
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels)).into_bytes()
}

/// What happens to a body on its way.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Byte(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    ByteOrderMark,
    Appended(u8),
}

impl Damage {
    fn to(&self, body: &mut Vec<u8>) {
        let at = |index: &Index, body: &[u8]| index.index(body.len());
        if body.is_empty() {
            // An earlier cut left nothing to damage.
            return;
        }
        match self {
            Self::Cut(index) => body.truncate(at(index, body)),
            Self::Byte(index, byte) => {
                let at = at(index, body);
                body[at] = *byte;
            }
            Self::Insert(index, bytes) => {
                let at = at(index, body);
                body.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(index) => {
                body.remove(at(index, body));
            }
            Self::ByteOrderMark => {
                body.splice(0..0, *b"\xef\xbb\xbf");
            }
            Self::Appended(byte) => body.push(*byte),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let structure = prop::sample::select(&b"{}[],:\"\\ \0\xffn1"[..]);
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), structure.clone()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<Index>(), prop::collection::vec(structure.clone(), 1..4))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        any::<Index>().prop_map(Damage::Remove),
        Just(Damage::ByteOrderMark),
        structure.prop_map(Damage::Appended),
    ]
}

fn envelope(form: u8, elements: &[u8]) -> Vec<u8> {
    let (head, tail): (&[u8], &[u8]) = match form {
        0 => (br#"{"nextCursor":"a+b=","totalResults":9,"profiles":["#, b"]}"),
        1 => (
            br#" {"links":[{"profiles":[1,"]}"]}],"profiles" : [ "#,
            br#" ] , "nextCursor" : null} "#,
        ),
        2 => (br#"{"profiles":["#, br#"],"profiles":[],"totalResults":1e99}"#),
        _ => (br#"{"\u0070rofiles":["#, b"],\"x\":\"\xff\"}\r\n"),
    };
    [head, elements, tail].concat()
}

#[test]
fn ten_thousand_bodies_are_read_alike_in_any_chunks_and_never_taken_for_whole_when_cut() {
    let elements = prop::collection::vec((0_u8..9, any::<u32>()), 0..7);
    let lengths = prop_oneof![
        3 => prop::collection::vec(1_usize..200, 1..5),
        1 => Just(vec![1]),
        1 => prop::collection::vec(1_usize..9000, 1..3),
    ];
    let damages = prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(damage(), 1..3)];
    let config = Config {
        cases: 10_000,
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(elements in elements, form in 0_u8..4, lengths in lengths, damages in damages)| {
        let made: Vec<Vec<u8>> = elements.iter().map(|(kind, seed)| element(*kind, *seed)).collect();
        let mut body = envelope(form, &made.join(&b','));
        let sent = body.clone();
        for damage in &damages {
            damage.to(&mut body);
        }
        // Byte for byte costs a look for each: only where that ends.
        let lengths = if body.len() > 600 { vec![lengths[0].max(body.len() / 40)] } else { lengths };
        let read = check(&body, &lengths, LARGEST);
        if damages.is_empty() {
            prop_assert!(read.end.is_ok(), "{:?}", read.end);
            prop_assert_eq!(read.elements.len() + read.broken.len(), elements.len());
        }
        if let [Damage::Cut(_)] = damages[..] {
            let whole = sent[body.len()..].trim_ascii().is_empty();
            prop_assert_eq!(read.end.is_ok(), whole, "a cut body was taken for whole");
        }
    });
}

#[test]
fn the_key_of_an_audit_event_says_what_happened_and_nothing_else() {
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(seed in any::<u64>())| {
        check_event(likely(&mut StdRng::seed_from_u64(seed)).as_bytes());
    });
}

/// PostgreSQL is a stricter reader than most.
#[tokio::test]
async fn whatever_becomes_a_row_can_be_stored() {
    let db = fixture().await;
    for (name, slot) in [
        ("profiles", PROFILES_FULL),
        ("audit_events", AUDIT),
        ("segments", SEGMENTS),
    ] {
        let resource = resources()
            .iter()
            .find(|one| one.resource().name() == name)
            .unwrap();
        let (lease, walk) = db.walk(slot).await;
        let mut loader = db
            .store
            .loader(resource.resource().table(), &lease, Some(walk))
            .await
            .unwrap();
        let mut rows = 0;
        for round in 0..10_u32 {
            let mut batch = Batch::default();
            let made = (0..400).map(|seed| element(u8::from(seed % 4 == 0), round * 1000 + seed));
            let is_read = |element: &Vec<u8>| {
                let read = reader::read([&envelope(0, element)[..]], LARGEST, true);
                !read.elements.is_empty()
            };
            let elements: Vec<Vec<u8>> = made.filter(is_read).collect();
            let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
            reader::decode(resource, &elements, &mut batch);
            rows += batch.rows.len();
            loader.load(batch, None).await.unwrap();
        }
        assert!(rows > 200, "only {rows} rows of `{name}`");
    }
}

/// A hundred million bytes in one place, made while they are read.
fn endless(head: &[u8], filling: u8, tail: &[u8]) -> reader::Read {
    let chunk = vec![filling; 1 << 20];
    let chunks = std::iter::once(head)
        .chain(std::iter::repeat_n(&chunk[..], 100))
        .chain(std::iter::once(tail));
    reader::read(chunks, 1 << 20, false)
}

#[test]
fn a_hundred_megabytes_in_one_text_are_never_held() {
    for (head, filling, tail, broken) in [
        (
            &br#"{"profiles":[{"id":"a","name":""#[..],
            b'x',
            &br#""},{"id":"b"}]}"#[..],
            1,
        ),
        (br#"{"more":""#, b'x', br#"","profiles":[{},{}]}"#, 0),
    ] {
        let read = endless(head, filling, tail);
        assert_eq!(read.end.unwrap().elements(), 2);
        assert_eq!(read.broken.len(), broken);
        let bound = reader::bound(1 << 20, 1 << 20);
        assert!(read.held <= bound, "{} bytes held, {bound} allowed", read.held);
    }
    // A cursor is believed up to 64 KiB.
    assert!(
        endless(br#"{"nextCursor":""#, b'x', br#"","profiles":[]}"#)
            .end
            .is_err()
    );
}
