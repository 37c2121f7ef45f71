//! The reader for the form that nearly every profile has: one pass, no allocation, any order of keys and any white space.
//! It checks the whole element. Other elements are left to `loose.rs`, which reads everything and reports what is wrong.
//! Whatever this reader reads, both read alike.

use crate::json::bitmap::Bitmap;
use crate::json::reader::{Escapes, Kind, Quoted, Reader, unescape};
use crate::json::unsupported::{FastResult, UnsupportedJson, supported};
use crate::resources::fields::MOST_ENTRIES;
use crate::resources::identity::LONGEST_ID;

use super::draft::{ByteRange, Draft, MOST_REPLACED, Text};

/// Reads a profile into an empty draft.
pub(super) fn read(element: &str, bitmap: &mut Bitmap, draft: &mut Draft) -> FastResult<()> {
    let mut json = Reader::new(element, bitmap);
    let mut seen = Seen::default();
    json.object(|json, key| {
        match key {
            b"id" => {
                seen.once(0)?;
                draft.found.id = text(json, draft)?;
            }
            b"creationDate" => {
                seen.once(1)?;
                draft.found.creation_date = text(json, draft)?;
            }
            b"privacyLegislation" => {
                seen.once(2)?;
                draft.found.privacy_legislation = text(json, draft)?;
            }
            b"consentedObjectives" => {
                seen.once(3)?;
                texts(json, draft, |draft, text| {
                    draft.found.consented_objectives.push(text);
                })?;
            }
            b"refusedObjectives" => {
                seen.once(4)?;
                texts(json, draft, |draft, text| {
                    draft.found.refused_objectives.push(text);
                })?;
            }
            b"permissions" => {
                seen.once(5)?;
                permissions(json, draft)?;
            }
            b"properties" => {
                seen.once(6)?;
                properties(json, draft)?;
            }
            b"segments" => {
                seen.once(7)?;
                segments(json, draft)?;
            }
            b"replacedBy" => {
                seen.once(8)?;
                let survivor = text(json, draft)?;
                draft.found.replaced_by = an_id(survivor)?;
            }
            b"replaces" => {
                seen.once(9)?;
                replaces(json, draft)?;
            }
            _ => json.skip()?,
        }
        Ok(())
    })?;
    json.end()?;
    let id = draft.found.id.ok_or(UnsupportedJson)?;
    supported((1..=LONGEST_ID).contains(&id.length()))
}

/// The keys that were seen. A repeated key is not supported; `serde` decides about it.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn once(&mut self, key: u16) -> FastResult<()> {
        let bit = 1 << key;
        supported(self.0 & bit == 0)?;
        self.0 |= bit;
        Ok(())
    }
}

fn permissions(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    if json.takes_null() {
        return Ok(());
    }
    let mut seen = Seen::default();
    json.object(|json, key| match key {
        b"level" => {
            seen.once(0)?;
            draft.found.permission_level = text(json, draft)?;
            Ok(())
        }
        _ => json.skip(),
    })
}

fn properties(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    if json.takes_null() {
        return Ok(());
    }
    json.list(|json| {
        supported(draft.found.has_room())?;
        let place = json.place();
        if minified(json, draft).is_err() {
            json.back_to(place);
            // Values that `minified` may have added belong to no property.
            property(json, draft)?;
        }
        Ok(())
    })
}

