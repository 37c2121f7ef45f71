//! Generates the properties of a profile for a [`Sink`]: one sink writes them as JSON directly into a buffer,
//! the other collects them as the expected data, so that both are always equal.

use std::sync::LazyLock;

use crate::base::{Base, Facts, signed};
use crate::catalogue::Kind;
use crate::dates::DAY;
use crate::identity::{GOLDEN, mix, pick, uuid_text, word};
use crate::truth::Property;
use crate::vocabulary as words;

/// Receives properties; a value arrives in parts between `open` and `close`.
pub(crate) trait Sink {
    /// Starts a property, by its place in the catalogue.
    fn property(&mut self, slot: usize);
    /// Starts a value.
    fn open(&mut self);
    /// A part of the value without characters that JSON escapes.
    fn plain(&mut self, part: &str);
    /// A part of the value.
    fn text(&mut self, part: &str);
    /// A part of the value.
    fn number(&mut self, number: u64);
    /// Ends the value.
    fn close(&mut self);
    /// Ends the property.
    fn end(&mut self);
}

/// Generates the requested properties of a profile, in the order of the catalogue.
pub(crate) fn tell(base: &Base, facts: &Facts, wanted: impl Fn(usize) -> bool, sink: &mut impl Sink) {
    if !facts.has_properties {
        return;
    }
    for (slot, property) in base.slots.iter().enumerate() {
        let hash = mix(facts.key.wrapping_add((slot as u64 + 1).wrapping_mul(GOLDEN)));
        let absent =
            hash & 0xff >= property.share || (matches!(property.kind, Kind::Created) && !facts.has_created);
        if absent || !wanted(slot) {
            continue;
        }
        sink.property(slot);
        let chance = mix(hash ^ 0x0dd);
        if chance % 1000 < base.odd_values_per_thousand
            && !matches!(property.kind, Kind::Created | Kind::Modified)
        {
            odd(property.definition.filter_type, chance / 1000, sink);
        } else {
            values(base, facts, property.kind, hash >> 8, sink);
        }
        sink.end();
    }
}

fn values(base: &Base, facts: &Facts, kind: Kind, hash: u64, sink: &mut impl Sink) {
    match kind {
        Kind::Several(choices, most) => return several(choices, most, hash, sink),
        Kind::Channels => {
            for channel in 0..hash % 4 {
                sink.open();
                let id: &String = pick(CHANNELS.as_slice(), (hash >> 8) + channel);
                sink.plain(id);
                sink.close();
            }
            return;
        }
        _ => sink.open(),
    }
    match kind {
        Kind::Created => date(facts.created, sink),
        Kind::Modified => date(facts.modified, sink),
        Kind::Date(days) => date(facts.origin - signed(hash) % (signed(days) * DAY), sink),
        Kind::Birthday => date(DAY * (signed(hash) % 20_000 - 8_000), sink),
        Kind::Number(below) => sink.number(hash % below),
        Kind::Decimal(below) => decimal(hash % below, sink),
        Kind::Choice(choices) => sink.text(word(choices, hash)),
        Kind::Legislation => sink.plain(facts.legislation.unwrap_or("NONE")),
        Kind::Note => note(base, hash, sink),
        Kind::EntryPages => entry_pages(hash, sink),
        Kind::Phone => {
            sink.plain("+31 6 ");
            sink.number(10_000_000 + hash % 90_000_000);
        }
        Kind::Email | Kind::FirstName | Kind::LastName | Kind::FullName => name(facts, kind, sink),
        Kind::Several(..) | Kind::Channels => {}
    }
    sink.close();
}

/// Texts in place of numbers, and numbers that not every type holds.
const ODD_NUMBERS: [&str; 9] = [
    "n/a",
    "12.5",
    "12,50",
    "",
    "12345678901234567890",
    "NaN",
    "1e3",
    " 12 ",
    "2024-02-29",
];
/// Texts in place of milliseconds.
const ODD_DATES: [&str; 5] = [
    "2024-02-29",
    "2024-02-29T12:00:00Z",
    "n/a",
    "",
    "12345678901234567890",
];
/// Any text.
const ODD_TEXTS: [&str; 3] = ["", "👩‍👩‍👧", "\u{202e}txt.exe"];
/// The length of a long text.
const LONG_TEXT: usize = 65_000;

