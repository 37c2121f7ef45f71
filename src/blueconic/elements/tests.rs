//! Bodies of every shape, cut at every byte: the walker's elements must not depend on the cuts, and only a whole body may be
//! attested.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const LARGEST: usize = 1 << 20;

/// The result of walking a body.
#[derive(Debug, PartialEq)]
struct Read {
    elements: Vec<Vec<u8>>,
    /// By length, since elements that are cut off and others take two paths.
    broken: Vec<(RejectReason, u64, [u8; 32])>,
    end: Result<(Head, u64), ()>,
}

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, largest: usize) -> (Read, Option<Malformed>) {
    let mut walker = Elements::new(&["profiles"], largest, None);
    let mut read = Read {
        elements: Vec::new(),
        broken: Vec::new(),
        end: Err(()),
    };
    let mut drain = |walker: &mut Elements| -> Result<(), Malformed> {
        while let Some(block) = walker.take()? {
            for range in &block.elements {
                let element = &block.bytes[range.clone()];
                // A decoder rejects an element that is not JSON.
                if serde_json::from_slice::<&serde_json::value::RawValue>(element).is_ok() {
                    read.elements.push(element.to_vec());
                } else {
                    let broken = (RejectReason::NotJson, element.len() as u64, sha(element));
                    read.broken.push(broken);
                }
            }
            let broken = block.broken.iter();
            read.broken
                .extend(broken.map(|broken| (broken.reason, broken.length, broken.sha256)));
            read.broken
                .sort_unstable_by_key(|(_, length, sha256)| (*length, *sha256));
        }
        Ok(())
    };
    for chunk in chunks {
        walker.push(chunk);
        if let Err(malformed) = drain(&mut walker) {
            return (read, Some(malformed));
        }
    }
    walker.end();
    if let Err(malformed) = drain(&mut walker) {
        return (read, Some(malformed));
    }
    match walker.whole() {
        Ok(end) => {
            read.end = Ok((end.head().clone(), end.elements()));
            (read, None)
        }
        Err(malformed) => (read, Some(malformed)),
    }
}

fn texts(read: &Read) -> Vec<&str> {
    let texts = read
        .elements
        .iter()
        .map(|element| std::str::from_utf8(element).unwrap());
    texts.collect()
}

fn whole(body: &str) -> (Read, Option<Malformed>) {
    read([body.as_bytes()], LARGEST)
}

