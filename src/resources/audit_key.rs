//! The key of an audit event: a hash over what it says. The tenant gives events no id.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::model::Time;
use crate::model::event::{EventKey, Rename};

/// Stand at the head of what is hashed; another form of the key must be another version. The first one is for dates of
/// milliseconds, the second one for finer dates.
const VERSION: &[u8] = b"blueconic-sync audit event 1";
const FINE_VERSION: &[u8] = b"blueconic-sync audit event 2";
/// Each renamed value doubles the spellings of an event; beyond so many the rest are left out.
const MOST_SPELLINGS: usize = 32;

/// The values of the fields, in the order of [`crate::model::event::FIELDS`].
pub(super) type Values<'a> = [Option<&'a str>; 5];

/// A date as fine as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FineDate {
    millis: i64,
    /// The digits behind the milliseconds, without zeros at their end.
    finer: String,
}

impl FineDate {
    /// Of a date and the text that it was read from. The text counts for what lies beyond nanoseconds.
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

    /// Whether a release before this one gave its event a coarser key, and stored it in a microsecond of its own.
    pub(super) fn was_coarse(&self) -> bool {
        self.finer.bytes().take(3).any(|digit| digit != b'0')
    }

    fn is_fine(&self) -> bool {
        !self.finer.is_empty()
    }
}

/// The digits of a fraction behind the ninth.
fn beyond_nanoseconds(text: &str) -> &str {
    let Some((_, behind)) = text.split_once(['.', ',']) else {
        return "";
    };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    behind.get(9..digits).unwrap_or_default()
}

/// SHA-256 over a versioned canonical form. The objects' names are left out: they change after the event.
pub(super) fn key(date: &FineDate, values: Values<'_>, objects: &[Option<&str>]) -> EventKey {
    if date.is_fine() {
        return hash(FINE_VERSION, date.millis, Some(&date.finer), values, objects);
    }
    coarse_key(date, values, objects)
}

/// The key of a release that looked at milliseconds only.
pub(super) fn coarse_key(date: &FineDate, values: Values<'_>, objects: &[Option<&str>]) -> EventKey {
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

/// The values of an event with older ones in place of renamed ones, in every combination; the last one holds the oldest of
/// each. Empty where nothing was renamed.
pub(super) fn older_spellings<'a>(values: Values<'a>, renames: &'a [Rename]) -> Vec<Values<'a>> {
    let mut spellings = vec![values];
    for field in 0..values.len() {
        let chain = older_values(field, values[field], renames);
        let mut all = Vec::new();
        for value in chain {
            all.extend(spellings.iter().map(|spelling| {
                let mut other = *spelling;
                other[field] = value;
                other
            }));
        }
        all.truncate(MOST_SPELLINGS);
        spellings = all;
    }
    spellings.remove(0);
    let oldest = oldest_spelling(values, renames);
    if oldest != values {
        spellings.retain(|spelling| *spelling != oldest);
        spellings.push(oldest);
    }
    spellings
}

/// The values with the oldest one of each: what all spellings of an event have in common.
pub(super) fn oldest_spelling<'a>(values: Values<'a>, renames: &'a [Rename]) -> Values<'a> {
    let mut oldest = values;
    for (field, value) in oldest.iter_mut().enumerate() {
        let mut met = BTreeSet::from([*value]);
        while let Some(rename) = renames.iter().find(|rename| is_of(rename, field, *value)) {
            // Renamed back: the circle has no oldest value, so the first of them in order stands for all.
            if !met.insert(rename.old.as_deref()) {
                *value = met.first().copied().flatten();
                break;
            }
            *value = rename.old.as_deref();
        }
    }
    oldest
}

/// A value and all that it was before, the newest first.
fn older_values<'a>(field: usize, value: Option<&'a str>, renames: &'a [Rename]) -> Vec<Option<&'a str>> {
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
        assert_eq!(key(&millis, [None; 5], &[]), coarse_key(&finer, [None; 5], &[]));
        assert!(!millis.was_coarse() && finer.was_coarse());
        // Both are in the same microsecond: which of them a former row means cannot be told.
        assert!(!fine("2026-01-02T03:04:05.1230004Z").was_coarse());
    }

    fn rename(field: usize, old: Option<&str>, new: Option<&str>) -> Rename {
        Rename {
            field,
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        }
    }

    #[test]
    fn an_event_is_looked_for_under_all_that_its_values_were() {
        let renames = [
            rename(2, Some("A"), Some("B")),
            rename(2, Some("B"), Some("C")),
            rename(0, Some("x"), None),
        ];
        let now = [None, None, Some("C"), None, None];
        let spellings: Vec<_> = older_spellings(now, &renames)
            .into_iter()
            .map(|one| (one[0], one[2]))
            .collect();
        assert_eq!(spellings.len(), 5);
        assert_eq!(spellings.last(), Some(&(Some("x"), Some("A"))));
        assert!(!spellings.contains(&(None, Some("C"))));
        let other = [Some("x"), None, Some("D"), None, None];
        assert_eq!(older_spellings(other, &renames), Vec::<Values<'_>>::new());
    }

    #[test]
    fn a_value_that_was_renamed_back_and_forth_has_one_oldest() {
        let renames = [rename(2, Some("A"), Some("B")), rename(2, Some("B"), Some("A"))];
        let of = |value| oldest_spelling([None, None, Some(value), None, None], &renames)[2];
        assert_eq!(of("A"), of("B"));
    }
}
