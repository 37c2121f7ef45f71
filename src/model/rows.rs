//! Rows on their way from a decoder to COPY, written once into one buffer in PostgreSQL's binary format, so that
//! nothing is allocated for a value and the loader sends the bytes as they stand.
//!
//! The format is the tuple part of `COPY … (FORMAT binary)`: an int16 count of fields, then for each an int32 length
//! (-1 for null) and its bytes, all in network order. Rows know nothing of connections or SQL.

use super::Time;

/// Microseconds between the Unix epoch and PostgreSQL's (2000-01-01).
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The type oid of `text`, which arrays name for their elements.
const TEXT_OID: u32 = 25;

/// Encoded rows with their keys.
#[derive(Debug, Default, Clone)]
pub struct Rows {
    bytes: Vec<u8>,
    index: Vec<Row>,
}

/// Where one row stands, and by what it is ordered and compared.
#[derive(Debug, Clone)]
struct Row {
    key: Vec<u8>,
    start: usize,
    end: usize,
    modified_at: Option<Time>,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Their size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Begins a row with `fields` fields. `key` orders the batch; of two rows with one key the one with the later
    /// `modified_at` stays (none is older than any; of equal ones the later reading).
    pub fn row(&mut self, key: &[u8], modified_at: Option<Time>, fields: u16) -> RowWriter<'_> {
        let start = self.bytes.len();
        self.index.push(Row {
            key: key.to_vec(),
            start,
            end: start,
            modified_at,
        });
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        RowWriter { rows: self }
    }

    /// Drops repeated keys and orders the rest by key (bytewise, as `collate "C"` does), so that two merges lock in
    /// one order. Gives back how many rows were dropped.
    pub fn settle(&mut self) -> usize {
        let before = self.index.len();
        // Stable: rows of one key stay in the order in which they were read.
        self.index.sort_by(|left, right| {
            left.key
                .cmp(&right.key)
                .then(left.modified_at.cmp(&right.modified_at))
        });
        let mut kept: Vec<Row> = Vec::with_capacity(before);
        for row in self.index.drain(..) {
            match kept.last_mut() {
                Some(last) if last.key == row.key => *last = row,
                _ => kept.push(row),
            }
        }
        self.index = kept;
        before - self.index.len()
    }

    /// Drops the rows whose key is not wanted; the others stay in their order.
    pub fn retain(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        self.index.retain(|row| wanted(&row.key));
    }

    /// The encoded tuples in the order of the last [`Rows::settle`].
    pub fn tuples(&self) -> impl Iterator<Item = &[u8]> {
        self.index.iter().map(|row| &self.bytes[row.start..row.end])
    }

    /// The tuples of both in the order of their keys; each is in order already and no key is in both.
    pub fn tuples_with<'rows>(&'rows self, others: &'rows Self) -> impl Iterator<Item = &'rows [u8]> {
        let mut mine = self.keys().zip(self.tuples()).peekable();
        let mut theirs = others.keys().zip(others.tuples()).peekable();
        std::iter::from_fn(move || {
            let take_mine = match (mine.peek(), theirs.peek()) {
                (Some((own, _)), Some((other, _))) => own < other,
                (own, _) => own.is_some(),
            };
            let next = if take_mine { mine.next() } else { theirs.next() };
            next.map(|(_, tuple)| tuple)
        })
    }

    /// The keys in the same order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.index.iter().map(|row| row.key.as_slice())
    }
}

/// Writes the fields of one row, in the order of the table's columns.
#[derive(Debug)]
pub struct RowWriter<'rows> {
    rows: &'rows mut Rows,
}

impl RowWriter<'_> {
    /// A null.
    pub fn null(&mut self) -> &mut Self {
        self.raw(&(-1_i32).to_be_bytes());
        self
    }

    /// `text`; the caller has taken out what PostgreSQL cannot store (NUL).
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.field(value.as_bytes())
    }

    /// `text` or null.
    pub fn text_or_null(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// `text[]` without nulls.
    pub fn text_array<T: AsRef<str>>(&mut self, values: &[T]) -> &mut Self {
        let place = self.open();
        let dimensions: u32 = u32::from(!values.is_empty());
        self.raw(&dimensions.to_be_bytes());
        self.raw(&0_u32.to_be_bytes());
        self.raw(&TEXT_OID.to_be_bytes());
        if !values.is_empty() {
            self.raw(&length(values.len()).to_be_bytes());
            self.raw(&1_u32.to_be_bytes());
        }
        for value in values {
            self.field(value.as_ref().as_bytes());
        }
        self.close(place);
        self
    }

    /// `bigint` or null.
    pub fn bigint(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// `integer` or null.
    pub fn int(&mut self, value: Option<i32>) -> &mut Self {
        match value {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// `boolean` or null.
    pub fn bool(&mut self, value: Option<bool>) -> &mut Self {
        match value {
            Some(value) => self.field(&[u8::from(value)]),
            None => self.null(),
        }
    }

    /// `timestamptz` or null.
    pub fn timestamp(&mut self, value: Option<Time>) -> &mut Self {
        match value {
            Some(value) => self.field(&timestamp(value).to_be_bytes()),
            None => self.null(),
        }
    }

    /// `bytea`.
    pub fn bytea(&mut self, value: &[u8]) -> &mut Self {
        self.field(value)
    }

    /// `jsonb` from JSON text.
    pub fn jsonb(&mut self, json: &[u8]) -> &mut Self {
        self.jsonb_with(|buffer| buffer.extend_from_slice(json))
    }

    /// `jsonb` from JSON text that `write` appends to the buffer; it must not touch what stands there already.
    pub fn jsonb_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let place = self.open();
        self.rows.bytes.push(1); // the version of jsonb's binary format
        write(&mut self.rows.bytes);
        self.close(place);
        self
    }

    fn field(&mut self, value: &[u8]) -> &mut Self {
        self.raw(&length(value.len()).to_be_bytes());
        self.raw(value);
        self
    }

    fn open(&mut self) -> usize {
        self.raw(&0_i32.to_be_bytes());
        self.rows.bytes.len()
    }

    fn close(&mut self, place: usize) {
        let size = length(self.rows.bytes.len() - place);
        self.rows.bytes[place - 4..place].copy_from_slice(&size.to_be_bytes());
        self.end();
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.rows.bytes.extend_from_slice(bytes);
        self.end();
    }

    fn end(&mut self) {
        let end = self.rows.bytes.len();
        if let Some(row) = self.rows.index.last_mut() {
            row.end = end;
        }
    }
}

/// A `timestamptz`: microseconds since 2000.
pub fn timestamp(time: Time) -> i64 {
    time.timestamp_micros() - POSTGRES_EPOCH_MICROS
}

/// A length as COPY wants it. Elements are bounded by `limits.element_size` far below two GiB.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