/// Reads a property in exactly the bytes that the vendor writes, most of which are compared at once.
fn minified(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    supported(json.takes_all(br#"{"id":""#))?;
    let quoted = json.quoted()?;
    let id = meant(json, quoted, draft)?;
    supported(json.takes_all(br#","values":["#))?;
    let first = draft.found.begin_values();
    if !json.takes_all(b"]}") {
        loop {
            supported(json.takes_all(b"\"") && draft.found.has_room())?;
            let value = value(json, draft)?;
            draft.found.value(Some(value));
            if !json.takes_all(b",") {
                break;
            }
        }
        supported(json.takes_all(b"]}"))?;
    }
    draft.property(json.whole(), id, first);
    Ok(())
}

fn property(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    let mut seen = Seen::default();
    let mut id = None;
    let first = draft.found.begin_values();
    json.object(|json, key| match key {
        b"id" => {
            seen.once(0)?;
            id = text(json, draft)?;
            Ok(())
        }
        b"values" => {
            seen.once(1)?;
            values(json, draft)
        }
        _ => json.skip(),
    })?;
    draft.property(json.whole(), id.ok_or(UnsupportedJson)?, first);
    Ok(())
}

fn values(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    if json.takes_null() {
        return Ok(());
    }
    json.list(|json| {
        let value = match json.kind()? {
            Kind::Text => Some(value(json, draft)?),
            Kind::Bare => bare(json)?,
            Kind::Nested => return Err(UnsupportedJson),
        };
        supported(draft.found.has_room())?;
        draft.found.value(value);
        Ok(())
    })
}

/// A string that is written into JSON again.
#[inline]
fn value(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<Text> {
    let quoted = json.quoted()?;
    match quoted.escapes {
        Escapes::Own => ByteRange::new(quoted.range)
            .map(Text::Escaped)
            .ok_or(UnsupportedJson),
        Escapes::None | Escapes::Foreign => meant(json, quoted, draft),
    }
}

/// Reads segments; an entry is `{"id": …}` or the bare id.
fn segments(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    if json.takes_null() {
        return Ok(());
    }
    json.list(|json| {
        let id = match json.kind()? {
            Kind::Text => {
                let quoted = json.quoted()?;
                Some(meant(json, quoted, draft)?)
            }
            Kind::Bare => bare(json)?,
            Kind::Nested => segment(json, draft)?,
        };
        if let Some(id) = id {
            supported(id.length() <= LONGEST_ID && draft.found.segment_ids.len() < MOST_ENTRIES)?;
            draft.found.segment_ids.push(id);
        }
        Ok(())
    })
}

fn segment(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<Option<Text>> {
    let mut seen = Seen::default();
    let mut id = None;
    json.object(|json, key| match key {
        b"id" => {
            seen.once(0)?;
            id = text(json, draft)?;
            Ok(())
        }
        _ => json.skip(),
    })?;
    Ok(id)
}

fn replaces(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<()> {
    if json.takes_null() {
        return Ok(());
    }
    json.list(|json| {
        supported(draft.found.replaces.len() < MOST_REPLACED)?;
        let loser = text(json, draft)?;
        draft.found.replaces.extend(an_id(loser)?);
        Ok(())
    })
}

/// An id; none for an empty string.
fn an_id(text: Option<Text>) -> FastResult<Option<Text>> {
    let id = text.filter(|text| text.length() > 0);
    supported(id.is_none_or(|id| id.length() <= LONGEST_ID))?;
    Ok(id)
}

/// An array of strings, without its nulls.
fn texts(json: &mut Reader<'_>, draft: &mut Draft, mut add: impl FnMut(&mut Draft, Text)) -> FastResult<()> {
    if json.takes_null() {
        return Ok(());
    }
    let mut room = MOST_ENTRIES;
    json.list(|json| {
        supported(room > 0)?;
        room -= 1;
        if let Some(text) = text(json, draft)? {
            add(draft, text);
        }
        Ok(())
    })
}

/// A string; none for null.
#[inline]
fn text(json: &mut Reader<'_>, draft: &mut Draft) -> FastResult<Option<Text>> {
    match json.kind()? {
        Kind::Text => {
            let quoted = json.quoted()?;
            meant(json, quoted, draft).map(Some)
        }
        Kind::Bare => bare(json),
        Kind::Nested => Err(UnsupportedJson),
    }
}

/// A number or a boolean as it is written; none for null.
fn bare(json: &mut Reader<'_>) -> FastResult<Option<Text>> {
    let range = json.bare()?;
    if &json.whole()[range.clone()] == "null" {
        return Ok(None);
    }
    ByteRange::new(range)
        .map(Text::Bare)
        .map(Some)
        .ok_or(UnsupportedJson)
}

/// The content of a string, without escapes.
#[inline]
fn meant(json: &Reader<'_>, quoted: Quoted, draft: &mut Draft) -> FastResult<Text> {
    if quoted.escapes == Escapes::None {
        return ByteRange::new(quoted.range)
            .map(Text::Plain)
            .ok_or(UnsupportedJson);
    }
    let start = draft.decoded.len();
    unescape(&json.whole()[quoted.range], &mut draft.decoded)?;
    let span = ByteRange::new(start..draft.decoded.len()).ok_or(UnsupportedJson)?;
    Ok(Text::Decoded(span))
}
