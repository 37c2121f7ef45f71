//! A profile between reading and writing: where each of its texts stands, in room that is kept from profile to profile.
//! Both readers fill it, and what is stored is made from it alone. It knows nothing of JSON's reading or of COPY.

use std::ops::Range;

use crate::json::reader;
use crate::model::Time;
use crate::resources::dates;
use crate::resources::fields::MOST_ENTRIES;

/// Ids that one profile may replace. Each is an alias, a tombstone and perhaps a row that leaves: a merge that a person would
/// believe is of some tens, and an element of 8 MiB can name a million.
pub(super) const MOST_REPLACED: usize = 10_000;

/// A stretch of the element or of the decoded texts. Both are shorter than 4 GiB, or it cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteRange {
    start: u32,
    end: u32,
}

impl ByteRange {
    /// From a range; none from 4 GiB on.
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

    /// With the quotes around it.
    fn quoted(self, text: &str) -> &[u8] {
        &text.as_bytes()[self.start as usize - 1..=self.end as usize]
    }
}

/// Where a text stands, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// In the element between quotes, without an escape.
    Plain(ByteRange),
    /// In the element between quotes, escaped as this program would write it again. Only values stand so.
    Escaped(ByteRange),
    /// In the element without quotes: a number or a truth value.
    Bare(ByteRange),
    /// Among the decoded texts.
    Decoded(ByteRange),
}

impl Text {
    /// In bytes; of an escaped text as it is escaped.
    pub(super) fn length(self) -> usize {
        let (Self::Plain(span) | Self::Escaped(span) | Self::Bare(span) | Self::Decoded(span)) = self;
        (span.end - span.start) as usize
    }
}

/// A property as it came. Repeats of one id stand behind one another, once they are ordered.
#[derive(Debug, Clone, Copy)]
struct Property {
    /// The id's first bytes: nearly always enough to order two properties.
    head: u64,
    id: Text,
    /// Its values, in the draft's: fewer than the element has bytes.
    first: u32,
    end: u32,
}

/// What was read of one profile.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Texts that do not stand in the element as they are meant.
    pub(super) decoded: String,
    /// All that was found.
    pub(super) found: ProfileTexts,
}

/// The texts of a profile, each as the place where it stands; null and absent are none.
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
    /// The values of all properties, a null as none.
    values: Vec<Option<Text>>,
}

impl Draft {
    /// Forgets the profile before, and keeps its room.
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

    /// Adds a property whose values were added since `first`.
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

    /// Keeps a text that does not stand in the element as it is meant; none from 4 GiB of them on.
    pub(super) fn keep(&mut self, text: &str) -> Option<Text> {
        let start = self.decoded.len();
        self.decoded.push_str(text);
        ByteRange::new(start..self.decoded.len()).map(Text::Decoded)
    }

    /// Orders what has no order of its own, and drops what is not wanted (`wanted` is in order, and empty if all is);
    /// the dates of properties are taken from all that came.
    pub(super) fn complete<'a>(&'a mut self, element: &'a str, wanted: &[String]) -> CompleteProfile<'a> {
        let Self { decoded, found } = self;
        let texts = Texts { element, decoded };
        texts.order(&mut found.consented_objectives);
        texts.order(&mut found.refused_objectives);
        texts.order(&mut found.segment_ids);
        texts.order_properties(&mut found.properties);
        let date = |id| texts.date_in(found, id);
        let created = found.creation_date.and_then(|text| dates::parse(texts.get(text)));
        let created_at = created.or_else(|| date("creationdate"));
        let modified_at = date("lastmodifieddate");
        // `creationDate` beside a property that can be read is no loss.
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
        let one = |text: Option<Text>| text.map(|text| texts.get(text));
        CompleteProfile {
            id: one(found.id),
            created_at,
            modified_at,
            unreadable_dates,
            privacy_legislation: one(found.privacy_legislation),
            permission_level: one(found.permission_level),
            replaced_by: one(found.replaced_by),
            texts,
            found,
        }
    }
}

impl ProfileTexts {
    /// Notes where the values of a property begin.
    pub(super) fn begin_values(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    fn values_of(&self, property: &Property) -> &[Option<Text>] {
        &self.values[property.first as usize..property.end as usize]
    }

    /// Whether another value or property may be added: all of a profile together are at most as many as one array has.
    pub(super) fn has_room(&self) -> bool {
        self.values.len() < MOST_ENTRIES && self.properties.len() < MOST_ENTRIES
    }

    /// Whether there are more values than that.
    pub(super) fn is_overfull(&self) -> bool {
        self.values.len() > MOST_ENTRIES
    }

    /// Adds a value.
    pub(super) fn value(&mut self, value: Option<Text>) {
        self.values.push(value);
    }
}

/// What texts are looked up in.
#[derive(Debug, Clone, Copy)]
struct Texts<'a> {
    element: &'a str,
    decoded: &'a str,
}

