//! Decodes single fields from raw JSON. Lenient where the vendor is inconsistent (numbers as strings, null for absent),
//! strict where a value does not fit its column. Characters that PostgreSQL cannot store become U+FFFD and are counted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::Time;
use crate::model::drift::UnknownCounts;

use super::dates;
use super::json_text::{self, TooDeep};

/// A field of an element as raw JSON.
pub(super) type RawField<'a> = Option<&'a RawValue>;

/// A sentence about a field with a value that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

/// Decodes the fields of one element and counts replaced characters.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Characters that were replaced by U+FFFD.
    pub(super) replaced: u64,
    /// Fields and values that are not known.
    pub(super) unknown: UnknownCounts,
}

impl Fields {
    /// A string; numbers and booleans are taken as they are written. None for null and absent.
    pub(super) fn text<'a>(&mut self, name: &str, raw: RawField<'a>) -> Result<Option<Cow<'a, str>>, Wrong> {
        let Some(raw) = raw.map(RawValue::get) else {
            return Ok(None);
        };
        match raw.as_bytes().first() {
            Some(b'"') => self
                .unquote(raw)
                .map(Some)
                .ok_or_else(|| wrong(name, "a text", raw)),
            Some(b'n') => Ok(None),
            Some(b'[' | b'{') | None => Err(wrong(name, "a text", raw)),
            Some(_) => Ok(Some(Cow::Borrowed(raw))),
        }
    }

    /// An integer, also as a string or with a fraction of zero.
    pub(super) fn integer(&mut self, name: &str, raw: RawField<'_>) -> Result<Option<i64>, Wrong> {
        let Some(text) = self.text(name, raw)? else {
            return Ok(None);
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let digits = text.split_once('.').map_or(text, |(whole, fraction)| {
            if fraction.bytes().all(|digit| digit == b'0') {
                whole
            } else {
                text
            }
        });
        digits
            .parse()
            .map(Some)
            .map_err(|_| wrong(name, "a whole number", text))
    }

    /// A boolean, also as a string.
    pub(super) fn boolean(&mut self, name: &str, raw: RawField<'_>) -> Result<Option<bool>, Wrong> {
        match self.text(name, raw)?.as_deref() {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(wrong(name, "true or false", other)),
        }
    }

    /// A date; none for an empty string.
    pub(super) fn date(&mut self, name: &str, raw: RawField<'_>) -> Result<Option<Time>, Wrong> {
        match self.text(name, raw)?.as_deref() {
            None | Some("") => Ok(None),
            Some(text) => dates::parse(text)
                .map(Some)
                .ok_or_else(|| wrong(name, "a date", text)),
        }
    }

    /// JSON in a form that PostgreSQL stores; none for null and absent.
    pub(super) fn json<'a>(&mut self, name: &str, raw: RawField<'a>) -> Result<Option<Cow<'a, str>>, Wrong> {
        match raw.map(RawValue::get) {
            None | Some("null") => Ok(None),
            Some(json) => self.storable(name, json).map(Some),
        }
    }

    /// JSON text in a form that PostgreSQL stores.
    pub(super) fn storable<'a>(&mut self, name: &str, json: &'a str) -> Result<Cow<'a, str>, Wrong> {
        json_text::storable(json, &mut self.replaced).map_err(|_| wrong(name, TooDeep::WANTED, json))
    }

    /// An array of strings, without its nulls; empty for null and absent.
    pub(super) fn texts<'a>(&mut self, name: &str, raw: RawField<'a>) -> Result<Vec<Cow<'a, str>>, Wrong> {
        let mut texts = Vec::new();
        for value in array(name, raw)? {
            texts.extend(self.text(name, Some(value))?);
        }
        Ok(texts)
    }

    /// The content of a JSON string, borrowed if it has no escape.
    fn unquote<'a>(&mut self, quoted: &'a str) -> Option<Cow<'a, str>> {
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        let mut decoder = serde_json::Deserializer::from_str(quoted);
        let bytes = decoder.deserialize_bytes(StringBytes).ok()?;
        let (text, replaced) = storable(bytes);
        self.replaced += replaced;
        Some(Cow::Owned(text))
    }
}

/// The most entries of one array. An element of the largest size (`limits.element_size`, 8 MiB) could hold millions of
/// entries of two or three bytes, which would take many times its size in memory. Real arrays stay far below.
pub(super) const MOST_ENTRIES: usize = 100_000;

/// The entries of an array; empty for null and absent.
pub(super) fn array<'a>(name: &str, raw: RawField<'a>) -> Result<Vec<&'a RawValue>, Wrong> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(Vec::new()),
        Some(text) => BoundedList::<&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(text))
            .map(|few| few.0)
            .map_err(|_| {
                if text.starts_with('[') {
                    too_many(name, MOST_ENTRIES)
                } else {
                    wrong(name, "a list", text)
                }
            }),
    }
}

/// A list of at most [`MOST_ENTRIES`].
#[derive(Debug)]
pub(super) struct BoundedList<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BoundedList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedListVisitor(PhantomData))
    }
}

