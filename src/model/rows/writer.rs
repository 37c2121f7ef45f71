//! Writes the fields of a row, each with its length before it, in PostgreSQL's binary format.

use chrono::{Datelike as _, NaiveDate};

use super::row::Row;
use super::tuples::timestamp;
use crate::model::Time;
use crate::model::decimal::Decimal;
use crate::model::property_columns::ValueKind;

/// The number of 2000-01-01, PostgreSQL's first day, when days are counted from the year 1.
const DAYS_TO_2000: i32 = 730_120;

/// Writes the fields of one row, in the order of the table's columns.
#[derive(Debug)]
pub struct RowWriter<'rows> {
    pub(super) bytes: &'rows mut Vec<u8>,
    pub(super) keys: &'rows mut Vec<u8>,
    pub(super) index: &'rows mut Vec<Row>,
    /// Where the current further tuple begins.
    pub(super) beside: Option<usize>,
}

impl RowWriter<'_> {
    /// The place of the next field, for [`RowWriter::since`].
    pub fn place(&self) -> usize {
        self.bytes.len()
    }

    /// The encoded fields from a place of this row on, each with its length before it.
    pub fn since(&self, place: usize) -> &[u8] {
        &self.bytes[place..]
    }

    /// Begins a further tuple, for a table that has a row for each row of this one. It stays and leaves with the row. The fields that
    /// are written from here on are its own.
    pub fn beside(&mut self, fields: u16) -> &mut Self {
        self.bytes.extend_from_slice(&[0; 4]);
        self.beside = Some(self.bytes.len());
        self.raw(&fields.to_be_bytes());
        self
    }

    /// Leaves out the further tuple at the next index.
    pub fn nothing_beside(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&[0; 4]);
        self.beside = Some(self.bytes.len());
        self.end();
        self
    }

    /// Removes the fields from a place of the row's own tuple on.
    pub fn back_to(&mut self, place: usize) -> &mut Self {
        self.bytes.truncate(place);
        self.end();
        self
    }

    /// Fields that are encoded already, each with its length before it.
    pub fn encoded(&mut self, fields: &[u8]) -> &mut Self {
        self.raw(fields);
        self
    }

    /// So many nulls, in a tuple beside the row.
    pub fn nulls(&mut self, count: usize) -> &mut Self {
        if count > 0 {
            self.raw(&(-length(count)).to_be_bytes());
        }
        self
    }

    /// Removes the row.
    pub fn take_back(self) {
        if let Some(row) = self.index.pop() {
            self.bytes.truncate(row.tuple.start);
            self.keys.truncate(row.key.start);
        }
    }

    /// A null.
    pub fn null(&mut self) -> &mut Self {
        self.raw(&(-1_i32).to_be_bytes());
        self
    }

    /// `text`; the caller has removed what PostgreSQL cannot store (NUL).
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.field(value.as_bytes())
    }

    /// The same from bytes, which must be UTF-8.
    pub fn text_bytes(&mut self, value: &[u8]) -> &mut Self {
        self.field(value)
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
        self.text_array_of(values.iter().map(AsRef::as_ref))
    }

    /// The same, from an iterator.
    pub fn text_array_of<'text>(&mut self, values: impl ExactSizeIterator<Item = &'text str>) -> &mut Self {
        let place = self.open();
        let dimensions: u32 = u32::from(values.len() > 0);
        self.raw(&dimensions.to_be_bytes());
        self.raw(&0_u32.to_be_bytes());
        self.raw(&ValueKind::Text.oid().to_be_bytes());
        if values.len() > 0 {
            self.raw(&length(values.len()).to_be_bytes());
            self.raw(&1_u32.to_be_bytes());
        }
        for value in values {
            self.field(value.as_bytes());
        }
        self.close(place);
        self
    }

    /// An array of values of one type, of which some may be null: `write` writes one field for each.
    pub fn array_of<T>(
        &mut self,
        kind: ValueKind,
        values: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        let place = self.open();
        self.raw(&u32::from(values.len() > 0).to_be_bytes());
        // Whether there may be nulls; PostgreSQL looks itself.
        self.raw(&1_u32.to_be_bytes());
        self.raw(&kind.oid().to_be_bytes());
        if values.len() > 0 {
            self.raw(&length(values.len()).to_be_bytes());
            self.raw(&1_u32.to_be_bytes());
        }
        for value in values {
            write(self, value);
        }
        self.close(place);
        self
    }

    /// `numeric`.
    pub fn numeric(&mut self, value: &Decimal<'_>) -> &mut Self {
        let place = self.open();
        value.write(self.bytes);
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

    /// `date` or null.
    pub fn date(&mut self, value: Option<NaiveDate>) -> &mut Self {
        match value {
            // Days since 2000-01-01; chrono counts from the year 1.
            Some(value) => self.field(&(value.num_days_from_ce() - DAYS_TO_2000).to_be_bytes()),
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

    /// `jsonb` from JSON text that `write` appends to the buffer; it must not change the bytes before.
    pub fn jsonb_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let place = self.open();
        self.bytes.push(1); // the version of jsonb's binary format
        write(self.bytes);
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
        self.bytes.len()
    }

    fn close(&mut self, place: usize) {
        let size = length(self.bytes.len() - place);
        self.bytes[place - 4..place].copy_from_slice(&size.to_be_bytes());
        self.end();
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.end();
    }

    fn end(&mut self) {
        let end = self.bytes.len();
        let Some(row) = self.index.last_mut() else {
            return;
        };
        row.end = end;
        match self.beside {
            None => row.tuple.end = end,
            Some(begin) => {
                self.bytes[begin - 4..begin].copy_from_slice(&length(end - begin).to_be_bytes());
            }
        }
    }
}

/// A length in COPY's format. `limits.element_size` bounds elements far below two GiB.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
