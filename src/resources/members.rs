//! Picks members out of a JSON object by their names, without decoding the others.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::drift::{DriftKind, UnknownCounts};

use super::fields::RawField;

/// A member by its name.
pub(super) type Rest<'a> = (String, &'a RawValue);

/// The members of an object with these names, in the order of the names. None for absent and null; other members are
/// skipped. A member that comes twice is an error, since either could be meant.
pub(super) fn members<'a>(object: &'a [u8], names: &[&str]) -> Result<Vec<RawField<'a>>, serde_json::Error> {
    let wanted = Members {
        names,
        whole: None,
        unknown: None,
    };
    Ok(read(object, wanted)?.0)
}

/// Like [`members`]. The names of other members are counted as unknown fields.
pub(super) fn members_counting<'a>(
    object: &'a [u8],
    names: &[&str],
    unknown: &mut UnknownCounts,
) -> Result<Vec<RawField<'a>>, serde_json::Error> {
    let wanted = Members {
        names,
        whole: None,
        unknown: Some(unknown),
    };
    Ok(read(object, wanted)?.0)
}

/// Like [`members_counting`], with all members that are not among `whole`.
pub(super) fn members_and_rest<'a>(
    object: &'a [u8],
    names: &[&str],
    whole: &[&str],
    unknown: &mut UnknownCounts,
) -> Result<(Vec<RawField<'a>>, Vec<Rest<'a>>), serde_json::Error> {
    let wanted = Members {
        names,
        whole: Some(whole),
        unknown: Some(unknown),
    };
    read(object, wanted)
}

fn read<'a>(
    object: &'a [u8],
    wanted: Members<'_>,
) -> Result<(Vec<RawField<'a>>, Vec<Rest<'a>>), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(object);
    let found = json.deserialize_map(wanted)?;
    json.end()?;
    Ok(found)
}

struct Members<'n> {
    /// The members that are looked for.
    names: &'n [&'n str],
    /// The members that are not wanted in the rest; none: there is no rest.
    whole: Option<&'n [&'n str]>,
    /// Counts the members that are not looked for; none: nobody counts them.
    unknown: Option<&'n mut UnknownCounts>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = (Vec<RawField<'de>>, Vec<Rest<'de>>);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Vec<Option<RawField<'de>>> = vec![None; self.names.len()];
        let mut rest = Vec::new();
        while let Some(key) = map.next_key_seed(Key(&mut self))? {
            let slot = key.place.and_then(|place| found.get_mut(place));
            if slot.is_none() && key.rest.is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: RawField<'de> = map.next_value()?;
            if let (Some(name), Some(value)) = (key.rest, value) {
                rest.push((name, value));
            }
            if let Some(slot) = slot
                && slot.replace(value).is_some()
            {
                let name = key.place.and_then(|place| self.names.get(place)).unwrap_or(&"");
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
        }
        let found = found.into_iter().map(Option::flatten).collect();
        Ok((found, rest))
    }
}

/// What a key is.
struct Found {
    /// Its index among the names.
    place: Option<usize>,
    /// Itself, if its member is part of the rest.
    rest: Option<String>,
}

/// Deserializes a key.
struct Key<'m, 'n>(&'m mut Members<'n>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let members = self.0;
        let wanted = members.whole.is_some_and(|whole| !whole.contains(&key));
        let place = members.names.iter().position(|name| *name == key);
        if let (None, Some(unknown)) = (place, &mut members.unknown) {
            unknown.count(DriftKind::UnknownField, key);
        }
        Ok(Found {
            place,
            rest: wanted.then(|| key.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    #[test]
    fn other_members_are_skipped_and_counted_on_demand() {
        let object = br#"{"b": 1, "x": {"b": 2}, "a": null, "x\u0079": 3}"#;
        let mut unknown = UnknownCounts::default();
        let found = members_counting(object, &["a", "b"], &mut unknown).unwrap();
        assert!(found[0].is_none());
        assert_eq!(found[1].unwrap().get(), "1");
        let names: Vec<&str> = unknown.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names, ["x", "xy"]);
        assert_eq!(members(object, &["b"]).unwrap()[0].unwrap().get(), "1");
        assert!(members(br#"{"b": 1, "b": 2}"#, &["b"]).is_err());
    }
}