struct BoundedListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BoundedListVisitor<T> {
    type Value = BoundedList<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<BoundedList<T>, A::Error> {
        let mut few = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if few.len() == MOST_ENTRIES {
                return Err(A::Error::custom(format!(
                    "a list has more than {MOST_ENTRIES} entries"
                )));
            }
            few.push(entry);
        }
        Ok(BoundedList(few))
    }
}

/// The sentence about a list that is too long.
pub(super) fn too_many(name: &str, most: usize) -> Wrong {
    Wrong(format!("`{name}` has more than {most} entries"))
}

/// The sentence about a field, with the start of its value.
pub(super) fn wrong(name: &str, wanted: &str, found: &str) -> Wrong {
    let head: String = found.chars().take(40).collect();
    let dots = if head.len() < found.len() { "…" } else { "" };
    Wrong(format!("`{name}` is not {wanted}: {head}{dots}").replace('\0', "\u{fffd}"))
}

/// Converts a decoded JSON string to text. NUL and lone surrogates (three bytes each from `serde_json`, ED A0..BF xx) become
/// one U+FFFD each. Also returns the number of replacements.
fn storable(bytes: Vec<u8>) -> (String, u64) {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => (text, 0),
        Ok(text) => {
            let replaced = text.matches('\0').count() as u64;
            (text.replace('\0', "\u{fffd}"), replaced)
        }
        Err(error) => replace_surrogates(error.as_bytes()),
    }
}

fn replace_surrogates(bytes: &[u8]) -> (String, u64) {
    let mut text = String::with_capacity(bytes.len());
    let mut replaced = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (valid, after) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, &rest[rest.len()..]),
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                (std::str::from_utf8(valid).unwrap_or_default(), bad)
            }
        };
        replaced += valid.matches('\0').count() as u64;
        text.push_str(&valid.replace('\0', "\u{fffd}"));
        if !after.is_empty() {
            replaced += 1;
            text.push('\u{fffd}');
        }
        rest = after.get(3..).unwrap_or_default();
    }
    (text, replaced)
}

/// Deserializes a JSON string as bytes: only so does `serde_json` accept lone surrogates.
struct StringBytes;

impl Visitor<'_> for StringBytes {
    type Value = Vec<u8>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    fn text(json: &str) -> (Result<Option<String>, Wrong>, u64) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut fields = Fields::default();
        let text = fields.text("f", Some(raw)).map(|text| text.map(Cow::into_owned));
        (text, fields.replaced)
    }

    #[test]
    fn what_postgres_cannot_store_becomes_one_replacement_character_each_and_is_counted() {
        assert_eq!(text(r#""plain ü 😀""#), (Ok(Some("plain ü 😀".into())), 0));
        assert_eq!(text(r#""\ud83d\ude00 \n""#), (Ok(Some("😀 \n".into())), 0));
        assert_eq!(
            text(r#""a\u0000b\u0000""#),
            (Ok(Some("a\u{fffd}b\u{fffd}".into())), 2)
        );
        assert_eq!(text(r#""a\ud800b""#), (Ok(Some("a\u{fffd}b".into())), 1));
        assert_eq!(
            text(r#""\udc00\ud800\u0000x""#),
            (Ok(Some("\u{fffd}\u{fffd}\u{fffd}x".into())), 3)
        );
    }

    #[test]
    fn numbers_and_truth_values_are_texts_as_written_and_null_is_none() {
        assert_eq!(text("1.50").0, Ok(Some("1.50".into())));
        assert_eq!(
            text("123456789012345678901234567890").0,
            Ok(Some("123456789012345678901234567890".into()))
        );
        assert_eq!(text("true").0, Ok(Some("true".into())));
        assert_eq!(text("null").0, Ok(None));
        assert!(text("{}").0.is_err());
    }

    #[test]
    fn a_list_has_a_longest_length() {
        let list = |entries: usize| format!("[{}1]", "1,".repeat(entries - 1));
        let read = |json: &str| {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            array("f", Some(raw)).map(|entries| entries.len())
        };
        assert_eq!(read(&list(MOST_ENTRIES)), Ok(MOST_ENTRIES));
        let wrong = read(&list(MOST_ENTRIES + 1)).unwrap_err();
        assert_eq!(wrong.0, "`f` has more than 100000 entries");
        assert_eq!(read("7").unwrap_err().0, "`f` is not a list: 7");
    }

    #[test]
    fn whole_numbers_are_read_from_numbers_and_texts() {
        let read = |json: &str| {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            Fields::default().integer("f", Some(raw))
        };
        assert_eq!(read("12"), Ok(Some(12)));
        assert_eq!(read("\"12\""), Ok(Some(12)));
        assert_eq!(read("12.0"), Ok(Some(12)));
        assert_eq!(read("\"\""), Ok(None));
        assert!(read("12.5").is_err());
        assert!(read("99999999999999999999").is_err());
    }
}
