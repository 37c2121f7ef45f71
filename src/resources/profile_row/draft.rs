//! A profile between reading and writing: the ranges of its texts, in buffers that are reused for the next profile. Both
//! readers fill a draft, and rows are written from drafts alone. A draft knows nothing of reading JSON or of COPY.

use std::ops::Range;

use crate::json::reader;
use crate::model::Time;
use crate::resources::dates;
use crate::resources::fields::MOST_ENTRIES;

use super::property_order::{head, jsonb_order};
use super::treating::{Fate, Treating};

/// The most ids that one profile may replace. Each becomes an alias and a tombstone, and may remove a row. A plausible merge
/// has some tens of ids, but an element of 8 MiB can name a million.
pub(super) const MOST_REPLACED: usize = 10_000;

/// A range of bytes in the element or in the decoded texts, which must be shorter than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteRange {
    start: u32,
    end: u32,
}

impl ByteRange {
    /// Converts a range; none from 4 GiB on.
    pub(super) fn new(range: Range<usize>) -> Option<Self> {
        Some(Self {
            start: u32::try_from(range.start).ok()?,
            end: u32::try_from(range.end).ok()?,
        })
    }

    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }

    fn bytes(self, text: &str) -> &[u8] {
        &text.as_bytes()[self.start as usize..self.end as usize]
    }

    /// The bytes including the quotes around them.
    fn quoted(self, text: &str) -> &[u8] {
        &text.as_bytes()[self.start as usize - 1..=self.end as usize]
    }
}

/// The place and form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// In the element between quotes, without escapes.
    Plain(ByteRange),
    /// In the element between quotes, with escapes that this program would write as well. Only values have this form.
    Escaped(ByteRange),
    /// In the element without quotes: a number or a boolean.
    Bare(ByteRange),
    /// Among the decoded texts.
    Decoded(ByteRange),
}

impl Text {
    /// The length in bytes; of an escaped text, with its escapes.
    pub(super) fn length(self) -> usize {
        let (Self::Plain(span) | Self::Escaped(span) | Self::Bare(span) | Self::Decoded(span)) = self;
        (span.end - span.start) as usize
    }
}

/// A property of the element. Once properties are ordered, those with the same id are adjacent.
#[derive(Debug, Clone, Copy)]
struct Property {
    /// The length and first bytes of the id, which nearly always suffice to order two properties.
    head: u64,
    id: Text,
    /// The index of its first value among the draft's values, which are fewer than the element's bytes.
    first: u32,
    end: u32,
}

/// The parts of one profile that were read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Texts whose bytes in the element differ from their content.
    pub(super) decoded: String,
    /// The texts that were found.
    pub(super) found: ProfileTexts,
}

/// The texts of a profile by their places; none for null and absent.
#[derive(Debug, Default)]
pub(super) struct ProfileTexts {
    pub(super) id: Option<Text>,
    pub(super) creation_date: Option<Text>,
    pub(super) privacy_legislation: Option<Text>,
    pub(super) permission_level: Option<Text>,
    pub(super) consented_objectives: Vec<Text>,
    pub(super) refused_objectives: Vec<Text>,
    pub(super) segment_ids: Vec<Text>,
    pub(super) replaced_by: Option<Text>,
    pub(super) replaces: Vec<Text>,
    properties: Vec<Property>,
    /// The values of all properties; none for null.
    values: Vec<Option<Text>>,
}

impl Draft {
    /// Clears the draft for the next profile and keeps its buffers.
    pub(super) fn clear(&mut self) {
        let Self { decoded, found } = self;
        decoded.clear();
        found.id = None;
        found.creation_date = None;
        found.privacy_legislation = None;
        found.permission_level = None;
        found.consented_objectives.clear();
        found.refused_objectives.clear();
        found.segment_ids.clear();
        found.replaced_by = None;
        found.replaces.clear();
        found.properties.clear();
        found.values.clear();
    }

    /// Adds a property with the values from index `first` on.
    pub(super) fn property(&mut self, element: &str, id: Text, first: u32) {
        let texts = Texts {
            element,
            decoded: &self.decoded,
        };
        self.found.properties.push(Property {
            head: head(texts.bytes(id)),
            id,
            first,
            end: self.found.begin_values(),
        });
    }

    /// Stores a decoded text; none once the decoded texts reach 4 GiB.
    pub(super) fn keep(&mut self, text: &str) -> Option<Text> {
        let start = self.decoded.len();
        self.decoded.push_str(text);
        ByteRange::new(start..self.decoded.len()).map(Text::Decoded)
    }

