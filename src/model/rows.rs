//! Encoded rows between a decoder and COPY. Rows are written once, into one buffer in PostgreSQL's binary format, so that no
//! value needs an allocation and the loader sends the bytes unchanged.
//!
//! The format is the tuple part of `COPY … (FORMAT binary)`: an int16 count of fields, then for each an int32 length
//! (-1 for null) and its bytes, all in network order. In the tuples beside a row, a length of -n stands for n nulls ([`pieces`]), since a
//! wide table is mostly nulls. Rows know nothing of connections or SQL.

use row::{ByteRange, Row, head};

use super::Time;

pub use tuples::{Piece, pieces, texts_at, timestamp, timestamp_at};
pub use writer::RowWriter;

mod row;
mod tuples;
mod writer;

/// Encoded rows with their keys.
#[derive(Debug, Default, Clone)]
pub struct Rows {
    bytes: Vec<u8>,
    /// The keys of all rows, concatenated.
    keys: Vec<u8>,
    index: Vec<Row>,
}

impl Rows {
    /// The number of rows.
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

    /// Starts a row with `fields` fields. `key` orders the batch. Of two rows with the same key, the row that was requested later
    /// stays ([`Rows::asked_at`]); of one page, the row with the later `modified_at`. No date is older than any date, and of rows
    /// with equal dates the later reading stays.
    pub fn row(&mut self, key: &[u8], modified_at: Option<Time>, fields: u16) -> RowWriter<'_> {
        let place = self.keys.len();
        self.keys.extend_from_slice(key);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self.index.push(Row {
            head: head(key),
            key: ByteRange {
                start: place,
                end: self.keys.len(),
            },
            tuple: ByteRange {
                start,
                end: self.bytes.len(),
            },
            end: self.bytes.len(),
            asked_at: None,
            modified_at,
        });
        RowWriter {
            bytes: &mut self.bytes,
            keys: &mut self.keys,
            index: &mut self.index,
            beside: None,
        }
    }

    /// The `modified_at` of the last row.
    pub fn last_modified_at(&self) -> Option<Time> {
        self.index.last().and_then(|row| row.modified_at)
    }

    /// Sets the time of the request for all rows. None: only `modified_at` decides which of two rows is newer.
    pub fn asked_at(&mut self, asked_at: Option<Time>) {
        for row in &mut self.index {
            row.asked_at = asked_at;
        }
    }

    /// Appends the rows of another batch.
    pub fn append(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        let (tuples, keys) = (self.bytes.len(), self.keys.len());
        self.bytes.extend_from_slice(&later.bytes);
        self.keys.extend_from_slice(&later.keys);
        let moved = later.index.into_iter().map(|row| Row {
            key: row.key.moved(keys),
            tuple: row.tuple.moved(tuples),
            end: row.end + tuples,
            ..row
        });
        self.index.extend(moved);
    }

    /// Drops rows with repeated keys and sorts the others by key (bytewise, as `collate "C"`), so that all merges lock in one
    /// order. Returns the number of dropped rows.
    pub fn deduplicate(&mut self) -> usize {
        let before = self.index.len();
        let keys = &self.keys;
        if !self
            .index
            .is_sorted_by(|left, right| left.order(right, keys).is_le())
        {
            // Stable: rows of one key stay in the order in which they were read.
            self.index.sort_by(|left, right| left.order(right, keys));
        }
        self.index.dedup_by(|later, kept| {
            let same = later.by_key(kept, keys).is_eq();
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        before - self.index.len()
    }

    /// The same for the rows from index `first` on; of rows with equal keys, the last one stays.
    pub fn deduplicate_from(&mut self, first: usize) {
        let mut tail = self.index.split_off(first);
        tail.sort_by(|left, right| left.by_key(right, &self.keys));
        tail.dedup_by(|later, kept| {
            let same = later.by_key(kept, &self.keys).is_eq();
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        self.index.append(&mut tail);
    }

    /// Drops the rows from index `length` on, which must be the last ones that were written.
    pub fn truncate(&mut self, length: usize) {
        for row in self.index.drain(length.min(self.index.len())..) {
            self.bytes.truncate(row.tuple.start);
            self.keys.truncate(row.key.start);
        }
    }

    /// Drops the rows whose index is not wanted; the others keep their order.
    pub fn retain_places(&mut self, wanted: impl Fn(usize) -> bool) {
        let mut places = 0..;
        self.index.retain(|_| places.next().is_some_and(&wanted));
    }

    /// Drops the rows whose key is not wanted; the others keep their order.
    pub fn retain(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        self.index.retain(|row| wanted(row.key.of(&self.keys)));
    }

    /// The bytes of the last row from a place on, without the tuples beside it.
    pub fn last_since(&self, place: usize) -> &[u8] {
        self.index
            .last()
            .map_or(&[], |row| &self.bytes[place..row.tuple.end])
    }

    /// The encoded tuples in the order of the last [`Rows::deduplicate`].
    pub fn tuples(&self) -> impl Iterator<Item = &[u8]> {
        self.index.iter().map(|row| row.tuple.of(&self.bytes))
    }

    /// The further tuples at this index, in the same order, with runs of nulls ([`pieces`]); a row may have none at an index.
    pub fn tuples_beside(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        self.index
            .iter()
            .filter_map(move |row| tuples::beside(&self.bytes[row.tuple.end..row.end], index))
    }

    /// The further tuples from this index on, in the same order.
    pub fn tuples_beside_from(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        self.index
            .iter()
            .flat_map(move |row| tuples::all_beside(&self.bytes[row.tuple.end..row.end]).skip(index))
    }

    /// The same, each with the time of its request.
    pub fn tuples_asked(&self) -> impl Iterator<Item = (&[u8], Option<Time>)> {
        self.index
            .iter()
            .map(|row| (row.tuple.of(&self.bytes), row.asked_at))
    }

    /// The tuples of both in the order of their keys. Both must be sorted, and have no key in common.
    pub fn tuples_with<'rows>(
        &'rows self,
        others: &'rows Self,
    ) -> impl Iterator<Item = (&'rows [u8], Option<Time>)> {
        let mut mine = self.keys().zip(self.tuples_asked()).peekable();
        let mut theirs = others.keys().zip(others.tuples_asked()).peekable();
        std::iter::from_fn(move || {
            let take_mine = match (mine.peek(), theirs.peek()) {
                (Some((own, _)), Some((other, _))) => own < other,
                (own, _) => own.is_some(),
            };
            let next = if take_mine { mine.next() } else { theirs.next() };
            next.map(|(_, tuple)| tuple)
        })
    }

    /// The keys that are text, in the same order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys().filter_map(|key| std::str::from_utf8(key).ok())
    }

    /// The keys in the same order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.index.iter().map(|row| row.key.of(&self.keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_stand_beside_a_row_and_stay_with_it() {
        let mut rows = Rows::default();
        for (key, newer) in [("b", 2), ("a", 1), ("b", 1)] {
            let mut row = rows.row(key.as_bytes(), Time::from_timestamp_millis(newer), 1);
            row.text(key);
            row.beside(1).text(&format!("{key}{newer}"));
            row.nothing_beside().beside(1).nulls(1);
        }
        rows.row(b"c", None, 1).text("c");
        let mut more = Rows::default();
        let mut row = more.row(b"d", None, 1);
        row.text("d").beside(1).text("d0");
        rows.append(more);
        assert_eq!(rows.deduplicate(), 1);
        let beside = |index| rows.tuples_beside(index).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let field = |text: &str| [&[0, 1, 0, 0, 0, 2], text.as_bytes()].concat();
        assert_eq!(beside(0), [field("a1"), field("b2"), field("d0")]);
        assert_eq!([1, 2, 3].map(|index| beside(index).len()), [0, 2, 0]);
        let from = |index| rows.tuples_beside_from(index).filter(|tuple| !tuple.is_empty());
        assert_eq!([0, 1, 2, 3].map(|index| from(index).count()), [5, 2, 2, 0]);
        assert_eq!(rows.tuples().count(), 4);
        rows.retain(|key| key == b"d");
        assert_eq!(rows.tuples_beside(0).count(), 1);
    }

    fn batch(rows: &[(&[u8], Option<i64>)]) -> Rows {
        let mut batch = Rows::default();
        for (place, (key, modified_at)) in rows.iter().enumerate() {
            let modified_at = modified_at.and_then(Time::from_timestamp_millis);
            batch.row(key, modified_at, 1).text(&place.to_string());
        }
        batch
    }

    /// The keys, each with the index of its row in the batch.
    fn settled(rows: &[(&[u8], Option<i64>)]) -> Vec<(Vec<u8>, u8)> {
        let mut batch = batch(rows);
        let dropped = batch.deduplicate();
        assert_eq!(dropped + batch.len(), rows.len());
        let places = batch.tuples().filter_map(|tuple| tuple.last());
        let places = places.map(|digit| digit - b'0');
        batch.keys().map(<[u8]>::to_vec).zip(places).collect()
    }

    #[test]
    fn rows_are_ordered_bytewise_whatever_they_have_in_common() {
        let keys: [&[u8]; 9] = [
            b"",
            b"\0",
            b"a",
            b"a\0",
            b"abcdefgh",
            b"abcdefgh\0",
            b"abcdefghi",
            b"b",
            b"\xff",
        ];
        let expected: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        for turn in 0..keys.len() {
            let mut rows = keys.map(|key| (key, None));
            rows.rotate_left(turn);
            if turn % 2 == 1 {
                rows.reverse();
            }
            let keys: Vec<Vec<u8>> = settled(&rows).into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, expected);
        }
    }

    #[test]
    fn of_one_key_the_latest_stays_and_of_equal_ones_the_later_reading() {
        for (modified_at, kept) in [
            ([Some(1), Some(2), None], 1),
            ([Some(2), Some(1), Some(2)], 2),
            ([None, None, None], 2),
            ([Some(3), None, Some(1)], 0),
        ] {
            let mut rows = modified_at.map(|time| (&b"key"[..], time)).to_vec();
            assert_eq!(settled(&rows), [(b"key".to_vec(), kept)]);
            rows.push((b"a", None));
            assert_eq!(settled(&rows), [(b"a".to_vec(), 3), (b"key".to_vec(), kept)]);
        }
    }

    #[test]
    fn of_two_pages_the_one_that_was_asked_for_later_stays_whatever_its_date() {
        let at = |second: i64| Time::from_timestamp_millis(second * 1_000);
        for (asked, kept) in [
            ([at(1), at(2)], 1),
            ([at(2), at(1)], 0),
            ([at(1), at(1)], 0),
            ([None, at(1)], 1),
        ] {
            let mut pages = [batch(&[(b"key", Some(9))]), batch(&[(b"key", Some(3))])];
            pages[1].index[0].modified_at = None;
            for (page, asked) in pages.iter_mut().zip(asked) {
                page.asked_at(asked);
            }
            let [mut first, second] = pages;
            first.append(second);
            assert_eq!(first.deduplicate(), 1);
            assert_eq!(first.index[0].modified_at.is_none(), kept == 1, "{asked:?}");
        }
    }

    #[test]
    fn rows_of_two_batches_are_as_those_of_one() {
        let together = settled(&[(b"b", Some(1)), (b"c", None), (b"a", None), (b"b", Some(1))]);
        let mut first = batch(&[(b"b", Some(1)), (b"c", None)]);
        let mut second = Rows::default();
        second.row(b"a", None, 1).text("2");
        second.row(b"b", Time::from_timestamp_millis(1), 1).text("3");
        first.append(second);
        assert_eq!(first.deduplicate(), 1);
        let rows: Vec<_> = first.keys().zip(first.tuples()).collect();
        let expected: Vec<(&[u8], u8)> = together
            .iter()
            .map(|(key, place)| (&key[..], b'0' + place))
            .collect();
        let found: Vec<(&[u8], u8)> = rows
            .iter()
            .map(|(key, tuple)| (*key, tuple[tuple.len() - 1]))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_row_that_is_taken_back_leaves_nothing() {
        let mut rows = batch(&[(b"b", None)]);
        let size = rows.size();
        let mut row = rows.row(b"a", None, 2);
        let place = row.text("before").place();
        assert_eq!(row.text("x").since(place), b"\0\0\0\x01x");
        row.take_back();
        assert_eq!((rows.len(), rows.size()), (1, size));
        rows.row(b"c", None, 1).text("1");
        assert_eq!(rows.keys().collect::<Vec<_>>(), [b"b", b"c"]);
        rows.retain(|key| key == b"c");
        assert_eq!(rows.tuples().collect::<Vec<_>>(), [b"\0\x01\0\0\0\x011"]);
    }
}
