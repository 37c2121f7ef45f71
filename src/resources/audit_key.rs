//! The key of an audit event: a hash over its date, fields and objects. The tenant gives events no id.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::model::Time;
use crate::model::event::{EventKey, Rename};

/// The versions are hashed first; a change of the key's form needs another version. The first version is for dates in
/// milliseconds, the second one for finer dates.
const VERSION: &[u8] = b"blueconic-sync audit event 1";
const FINE_VERSION: &[u8] = b"blueconic-sync audit event 2";
/// Each renamed value doubles the combinations of an event's values; further combinations are left out.
const MOST_COMBINATIONS: usize = 32;

/// The values of the fields, in the order of [`crate::model::event::FIELDS`].
pub(super) type Values<'a> = [Option<&'a str>; 5];

/// A date with all its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FineDate {
    millis: i64,
    /// The digits after the milliseconds, without trailing zeros.
    finer: String,
}

impl FineDate {
    /// The date, and the digits beyond nanoseconds from the text that it was parsed from.
    pub(super) fn of(date: Time, text: &str) -> Self {
        let nanos = date.timestamp_subsec_nanos() % 1_000_000;
        let mut finer = format!("{nanos:06}");
        finer.push_str(beyond_nanoseconds(text));
        finer.truncate(finer.trim_end_matches('0').len());
        Self {
            millis: date.timestamp_millis(),
            finer,
        }
    }

    /// Whether an earlier release gave the event another key, and stored its date in a distinct microsecond.
    pub(super) fn has_former_key(&self) -> bool {
        self.finer.bytes().take(3).any(|digit| digit != b'0')
    }

    fn is_fine(&self) -> bool {
        !self.finer.is_empty()
    }
}

/// The digits of a fraction after the ninth.
fn beyond_nanoseconds(text: &str) -> &str {
    let Some((_, behind)) = text.split_once(['.', ',']) else {
        return "";
    };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    behind.get(9..digits).unwrap_or_default()
}

/// SHA-256 over a versioned canonical form, without the names of objects, which change after the event.
pub(super) fn key(date: &FineDate, values: Values<'_>, objects: &[Option<&str>]) -> EventKey {
    if date.is_fine() {
        return hash(FINE_VERSION, date.millis, Some(&date.finer), values, objects);
    }
    former_key(date, values, objects)
}

/// The key of an earlier release, which hashed milliseconds only.
pub(super) fn former_key(date: &FineDate, values: Values<'_>, objects: &[Option<&str>]) -> EventKey {
    hash(VERSION, date.millis, None, values, objects)
}

fn hash(
    version: &[u8],
    millis: i64,
    finer: Option<&str>,
    values: Values<'_>,
    objects: &[Option<&str>],
) -> EventKey {
    let mut hash = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => {
            hash.update((bytes.len() as u64 + 1).to_be_bytes());
            hash.update(bytes);
        }
        None => hash.update(0_u64.to_be_bytes()),
    };
    part(Some(version));
    part(Some(&millis.to_be_bytes()));
    if let Some(finer) = finer {
        part(Some(finer.as_bytes()));
    }
    for text in values {
        part(text.map(str::as_bytes));
    }
    let mut ids: Vec<Option<&[u8]>> = objects.iter().map(|id| id.map(str::as_bytes)).collect();
    ids.sort_unstable();
    for id in ids {
        part(id);
    }
    hash.finalize().into()
}

/// Every combination of an event's values with older ones in place of renamed ones; the last combination has the oldest
/// of each. Empty if nothing was renamed.
pub(super) fn older_values<'a>(values: Values<'a>, renames: &'a [Rename]) -> Vec<Values<'a>> {
    let mut combinations = vec![values];
    for field in 0..values.len() {
        let chain = former_values(field, values[field], renames);
        let mut all = Vec::new();
        for value in chain {
            all.extend(combinations.iter().map(|combination| {
                let mut other = *combination;
                other[field] = value;
                other
            }));
        }
        all.truncate(MOST_COMBINATIONS);
        combinations = all;
    }
    combinations.remove(0);
    let oldest = oldest_values(values, renames);
    if oldest != values {
        combinations.retain(|combination| *combination != oldest);
        combinations.push(oldest);
    }
    combinations
}