    /// Sorts what has no order of its own and drops properties that are not `wanted` (sorted; empty: all are wanted). The dates
    /// are taken from all properties before. With `treating`, values are hashed and dropped.
    pub(super) fn complete<'a>(
        &'a mut self,
        element: &'a str,
        wanted: &[String],
        treating: Option<&Treating>,
    ) -> Result<CompleteProfile<'a>, TooLarge> {
        let Self { decoded, found } = self;
        let texts = Texts {
            element,
            decoded: decoded.as_str(),
        };
        texts.order(&mut found.consented_objectives);
        texts.order(&mut found.refused_objectives);
        texts.order(&mut found.segment_ids);
        texts.order_properties(&mut found.properties);
        texts.join_repeated(found);
        let date = |id| texts.date_in(found, id);
        let created = found.creation_date.and_then(|text| dates::parse(texts.get(text)));
        let created_at = created.or_else(|| date("creationdate"));
        let modified_at = date("lastmodifieddate");
        // An unreadable `creationDate` is no loss if the property is readable.
        let unreadable =
            |time: Option<Time>, id| u64::from(time.is_none() && texts.says_something(found, id));
        let creation = found
            .creation_date
            .is_some_and(|text| !texts.get(text).trim().is_empty());
        let unreadable_dates = u64::from(created_at.is_none() && creation)
            .max(unreadable(created_at, "creationdate"))
            + unreadable(modified_at, "lastmodifieddate");
        if !wanted.is_empty() {
            texts.keep(&mut found.properties, wanted);
        }
        let has_unknown = match treating {
            Some(treating) => treat(found, element, decoded, treating)?,
            None => false,
        };
        let texts = Texts { element, decoded };
        let one = |text: Option<Text>| text.map(|text| texts.get(text));
        Ok(CompleteProfile {
            id: one(found.id),
            created_at,
            modified_at,
            unreadable_dates,
            privacy_legislation: one(found.privacy_legislation),
            permission_level: one(found.permission_level),
            replaced_by: one(found.replaced_by),
            has_unknown,
            texts,
            found,
        })
    }
}

/// The texts of a profile reach 4 GiB.
#[derive(Debug)]
pub(super) struct TooLarge;

/// Hashes and drops values. Returns whether a property was dropped because nothing is known of it yet.
fn treat(
    found: &mut ProfileTexts,
    element: &str,
    decoded: &mut String,
    treating: &Treating,
) -> Result<bool, TooLarge> {
    let ProfileTexts {
        properties, values, ..
    } = found;
    let mut has_unknown = false;
    let mut hashed = Vec::new();
    properties.retain(|property| {
        let texts = Texts { element, decoded };
        match treating.fate(property.head, texts.get(property.id)) {
            Fate::Keep => true,
            Fate::Hash => {
                hashed.push(property.first as usize..property.end as usize);
                true
            }
            Fate::Drop => false,
            Fate::DropUnknown => {
                has_unknown = true;
                false
            }
        }
    });
    let mut meant = String::new();
    for value in hashed.into_iter().flatten() {
        let Some(text) = values[value] else {
            continue;
        };
        let texts = Texts { element, decoded };
        // Without a key nothing is to be hashed: `Treating::new` drops it.
        let Some(hash) = treating.hash(texts.content(text, &mut meant)) else {
            continue;
        };
        let start = decoded.len();
        decoded.push_str(&hash);
        values[value] = Some(
            ByteRange::new(start..decoded.len())
                .map(Text::Decoded)
                .ok_or(TooLarge)?,
        );
    }
    Ok(has_unknown)
}

impl ProfileTexts {
    /// The index at which the values of the next property start.
    pub(super) fn begin_values(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    fn values_of(&self, property: &Property) -> &[Option<Text>] {
        &self.values[property.first as usize..property.end as usize]
    }

    /// One of the arrays of ids, in the order of [`crate::model::scrub::StoredContent`].
    pub(super) fn array(&mut self, place: usize) -> &mut Vec<Text> {
        match place {
            0 => &mut self.consented_objectives,
            1 => &mut self.refused_objectives,
            _ => &mut self.segment_ids,
        }
    }

    /// Whether another value or property may be added. A profile has at most as many of both together as one array may have
    /// entries.
    pub(super) fn has_room(&self) -> bool {
        self.values.len() < MOST_ENTRIES && self.properties.len() < MOST_ENTRIES
    }

    /// Whether the profile has more than that.
    pub(super) fn is_overfull(&self) -> bool {
        self.values.len() > MOST_ENTRIES
    }

    /// Adds a value.
    pub(super) fn value(&mut self, value: Option<Text>) {
        self.values.push(value);
    }
}

/// The buffers that hold the bytes of the texts.
#[derive(Debug, Clone, Copy)]
struct Texts<'a> {
    element: &'a str,
    decoded: &'a str,
}

