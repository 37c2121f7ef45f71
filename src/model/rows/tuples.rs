//! Reads encoded tuples: single fields, times, the tuples beside a row, and runs of nulls.

use crate::model::Time;

/// Microseconds between the Unix epoch and PostgreSQL's (2000-01-01).
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A `timestamptz`: microseconds since 2000.
pub fn timestamp(time: Time) -> i64 {
    time.timestamp_micros() - POSTGRES_EPOCH_MICROS
}

/// The `timestamptz` in the field at this index of an encoded tuple; none if it is null.
pub fn timestamp_at(tuple: &[u8], index: usize) -> Option<Time> {
    let micros = i64::from_be_bytes(field_at(tuple, index)?.try_into().ok()?);
    Time::from_timestamp_micros(micros.checked_add(POSTGRES_EPOCH_MICROS)?)
}

/// The texts in the array at this index of an encoded tuple, as bytes; none if it is null or empty.
pub fn texts_at(tuple: &[u8], index: usize) -> impl Iterator<Item = &[u8]> {
    // The number of dimensions, whether there are nulls, the type, and of the one dimension its length and lower bound.
    const HEAD: usize = 20;
    let array = field_at(tuple, index).unwrap_or_default();
    let mut rest = array.get(HEAD..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (text, after) = first_field(rest)?;
        rest = after;
        Some(text.unwrap_or_default())
    })
}

/// The bytes of the field at this index of an encoded tuple; none if it is null.
fn field_at(tuple: &[u8], index: usize) -> Option<&[u8]> {
    let mut rest = tuple.get(2..)?;
    for _ in 0..index {
        (_, rest) = first_field(rest)?;
    }
    first_field(rest)?.0
}

/// The first field, none if it is null, and what follows it.
fn first_field(fields: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, fields) = fields.split_first_chunk::<4>()?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        return Some((None, fields));
    };
    let (field, after) = fields.split_at_checked(length)?;
    Some((Some(field), after))
}

/// Several tuples, each with its length before it; one that was left out is empty.
pub(super) fn all_beside(tuples: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = tuples;
    std::iter::from_fn(move || {
        let (length, tuples) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (tuple, after) = tuples.split_at_checked(length)?;
        rest = after;
        Some(tuple)
    })
}

/// One of them; none if there are fewer, or if it was left out.
pub(super) fn beside(tuples: &[u8], index: usize) -> Option<&[u8]> {
    all_beside(tuples).nth(index).filter(|tuple| !tuple.is_empty())
}

/// A piece of a tuple with runs of nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// So many fields that are null.
    Nulls(usize),
}

/// The encoded fields of a tuple, behind its count of fields: what stands there, and each run of several nulls as their number.
pub fn pieces(fields: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = fields;
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Some((length, _)) = rest[end..].split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*length);
            if length >= -1 {
                let field = usize::try_from(length).unwrap_or(0);
                end = rest.len().min(end + 4 + field);
            } else if end > 0 {
                break;
            } else {
                rest = &rest[4..];
                return Some(Piece::Nulls(usize::try_from(length.unsigned_abs()).unwrap_or(0)));
            }
        }
        let (bytes, after) = rest.split_at(end);
        rest = after;
        (!bytes.is_empty()).then_some(Piece::Bytes(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Rows;
    use super::*;

    #[test]
    fn a_timestamp_is_found_in_an_encoded_tuple() {
        let mut rows = Rows::default();
        let times = [
            Time::from_timestamp_millis(-62_135_596_800_000),
            None,
            Time::from_timestamp_micros(1),
        ];
        let mut row = rows.row(b"", None, 6);
        row.text("a text").null().text("");
        for time in times {
            row.timestamp(time);
        }
        let tuple = rows.tuples().next().unwrap_or_default();
        assert_eq!([3, 4, 5].map(|index| timestamp_at(tuple, index)), times);
        assert_eq!([0, 1, 6].map(|index| timestamp_at(tuple, index)), [None; 3]);
    }

    #[test]
    fn texts_are_found_in_an_encoded_tuple() {
        let mut rows = Rows::default();
        let mut row = rows.row(b"", None, 4);
        row.text("a text").null().text_array(&["one", "", "three"]);
        row.text_array::<&str>(&[]);
        let tuple = rows.tuples().next().unwrap_or_default();
        let texts = |index| texts_at(tuple, index).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(texts(2), [b"one".to_vec(), Vec::new(), b"three".to_vec()]);
        assert_eq!([1, 3, 4].map(texts), [const { Vec::<Vec<u8>>::new() }; 3]);
    }

    #[test]
    fn runs_of_nulls_are_told_from_bytes() {
        let mut rows = Rows::default();
        let mut row = rows.row(b"", None, 0);
        row.beside(9)
            .nulls(3)
            .text("a")
            .nulls(1)
            .null()
            .text("b")
            .nulls(2);
        let tuple = rows.tuples_beside(0).next().unwrap_or_default();
        let (count, fields) = tuple.split_at(2);
        assert_eq!(count, [0, 9]);
        let between = b"\0\0\0\x01a\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01b";
        let expected = [Piece::Nulls(3), Piece::Bytes(between), Piece::Nulls(2)];
        assert_eq!(pieces(fields).collect::<Vec<_>>(), expected);
        assert_eq!(pieces(b"").next(), None);
    }
}