impl<'a> Texts<'a> {
    /// The same as bytes, which costs no look at where characters begin.
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

    fn all(self, texts: &'a [Text]) -> impl ExactSizeIterator<Item = &'a str> {
        texts.iter().map(move |text| self.get(*text))
    }

    /// An array of ids says which, not in which order: one order for all.
    fn order(self, ids: &mut Vec<Text>) {
        if !ids.is_sorted_by(|left, right| self.get(*left) < self.get(*right)) {
            ids.sort_unstable_by(|left, right| self.get(*left).cmp(self.get(*right)));
            ids.dedup_by(|later, kept| self.get(*later) == self.get(*kept));
        }
    }

    /// In the order of [`jsonb_order`]; repeats stay in the order in which they came.
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

    /// Keeps the properties whose ids are wanted; both are in order.
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

    /// Whether a property has a value that is not blank.
    fn says_something(self, found: &ProfileTexts, id: &str) -> bool {
        self.values(found, id)
            .any(|value| !self.get(value).trim().is_empty())
    }

    /// The values of a property; the properties are in order.
    fn values<'f>(self, found: &'f ProfileTexts, id: &'f str) -> impl Iterator<Item = Text> + use<'a, 'f> {
        let place = found
            .properties
            .partition_point(|property| jsonb_order(self.get(property.id)) < jsonb_order(id));
        found.properties[place..]
            .iter()
            .take_while(move |property| self.get(property.id) == id)
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

/// A profile that is ready to be written.
#[derive(Debug)]
pub(super) struct CompleteProfile<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) created_at: Option<Time>,
    pub(super) modified_at: Option<Time>,
    /// How many of the two are none although there is something that should be one.
    pub(super) unreadable_dates: u64,
    pub(super) privacy_legislation: Option<&'a str>,
    pub(super) permission_level: Option<&'a str>,
    pub(super) replaced_by: Option<&'a str>,
    texts: Texts<'a>,
    found: &'a ProfileTexts,
}

impl<'a> CompleteProfile<'a> {
    /// In order, each once; and so are the next two.
    pub(super) fn consented_objectives(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.texts.all(&self.found.consented_objectives)
    }

    pub(super) fn refused_objectives(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.texts.all(&self.found.refused_objectives)
    }

    pub(super) fn segment_ids(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.texts.all(&self.found.segment_ids)
    }

    /// As they came.
    pub(super) fn replaces(&self) -> impl Iterator<Item = &'a str> {
        self.texts.all(&self.found.replaces)
    }

    /// Appends the properties as one JSON object, in the order of their ids; repeats of one have their values united.
    pub(super) fn write_properties(&self, json: &mut Vec<u8>) {
        let same = |one: &Property, next: &Property| {
            one.head == next.head && self.texts.bytes(one.id) == self.texts.bytes(next.id)
        };
        let mut before: Option<&Property> = None;
        let mut separator: &[u8] = b"";
        json.push(b'{');
        for property in &self.found.properties {
            if !before.is_some_and(|before| same(before, property)) {
                json.extend_from_slice(if before.is_some() { b"]," } else { b"" });
                self.write(property.id, json);
                json.extend_from_slice(b":[");
                separator = b"";
            }
            for value in self.found.values_of(property) {
                json.extend_from_slice(separator);
                self.write_or_null(*value, json);
                separator = b",";
            }
            before = Some(property);
        }
        json.extend_from_slice(if before.is_some() { b"]}" } else { b"}" });
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
/// By what PostgreSQL orders the keys of an object: a shorter one first. In this order they need not be sorted there.
pub(super) fn jsonb_order(id: &str) -> (usize, &str) {
    (id.len(), id)
}

/// A number that is ordered as the ids are; equal ones say nothing yet.
fn head(id: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = u16::try_from(id.len()).unwrap_or(u16::MAX);
    head[..2].copy_from_slice(&length.to_be_bytes());
    let first = id.len().min(6);
    head[2..2 + first].copy_from_slice(&id[..first]);
    u64::from_be_bytes(head)
}