impl<'a> Texts<'a> {
    /// The text as bytes, without a check of character boundaries.
    fn bytes(self, text: Text) -> &'a [u8] {
        match text {
            Text::Plain(span) | Text::Escaped(span) | Text::Bare(span) => span.bytes(self.element),
            Text::Decoded(span) => span.bytes(self.decoded),
        }
    }

    fn get(self, text: Text) -> &'a str {
        match text {
            Text::Plain(span) | Text::Escaped(span) | Text::Bare(span) => span.of(self.element),
            Text::Decoded(span) => span.of(self.decoded),
        }
    }

    /// The content of a value. `meant` is used where it differs from the bytes that came.
    fn content<'m>(self, value: Text, meant: &'m mut String) -> &'m str
    where
        'a: 'm,
    {
        let Text::Escaped(span) = value else {
            return self.get(value);
        };
        meant.clear();
        let escaped = span.of(self.element);
        match reader::unescape(escaped, meant) {
            Ok(()) => meant,
            Err(_) => escaped,
        }
    }

    fn all(self, texts: &'a [Text]) -> impl ExactSizeIterator<Item = &'a str> {
        texts.iter().map(move |text| self.get(*text))
    }

    /// Sorts an array of ids, whose order has no meaning.
    fn order(self, ids: &mut Vec<Text>) {
        if !ids.is_sorted_by(|left, right| self.get(*left) < self.get(*right)) {
            ids.sort_unstable_by(|left, right| self.get(*left).cmp(self.get(*right)));
            ids.dedup_by(|later, kept| self.get(*later) == self.get(*kept));
        }
    }

    /// Sorts properties by [`jsonb_order`]; properties with the same id keep their order.
    fn order_properties(self, properties: &mut [Property]) {
        if !properties.is_sorted_by_key(|property| property.head) {
            properties.sort_by_key(|property| property.head);
        }
        for alike in properties.chunk_by_mut(|one, next| one.head == next.head) {
            if alike.len() > 1 {
                let order = |property: &Property| jsonb_order(self.get(property.id));
                alike.sort_by(|left, right| order(left).cmp(&order(right)));
            }
        }
    }

    /// Joins adjacent properties with the same id, in order.
    fn join_repeated(self, found: &mut ProfileTexts) {
        let alike = |one: &Property, next: &Property| {
            one.head == next.head && self.bytes(one.id) == self.bytes(next.id)
        };
        let ProfileTexts {
            properties, values, ..
        } = found;
        if !properties.windows(2).any(|two| alike(&two[0], &two[1])) {
            return;
        }
        let mut joined = Vec::with_capacity(properties.len());
        for group in properties.chunk_by(alike) {
            let mut property = group[0];
            if group.len() > 1 {
                property.first = u32::try_from(values.len()).unwrap_or(u32::MAX);
                for one in group {
                    values.extend_from_within(one.first as usize..one.end as usize);
                }
                property.end = u32::try_from(values.len()).unwrap_or(u32::MAX);
            }
            joined.push(property);
        }
        *properties = joined;
    }

    /// Keeps the properties whose ids are wanted; both lists are sorted.
    fn keep(self, properties: &mut Vec<Property>, wanted: &[String]) {
        let mut wanted = wanted.iter().map(String::as_str).peekable();
        properties.retain(|property| {
            let id = self.get(property.id);
            while wanted
                .next_if(|next| jsonb_order(next) < jsonb_order(id))
                .is_some()
            {}
            wanted.peek() == Some(&id)
        });
    }

    /// The first value of a property that is a date.
    fn date_in(self, found: &ProfileTexts, id: &str) -> Option<Time> {
        self.values(found, id).find_map(|value| self.date(value))
    }

    /// Whether a property has a non-blank value.
    fn says_something(self, found: &ProfileTexts, id: &str) -> bool {
        self.values(found, id)
            .any(|value| !self.get(value).trim().is_empty())
    }

    /// The values of a property; the properties are sorted.
    fn values<'f>(self, found: &'f ProfileTexts, id: &'f str) -> impl Iterator<Item = Text> + use<'a, 'f> {
        let place = found
            .properties
            .partition_point(|property| jsonb_order(self.get(property.id)) < jsonb_order(id));
        found.properties[place..]
            .iter()
            .take_while(move |property| self.get(property.id) == id)
            .take(1)
            .flat_map(|property| found.values_of(property))
            .filter_map(|value| *value)
    }

    fn date(self, value: Text) -> Option<Time> {
        let Text::Escaped(span) = value else {
            return dates::parse(self.get(value));
        };
        let mut meant = String::new();
        reader::unescape(span.of(self.element), &mut meant).ok()?;
        dates::parse(&meant)
    }
}