/// An odd value, or none.
fn odd(filter_type: Option<&str>, hash: u64, sink: &mut impl Sink) {
    if hash.is_multiple_of(11) {
        return;
    }
    sink.open();
    match filter_type {
        Some("RANGE" | "DECIMAL" | "CURRENCY") => sink.text(word(&ODD_NUMBERS, hash)),
        Some("DATETIME") => sink.text(word(&ODD_DATES, hash)),
        _ if hash.is_multiple_of(5) => sink.plain(&"x".repeat(LONG_TEXT)),
        _ => sink.text(word(&ODD_TEXTS, hash)),
    }
    sink.close();
}

/// The ids of the channels that profiles visited.
static CHANNELS: LazyLock<[String; 5]> =
    LazyLock::new(|| std::array::from_fn(|channel| uuid_text(0xc4a + channel as u64)));

/// A date as the API writes it in a property: milliseconds as text, before 1970 with a minus.
fn date(milliseconds: i64, sink: &mut impl Sink) {
    if milliseconds < 0 {
        sink.plain("-");
    }
    sink.number(milliseconds.unsigned_abs());
}

fn decimal(hundredths: u64, sink: &mut impl Sink) {
    sink.number(hundredths / 100);
    sink.plain(if hundredths % 100 < 10 { ".0" } else { "." });
    sink.number(hundredths % 100);
}

fn several(choices: &[&'static str], most: u64, hash: u64, sink: &mut impl Sink) {
    let count = hash % most;
    let first = hash >> 8;
    for further in 0..count {
        sink.open();
        sink.text(word(choices, first + further));
        sink.close();
    }
}

fn name(facts: &Facts, kind: Kind, sink: &mut impl Sink) {
    let (first, login) = pick(&words::FIRST_NAMES, facts.key >> 8);
    let (last, domain) = pick(&words::LAST_NAMES, facts.key >> 16);
    match kind {
        Kind::FirstName => sink.text(first),
        Kind::LastName => sink.text(last),
        Kind::FullName => {
            sink.text(first);
            sink.plain(" ");
            sink.text(last);
        }
        _ => {
            sink.plain(login);
            sink.plain(".");
            sink.plain(domain);
            sink.number(facts.key >> 40);
            sink.plain("@mail.example");
        }
    }
}

fn entry_pages(hash: u64, sink: &mut impl Sink) {
    let hosts = 1 + (hash >> 16) % 3;
    for host in 0..hosts {
        sink.text(if host == 0 { "{\"" } else { ",\"" });
        sink.plain(word(&words::SITES, hash + host));
        sink.text("\":{\"entrypage\":\"");
        sink.plain(word(&words::PAGES, (hash >> 8) + host));
        sink.text("\"}");
    }
    sink.text("}");
}

/// Two to six sentences, for one profile of 128 a long letter.
fn note(base: &Base, hash: u64, sink: &mut impl Sink) {
    let sentences = if hash.is_multiple_of(128) {
        60
    } else {
        2 + (hash >> 7) % 5
    };
    for sentence in 0..sentences {
        if sentence > 0 {
            sink.text("\n");
        }
        sink.text(word(&words::SENTENCES, (hash >> 16) + sentence * 3));
    }
    if base.zero_characters && hash % 50 == 1 {
        sink.text("\0end");
    }
}

/// Collects the properties.
#[derive(Debug)]
pub(crate) struct Collector<'base> {
    base: &'base Base,
    pub(crate) properties: Vec<Property>,
    value: String,
}

impl<'base> Collector<'base> {
    pub(crate) fn new(base: &'base Base) -> Self {
        Self {
            base,
            properties: Vec::new(),
            value: String::new(),
        }
    }
}

impl Sink for Collector<'_> {
    fn property(&mut self, slot: usize) {
        let id = self.base.slots[slot].definition.id.clone();
        self.properties.push(Property {
            id,
            values: Vec::new(),
        });
    }

    fn open(&mut self) {
        self.value.clear();
    }

    fn plain(&mut self, part: &str) {
        self.value.push_str(part);
    }

    fn text(&mut self, part: &str) {
        self.value.push_str(part);
    }

    fn number(&mut self, number: u64) {
        self.value.push_str(&number.to_string());
    }

    fn close(&mut self) {
        if let Some(property) = self.properties.last_mut() {
            property.values.push(self.value.clone());
        }
    }

    fn end(&mut self) {}
}