fn sha(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[test]
fn the_envelope_may_come_in_any_order_and_with_anything_beside_it() {
    let bodies = [
        r#"{"nextCursor":"a+b=","totalResults":3,"profiles":[{"id":"1"},[2,3],"x"]}"#,
        r#"{ "profiles" : [ {"id":"1"} , [2,3] , "x" ] , "totalResults" : "3" , "nextCursor" : "a+b=" } "#,
        "{\"links\":[{\"profiles\":[1]}],\"totalResults\":3,\n\"profiles\":[{\"id\":\"1\"},[2,3],\"x\"],\"more\":{\"a\":\"}]\"},\"nextCursor\":\"a\\u002bb=\"}\r\n",
    ];
    for body in bodies {
        let (read, malformed) = whole(body);
        assert_eq!(malformed, None, "{body}");
        assert_eq!(texts(&read), [r#"{"id":"1"}"#, "[2,3]", r#""x""#]);
        let (head, count) = read.end.unwrap();
        assert_eq!(
            (head.next_cursor.as_deref(), head.total_results, count),
            (Some("a+b="), Some(3), 3)
        );
    }
}

#[test]
fn every_cut_gives_the_same() {
    let bodies: [&[u8]; 7] = [
        br#" {"a":[{}],"nextCursor":"c\"\\","profiles":[{"id":"a\\\"]}"}, 12 ,-1.5e3,null,true,[[]],"s" ],"totalResults":7}"#,
        br#"{"profiles":[],"totalResults":0}"#,
        br#"{"totalResults":null,"nextCursor":null,"profiles":[{"id":"\ud83d\ude00 \u0000 \ud800"}]} "#,
        br#"{"profiles":[{"a":"\x"},{"b":NaN},{"c":1},tru,{"d":1} x,12]}"#,
        b"{\"profiles\":[{\"a\":\"\xff\"},{\"b\":\"\n\"},{\"c\":\"\xc3\xa4\"}]}",
        br#"{"profiles":[{"much":"too large for the bound"} , {"id":1}]}"#,
        br#"{"error":{"x":[1,2,{"y":"]"}]},"profiles":[1,2,3]}"#,
    ];
    for body in bodies {
        let expected = read([body], 20);
        assert_eq!(expected.1, None);
        for cut in 0..=body.len() {
            assert_eq!(read([&body[..cut], &body[cut..]], 20), expected, "cut at {cut}");
        }
        assert_eq!(read(body.chunks(1), 20), expected);
    }
}

#[test]
fn no_truncated_body_is_whole() {
    let body =
        br#"{"nextCursor":"x","profiles":[{"id":"1"},{"a":"\x"},{"id":"2"}],"totalResults":2,"links":[]}"#;
    for end in 0..body.len() {
        let (read, malformed) = read([&body[..end]], LARGEST);
        assert!(read.end.is_err() && malformed.is_some(), "cut at {end}");
    }
}

#[test]
fn broken_elements_are_carried_to_their_end() {
    let (read, malformed) = whole(r#"{"profiles":[{"id":1},{"bad":"\q ]}"} ,{"id":2},undefined,{"id":3}]}"#);
    assert_eq!(malformed, None);
    assert_eq!(texts(&read), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]);
    let bad = r#"{"bad":"\q ]}"}"#.as_bytes();
    assert_eq!(
        read.broken,
        [
            (RejectReason::NotJson, 9, sha(b"undefined")),
            (RejectReason::NotJson, 15, sha(bad)),
        ]
    );
    assert_eq!(read.end.unwrap().1, 5);
}

#[test]
fn a_lost_structure_is_a_garbled_body() {
    for body in [
        r#"{"profiles":[{"a":1]]}"#,
        r#"{"profiles":[{"a":1}}]}"#,
        r#"{"profiles":[{"a":1},]}"#,
        r#"{"profiles":[,{"a":1}]}"#,
        r#"{"profiles":[{"a":1} {"b":2}}"#,
        r#"{"profiles":[1]}}"#,
        r#"{"profiles":[1]}x"#,
        r#"{"profiles":[1],}"#,
        r#"{"profiles":[1] "a":2}"#,
        "{profiles:[1]}",
        r#"{"profiles":{"a":1}}"#,
        r#"{"nextCursor":{"a":1},"profiles":[]}"#,
        r#"{"nextCursor":"a","nextCursor":"b","profiles":[]}"#,
        r#"{"more":[},"profiles":[]}"#,
    ] {
        let (read, malformed) = whole(body);
        assert!(read.end.is_err(), "{body}");
        assert!(
            matches!(malformed, Some(Malformed::Garbled { .. })),
            "{body}: {malformed:?}"
        );
    }
}

#[test]
fn an_answer_of_something_else_says_so() {
    for (body, why) in [
        (
            "<html>\n<b>Sign in</b>",
            "not a JSON object: <html> <b>Sign in</b>",
        ),
        ("", "the answer is empty"),
        ("[1]", "not a JSON object"),
        (r#"{"message":"no"}"#, "no \"profiles\" array, but `message`"),
        (r#"{"totalResults":4}"#, "no \"profiles\" array"),
        (r#"{"nextCursor":"a"}"#, "no \"profiles\" array"),
    ] {
        let (_, malformed) = whole(body);
        assert!(
            matches!(&malformed, Some(Malformed::Foreign { why: found }) if found.contains(why)),
            "{body}: {malformed:?}"
        );
    }
}

#[test]
fn an_absent_array_is_an_empty_page_where_nothing_speaks_against_it() {
    for body in [
        "{}",
        r#"{"totalResults":0,"links":[]}"#,
        r#"{"profiles":null,"totalResults":0}"#,
    ] {
        let (read, malformed) = whole(body);
        assert_eq!(malformed, None, "{body}");
        assert_eq!(read.end.unwrap().1, 0);
    }
}

#[test]
fn a_second_array_is_read_like_the_first() {
    let (read, _) = whole(r#"{"profiles":[1],"profiles":[2]}"#);
    assert_eq!(texts(&read), ["1", "2"]);
    assert_eq!(read.end.unwrap().1, 2);
}

#[test]
fn depth_and_huge_numbers_need_no_stack() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let number = "9".repeat(5000);
    let (read, malformed) = whole(&format!(
        r#"{{"deep":{nested},"profiles":[{nested},{number},-0.{number}e{number}]}}"#
    ));
    assert_eq!(malformed, None);
    assert_eq!(read.elements.len(), 3);
    let open = "[".repeat(100_000);
    assert!(whole(&format!(r#"{{"profiles":[{open}"#)).1.is_some());
}

#[test]
fn an_element_of_100_mb_is_passed_by_with_bounded_memory() {
    let mut walker = Elements::new(&["profiles"], LARGEST, None);
    let mut expected = Sha256::new();
    let chunk = vec![b'a'; 64 * 1024];
    let mut most = 0;
    let mut broken = Vec::new();
    let mut elements = 0;
    let mut take = |walker: &mut Elements| {
        while let Some(block) = walker.take().unwrap() {
            elements += block.elements.len();
            broken.extend(block.broken);
        }
        most = most.max(walker.buffer.capacity());
    };
    walker.push(br#"{"profiles":[{"id":1},{"text":""#);
    expected.update(br#"{"text":""#);
    for _ in 0..1600 {
        walker.push(&chunk);
        expected.update(&chunk);
        if !walker.is_hungry() {
            take(&mut walker);
        }
    }
    walker.push(br#""},{"id":2}]}"#);
    expected.update(br#""}"#);
    walker.end();
    take(&mut walker);
    assert_eq!(elements, 2);
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].reason, RejectReason::TooLarge);
    assert_eq!(broken[0].length, 1600 * 65536 + 11);
    assert_eq!(broken[0].head.len(), 64 * 1024);
    assert_eq!(broken[0].sha256, <[u8; 32]>::from(expected.finalize()));
    assert!(most < 4 * LARGEST, "the buffer grew to {most} bytes");
    assert_eq!(walker.whole().unwrap().elements(), 3);
}

#[test]
fn endless_values_whitespace_and_keys_are_not_gathered() {
    let (blank, open) = (vec![b' '; 64 * 1024], vec![b'['; 64 * 1024]);
    for (head, filling) in [
        (&br#"{"more":["#[..], &open),
        (br#"{"profiles":["#, &blank),
        (br#"{"profiles":[1"#, &blank),
        (br#"{"nextCursor":"a""#, &blank),
        (b"{", &blank),
    ] {
        let mut walker = Elements::new(&["profiles"], LARGEST, None);
        walker.push(head);
        for _ in 0..200 {
            walker.push(filling);
            while !walker.is_hungry() && walker.take().unwrap().is_some() {}
            assert!(
                walker.buffer.len() <= 2 * LARGEST,
                "{}",
                String::from_utf8_lossy(head)
            );
        }
    }
    for head in [&b"{\""[..], br#"{"nextCursor":""#] {
        let mut walker = Elements::new(&["profiles"], LARGEST, None);
        walker.push(head);
        let refused = (0..200).any(|_| {
            walker.push(&[b'a'; 1024]);
            walker.take().is_err()
        });
        assert!(refused);
    }
}

#[test]
fn an_element_over_many_chunks_is_not_measured_for_each() {
    let mut walker = Elements::new(&["profiles"], 64 << 20, None);
    walker.push(br#"{"profiles":[""#);
    let mut looks = 0;
    for _ in 0..8 * 1024 {
        walker.push(&[b'a'; 4096]);
        if !walker.is_hungry() {
            looks += 1;
            assert!(walker.take().unwrap().is_none());
        }
    }
    assert!(looks < 20, "{looks} looks at an element of 32 MiB");
}

#[test]
fn the_cursor_is_known_before_the_elements_are_read() {
    let mut walker = Elements::new(&["profiles"], LARGEST, None);
    walker.push(br#"{"nextCursor":"abc","profiles":[{"id":1},"#);
    assert!(walker.take().unwrap().is_some());
    assert_eq!(walker.head().next_cursor.as_deref(), Some("abc"));
    assert!(walker.whole().is_err());
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Cuts bytes into chunks of these lengths, repeatedly.
fn chunks<'a>(body: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut rest = body;
    for length in lengths.iter().cycle() {
        let (chunk, behind) = rest.split_at((*length).min(rest.len()));
        chunks.push(chunk);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    chunks
}

proptest! {
    #[test]
    fn generated_bodies_come_out_as_they_went_in(
        elements in prop::collection::vec(json(), 0..12),
        beside in json(),
        pretty in any::<bool>(),
        lengths in prop::collection::vec(1_usize..60, 1..6),
    ) {
        let body = serde_json::json!({ "a": beside, "profiles": elements, "totalResults": elements.len() });
        let body = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        let (read, malformed) = read(chunks(&body, &lengths), LARGEST);
        prop_assert_eq!(malformed, None);
        let back: Vec<serde_json::Value> =
            read.elements.iter().map(|element| serde_json::from_slice(element).unwrap()).collect();
        let sent: Vec<serde_json::Value> =
            elements.iter().map(|element| serde_json::from_str(&element.to_string()).unwrap()).collect();
        prop_assert_eq!(back, sent);
        prop_assert_eq!(read.end.unwrap().1, elements.len() as u64);
    }

    #[test]
    fn a_truncated_body_never_yields_its_proof(
        elements in prop::collection::vec(json(), 0..6),
        share in 0.0..1.0_f64,
        lengths in prop::collection::vec(1_usize..60, 1..6),
    ) {
        let body = serde_json::json!({ "profiles": elements, "z": 1 }).to_string();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small length")]
        let end = (share * body.len() as f64) as usize;
        let (read, _) = read(chunks(&body.as_bytes()[..end], &lengths), LARGEST);
        prop_assert!(read.end.is_err());
    }

    #[test]
    fn damaged_bodies_neither_panic_nor_differ_by_their_cuts(
        elements in prop::collection::vec(json(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        lengths in prop::collection::vec(1_usize..60, 1..6),
    ) {
        let mut body = serde_json::json!({ "profiles": elements, "z": 1 }).to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let (at_once, _) = read([&body[..]], LARGEST);
        let (in_chunks, _) = read(chunks(&body, &lengths), LARGEST);
        prop_assert_eq!(&at_once.end, &in_chunks.end);
        if at_once.end.is_ok() {
            prop_assert_eq!(at_once, in_chunks);
        }
    }

    #[test]
    fn garbage_is_survived(
        body in prop::collection::vec(prop::sample::select(&b"{}[]\",:\\ an1\xff\"profiles\""[..]), 0..200),
        lengths in prop::collection::vec(1_usize..20, 1..4),
    ) {
        let body = [&br#"{"profiles":["#[..], &body].concat();
        let at_once = read([&body[..]], 50);
        let in_chunks = read(chunks(&body, &lengths), 50);
        prop_assert_eq!(at_once.0.end.is_ok(), in_chunks.0.end.is_ok());
    }
}