/// A property of a complete profile.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadProperty<'a> {
    /// The length and first bytes of its id, as [`head`] gives them.
    pub(super) head: u64,
    pub(super) id: &'a [u8],
    /// Its values in order; none for null.
    pub(super) values: &'a [Option<Text>],
    text: Text,
}

/// A profile that is ready to be written.
#[derive(Debug)]
pub(super) struct CompleteProfile<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) created_at: Option<Time>,
    pub(super) modified_at: Option<Time>,
    /// How many of the two dates are none although the element has a value for them.
    pub(super) unreadable_dates: u64,
    pub(super) privacy_legislation: Option<&'a str>,
    pub(super) permission_level: Option<&'a str>,
    pub(super) replaced_by: Option<&'a str>,
    /// Whether a property was dropped because nothing is known of it yet.
    pub(super) has_unknown: bool,
    texts: Texts<'a>,
    found: &'a ProfileTexts,
}

impl<'a> CompleteProfile<'a> {
    /// Sorted and without repeats, like the next two.
    pub(super) fn consented_objectives(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.texts.all(&self.found.consented_objectives)
    }

    pub(super) fn refused_objectives(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.texts.all(&self.found.refused_objectives)
    }

    pub(super) fn segment_ids(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.texts.all(&self.found.segment_ids)
    }

    /// In the order of the element.
    pub(super) fn replaces(&self) -> impl Iterator<Item = &'a str> {
        self.texts.all(&self.found.replaces)
    }

    /// The properties in the order of their ids ([`jsonb_order`]), each id once.
    pub(super) fn properties(&self) -> impl Iterator<Item = ReadProperty<'a>> {
        let (texts, found) = (self.texts, self.found);
        found.properties.iter().map(move |property| ReadProperty {
            head: property.head,
            id: texts.bytes(property.id),
            values: found.values_of(property),
            text: property.id,
        })
    }

    /// The bytes of a value's content. `meant` is used where they differ from the bytes that came.
    pub(super) fn bytes<'m>(&self, value: Text, meant: &'m mut String) -> &'m [u8]
    where
        'a: 'm,
    {
        match value {
            Text::Escaped(_) => self.content(value, meant).as_bytes(),
            _ => self.texts.bytes(value),
        }
    }

    /// The content of a value, as [`Self::bytes`].
    pub(super) fn content<'m>(&self, value: Text, meant: &'m mut String) -> &'m str
    where
        'a: 'm,
    {
        self.texts.content(value, meant)
    }

    /// Appends the properties as one JSON object in the order of their ids, but those of `left_out`, by their places in that order.
    pub(super) fn write_properties(&self, left_out: &[bool], json: &mut Vec<u8>) {
        let mut before: &[u8] = b"";
        json.push(b'{');
        for (place, property) in self.properties().enumerate() {
            if left_out.get(place) == Some(&true) {
                continue;
            }
            json.extend_from_slice(before);
            before = b",";
            self.write(property.text, json);
            json.extend_from_slice(b":[");
            let mut separator: &[u8] = b"";
            for value in property.values {
                json.extend_from_slice(separator);
                self.write_or_null(*value, json);
                separator = b",";
            }
            json.push(b']');
        }
        json.push(b'}');
    }

    fn write_or_null(&self, value: Option<Text>, json: &mut Vec<u8>) {
        match value {
            Some(text) => self.write(text, json),
            None => json.extend_from_slice(b"null"),
        }
    }

    /// Appends a text as a JSON string.
    fn write(&self, text: Text, json: &mut Vec<u8>) {
        match text {
            Text::Plain(span) | Text::Escaped(span) => {
                json.extend_from_slice(span.quoted(self.texts.element));
            }
            Text::Bare(span) => {
                json.push(b'"');
                json.extend_from_slice(span.of(self.texts.element).as_bytes());
                json.push(b'"');
            }
            // Writing into a Vec cannot fail.
            Text::Decoded(span) => drop(serde_json::to_writer(json, span.of(self.texts.decoded))),
        }
    }
}
