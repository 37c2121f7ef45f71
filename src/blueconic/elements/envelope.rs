//! The part of the walker that reads the envelope around the array: keys, the cursor, the total, and values to skip.

use super::{Cut, Elements, Malformed, Place, Role, Step, clip};
use crate::json::tolerant::{Scan, TolerantScanner};
use crate::json::value::{ValueEnd, count, non_blank_after, value_end};

/// The longest key or cursor that is accepted, in bytes.
const LONGEST_SCALAR: usize = 64 * 1024;
/// Keys of an envelope that do not show whether the array is absent.
const ENVELOPE: [&str; 8] = [
    "itemsPerPage",
    "startIndex",
    "totalPages",
    "totalResults",
    "cursor",
    "nextCursor",
    "links",
    "link",
];

impl Elements {
    pub(super) fn key(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        let Some((raw, end)) = self.scalar(cut, false)? else {
            return Ok(Step::Pause);
        };
        // A key that is no Rust string (a lone surrogate) is none of the known keys.
        let key: String = serde_json::from_str(&raw).unwrap_or_default();
        let role = match key.as_str() {
            name if self.arrays.contains(&name) => Role::Array,
            "nextCursor" => Role::NextCursor,
            "totalResults" => Role::TotalResults,
            name => {
                if !ENVELOPE.contains(&name) {
                    self.foreign_key.get_or_insert_with(|| clip(name));
                }
                Role::Other
            }
        };
        cut.at = end;
        self.place = Place::Colon(role);
        Ok(Step::On)
    }

    pub(super) fn value(&mut self, cut: &mut Cut, role: Role, byte: u8) -> Result<Step, Malformed> {
        match (role, byte) {
            (Role::Array, b'[') => {
                self.array_seen = true;
                Ok(self.pass(cut, Place::Element { first: true }))
            }
            (Role::NextCursor, b'[' | b'{') => Err(self.garbled(cut.at, "`nextCursor` is not a text")),
            (Role::Array, b'n') | (Role::NextCursor, _) => self.known_scalar(cut, role),
            (Role::TotalResults, byte) if !matches!(byte, b'[' | b'{') => self.known_scalar(cut, role),
            (Role::Array, _) => {
                let why = format!("`{}` is not an array", self.arrays.join("` or `"));
                Err(self.garbled(cut.at, &why))
            }
            _ => {
                self.place = Place::Skipping(TolerantScanner::inside(b'}'));
                Ok(Step::On)
            }
        }
    }

    fn known_scalar(&mut self, cut: &mut Cut, role: Role) -> Result<Step, Malformed> {
        let Some((raw, end)) = self.scalar(cut, true)? else {
            return Ok(Step::Pause);
        };
        match role {
            Role::NextCursor => self.next_cursor(cut, &raw)?,
            Role::TotalResults => self.head.total_results = count(&raw),
            // A null array counts as absent.
            Role::Array | Role::Other => {}
        }
        cut.at = end;
        self.place = Place::AfterValue;
        Ok(Step::On)
    }

    fn next_cursor(&mut self, cut: &Cut, raw: &str) -> Result<(), Malformed> {
        let cursor = match serde_json::from_str(raw) {
            Ok(serde_json::Value::Null) => None,
            Ok(serde_json::Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
            Ok(serde_json::Value::Number(_)) => Some(raw.to_owned()),
            _ => return Err(self.garbled(cut.at, "`nextCursor` is not a text")),
        };
        // With two different cursors, chance would decide where the walk continues.
        if self.cursor_seen && cursor != self.head.next_cursor {
            return Err(self.garbled(cut.at, "a second `nextCursor` says something else"));
        }
        self.cursor_seen = true;
        self.head.next_cursor = cursor;
        Ok(())
    }

    /// The scalar at the cut and its end; none until its end is buffered. Only the next byte ends a bare scalar such as a
    /// number, so `delimited` asks for that byte.
    fn scalar(&self, cut: &Cut, delimited: bool) -> Result<Option<(String, usize)>, Malformed> {
        let rest = &self.buffer[cut.at..];
        match value_end(rest) {
            ValueEnd::Whole(end) if end > LONGEST_SCALAR => Err(self.garbled(cut.at, "an endless text")),
            ValueEnd::Whole(end)
                if delimited && rest.len() <= LONGEST_SCALAR && non_blank_after(rest, end).is_none() =>
            {
                Ok(None)
            }
            ValueEnd::Whole(end) => {
                let text = String::from_utf8_lossy(&rest[..end]).into_owned();
                Ok(Some((text, cut.at + end)))
            }
            ValueEnd::Partial if rest.len() > LONGEST_SCALAR => Err(self.garbled(cut.at, "an endless text")),
            ValueEnd::Partial => Ok(None),
            ValueEnd::Wrong(why) => Err(self.garbled(cut.at, &why)),
        }
    }

    pub(super) fn skip(&mut self, cut: &mut Cut) -> Result<Step, Malformed> {
        let Place::Skipping(scanner) = &mut self.place else {
            return Ok(Step::On);
        };
        match scanner.scan(&self.buffer[cut.at..]) {
            Scan::More => {
                cut.at = self.buffer.len();
                Ok(Step::Pause)
            }
            Scan::End(end) => {
                cut.at += end;
                self.place = Place::AfterValue;
                Ok(Step::On)
            }
            Scan::Lost(at) => {
                let byte = self.buffer[cut.at + at];
                cut.at += at;
                Err(self.unexpected(cut, byte))
            }
        }
    }
}
