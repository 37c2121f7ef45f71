//! Generates profiles in every form, and damages them. Knows nothing of the readers.

use rand::RngExt as _;
use rand::rngs::StdRng;

/// White space between two tokens.
const SPACES: [&str; 5] = ["", "", "", " ", "\r\n\t "];
/// Strings within quotes: common ones, and special ones.
const TEXTS: [&str; 24] = [
    "a",
    "b",
    "email",
    "lastmodifieddate",
    "creationdate",
    "same eight bytes 1",
    "same eight bytes 2",
    "1679913371990",
    "2024-07-18T00:44:47.779Z",
    "https://www.example.com/products?category=shoes&sort=price&and=so+on+for+long",
    "佐藤 🎵",
    "\\u4f50\\u85E4 \\ud83c\\udfb5",
    "{\\\"shop\\\":\\\"x\\\"}",
    "\\n1\\t",
    "\\b\\f\\r\\\\",
    "\\/",
    "\\u0041",
    "\\u001f",
    "\\u007f",
    "\u{7f}",
    "",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
];
/// Values in place of a string.
const OTHERS: [&str; 14] = [
    "null",
    "null",
    "1",
    "-0.50",
    "1e400",
    "12345678901234567890123",
    "true",
    "false",
    "{}",
    "[]",
    "[\"x\"]",
    "{\"id\":\"x\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "{\"a\":[{},{\"\\ud800\":-1.5E+3}]}",
];
/// Bytes that damage inserts.
const PIECES: [&[u8]; 30] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\0",
    b"\n",
    b"\x1f",
    b" ",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"\\ud800",
    b"\\u00",
    b"null",
    b"tru",
    b"01",
    b"-",
    b"1e",
    b".5",
    b"\"id\":\"a\",",
    b",\"id\":\"a\"",
    b"\"segments\":null,",
    b"{\"id\":\"",
    b"\"values\":[",
];

fn pick<T: Copy>(random: &mut StdRng, from: &[T]) -> T {
    from[random.random_range(0..from.len())]
}

/// A profile in valid JSON, which can usually be stored.
pub(super) fn profile(random: &mut StdRng) -> String {
    let mut members = vec![("id", text(random))];
    for (key, chance) in [
        ("creationDate", 0.5),
        ("privacyLegislation", 0.3),
        ("consentedObjectives", 0.4),
        ("refusedObjectives", 0.3),
        ("permissions", 0.4),
        ("properties", 0.9),
        ("segments", 0.6),
        ("replacedBy", 0.1),
        ("replaces", 0.3),
        ("unknown", 0.2),
        ("id", 0.01),
    ] {
        if random.random_bool(chance) {
            members.push((key, member(random, key)));
        }
    }
    object(random, members)
}

fn member(random: &mut StdRng, key: &str) -> String {
    if random.random_bool(0.02) {
        return pick(random, &OTHERS).to_owned();
    }
    match key {
        "consentedObjectives" | "refusedObjectives" | "replaces" => list(random, value),
        "permissions" => nested(random, "level"),
        "properties" => list(random, property),
        "segments" => list(random, segment),
        "unknown" => pick(random, &OTHERS).to_owned(),
        _ => value(random),
    }
}

fn property(random: &mut StdRng) -> String {
    if random.random_bool(0.5) {
        let values = random.random_range(0..3);
        let values: Vec<String> = (0..values).map(|_| text(random)).collect();
        return format!("{{\"id\":{},\"values\":[{}]}}", text(random), values.join(","));
    }
    let mut members = vec![("id", value(random))];
    if random.random_bool(0.9) {
        members.push(("values", list(random, value)));
    }
    object(random, members)
}

fn segment(random: &mut StdRng) -> String {
    if random.random_bool(0.2) {
        value(random)
    } else {
        nested(random, "id")
    }
}

fn nested(random: &mut StdRng, key: &'static str) -> String {
    let mut members = vec![("name", value(random))];
    if random.random_bool(0.9) {
        members.push((key, value(random)));
    }
    object(random, members)
}

fn value(random: &mut StdRng) -> String {
    if random.random_bool(0.97) {
        text(random)
    } else {
        pick(random, &OTHERS).to_owned()
    }
}

fn text(random: &mut StdRng) -> String {
    let usual = if random.random_bool(0.97) { 20 } else { TEXTS.len() };
    let text = pick(random, &TEXTS[..usual]);
    let times = if random.random_bool(0.002) { 1100 } else { 1 };
    format!("\"{}\"", text.repeat(times))
}

fn list(random: &mut StdRng, item: fn(&mut StdRng) -> String) -> String {
    let items = random.random_range(0..5);
    let items: Vec<String> = (0..items)
        .map(|_| format!("{}{}{}", space(random), item(random), space(random)))
        .collect();
    format!("[{}{}]", space(random), items.join(","))
}

fn object(random: &mut StdRng, mut members: Vec<(&'static str, String)>) -> String {
    if random.random_bool(0.5) {
        for place in (1..members.len()).rev() {
            members.swap(place, random.random_range(0..=place));
        }
    }
    if random.random_bool(0.01) && !members.is_empty() {
        members.push(members[0].clone());
    }
    let members: Vec<String> = members
        .into_iter()
        .map(|(key, value)| {
            let key = if random.random_bool(0.01) {
                key.replace('i', "\\u0069")
            } else {
                key.to_owned()
            };
            let [one, two, three, four] = std::array::from_fn(|_| space(random));
            format!("{one}\"{key}\"{two}:{three}{value}{four}")
        })
        .collect();
    let spaces = [space(random), space(random)];
    format!("{}{{{}}}{}", spaces[0], members.join(","), spaces[1])
}

fn space(random: &mut StdRng) -> &'static str {
    pick(random, &SPACES)
}

/// Cuts, replaces, inserts or repeats bytes.
pub(super) fn damage(random: &mut StdRng, element: &mut Vec<u8>) {
    let place = random.random_range(0..=element.len());
    let behind = (place + random.random_range(1..4)).min(element.len());
    match random.random_range(0..6) {
        0 => element.truncate(place),
        1 => drop(element.drain(place..behind)),
        2 => drop(element.splice(place..behind, pick(random, &PIECES).iter().copied())),
        3 => drop(element.splice(place..place, element[place..behind].to_vec())),
        4 => drop(element.splice(place..behind, [random.random()])),
        _ => drop(element.splice(place..place, pick(random, &PIECES).iter().copied())),
    }
}