/// The oldest value of each field, which all combinations of an event share.
pub(super) fn oldest_values<'a>(values: Values<'a>, renames: &'a [Rename]) -> Values<'a> {
    let mut oldest = values;
    for (field, value) in oldest.iter_mut().enumerate() {
        let mut met = BTreeSet::from([*value]);
        while let Some(rename) = renames.iter().find(|rename| is_of(rename, field, *value)) {
            // A value that was renamed back has no oldest form, so the smallest of the values stands for all.
            if !met.insert(rename.old.as_deref()) {
                *value = met.first().copied().flatten();
                break;
            }
            *value = rename.old.as_deref();
        }
    }
    oldest
}

/// A value and all its former values, newest first.
fn former_values<'a>(field: usize, value: Option<&'a str>, renames: &'a [Rename]) -> Vec<Option<&'a str>> {
    let mut values = vec![value];
    let mut place = 0;
    while let Some(value) = values.get(place).copied() {
        for rename in renames.iter().filter(|rename| is_of(rename, field, value)) {
            if !values.contains(&rename.old.as_deref()) {
                values.push(rename.old.as_deref());
            }
        }
        place += 1;
    }
    values
}

fn is_of(rename: &Rename, field: usize, value: Option<&str>) -> bool {
    rename.field == field && rename.new.as_deref() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine(text: &str) -> FineDate {
        let date = super::super::dates::parse(text).unwrap_or_default();
        FineDate::of(date, text)
    }

    fn key_of(text: &str) -> EventKey {
        key(&fine(text), [None; 5], &[])
    }

    #[test]
    fn every_digit_of_a_date_counts_and_zeros_at_its_end_do_not() {
        let mut keys = BTreeSet::new();
        for digits in [
            "1",
            "12",
            "123",
            "1234",
            "123456",
            "1234567",
            "123456789",
            "1234567891",
            "12345678912",
        ] {
            assert!(
                keys.insert(key_of(&format!("2026-01-02T03:04:05.{digits}Z"))),
                "{digits}"
            );
        }
        for (one, other) in [
            ("2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05.123000000000Z"),
            (
                "2026-01-02T03:04:05.1234567Z",
                "2026-01-02T04:04:05.12345670+01:00",
            ),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ] {
            assert_eq!(key_of(one), key_of(other), "{one}, {other}");
        }
    }

    #[test]
    fn a_date_of_milliseconds_keeps_the_key_that_it_had() {
        let millis = fine("2026-01-02T03:04:05.123Z");
        let finer = fine("2026-01-02T03:04:05.1234Z");
        assert_eq!(key(&millis, [None; 5], &[]), former_key(&finer, [None; 5], &[]));
        assert!(!millis.has_former_key() && finer.has_former_key());
        // Both dates share a microsecond, so a former row matches either.
        assert!(!fine("2026-01-02T03:04:05.1230004Z").has_former_key());
    }

    fn rename(field: usize, old: Option<&str>, new: Option<&str>) -> Rename {
        Rename {
            field,
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        }
    }

    #[test]
    fn an_event_is_looked_up_under_all_its_former_values() {
        let renames = [
            rename(2, Some("A"), Some("B")),
            rename(2, Some("B"), Some("C")),
            rename(0, Some("x"), None),
        ];
        let now = [None, None, Some("C"), None, None];
        let combinations: Vec<_> = older_values(now, &renames)
            .into_iter()
            .map(|one| (one[0], one[2]))
            .collect();
        assert_eq!(combinations.len(), 5);
        assert_eq!(combinations.last(), Some(&(Some("x"), Some("A"))));
        assert!(!combinations.contains(&(None, Some("C"))));
        let other = [Some("x"), None, Some("D"), None, None];
        assert_eq!(older_values(other, &renames), Vec::<Values<'_>>::new());
    }

    #[test]
    fn a_value_that_was_renamed_back_and_forth_has_one_oldest() {
        let renames = [rename(2, Some("A"), Some("B")), rename(2, Some("B"), Some("A"))];
        let of = |value| oldest_values([None, None, Some(value), None, None], &renames)[2];
        assert_eq!(of("A"), of("B"));
    }
}
