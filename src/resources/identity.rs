//! The id of an element, and the reject for an element without an id or with a wrong shape.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::batch::Reject;
use crate::model::page::RejectReason;

use super::fields::{Fields, Wrong};
use super::reject;

/// The longest accepted id, in bytes. Index entries of PostgreSQL hold at most 2.7 kB.
pub(super) const LONGEST_ID: usize = 1024;

/// Why an element of a list cannot be loaded.
pub(super) enum Problem {
    /// It is not JSON or not an object, or a field has the wrong type.
    Shape(String),
    /// It has no id.
    NoId,
}

impl Problem {
    /// What is wrong, of a part of an element.
    pub(super) fn said(self) -> String {
        match self {
            Self::Shape(said) => said,
            Self::NoId => "an item has no `id`".to_owned(),
        }
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::Shape(wrong.0)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape(error.to_string())
    }
}

/// The id of an object: a string or a number that is neither empty nor too long for an index.
pub(super) fn id_of(raw: Option<&RawValue>) -> Result<String, Problem> {
    let id = Fields::default()
        .text("id", raw)?
        .filter(|id| !id.is_empty())
        .ok_or(Problem::NoId)?;
    if id.len() > LONGEST_ID {
        return Err(Problem::Shape(format!("`id` is longer than {LONGEST_ID} bytes")));
    }
    Ok(id.into_owned())
}

/// The id of an element; nothing else is decoded.
pub(super) fn identity(element: &[u8]) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    object(element)?;
    id_of(serde_json::from_slice::<Identified<'_>>(element)?.id)
}

/// Checks that an element is an object in valid UTF-8. `serde` would read an array as a struct by position, and does not
/// check the UTF-8 of values that it skips.
pub(super) fn object(element: &[u8]) -> Result<(), Problem> {
    if let Err(error) = std::str::from_utf8(element) {
        return Err(Problem::Shape(error.to_string()));
    }
    if element.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    Err(Problem::Shape("the element is not an object".to_owned()))
}

/// The reject for an element with a problem.
pub(super) fn reject(element: &[u8], id: Option<String>, problem: Problem) -> Reject {
    let (reason, detail) = match problem {
        Problem::NoId => (RejectReason::NoId, "the element has no `id`".to_owned()),
        Problem::Shape(detail) if serde_json::from_slice::<serde::de::IgnoredAny>(element).is_err() => {
            (RejectReason::NotJson, detail)
        }
        Problem::Shape(detail) if std::str::from_utf8(element).is_err() => (RejectReason::NotJson, detail),
        Problem::Shape(detail) => (RejectReason::WrongShape, detail),
    };
    reject::whole(element, id, reason, detail)
}

/// The id at the head of an element, in the form that the tenant writes (`{"id":"…"`), without parsing the rest.
pub(super) fn quick_id(element: &[u8]) -> Option<&str> {
    let rest = element
        .trim_ascii_start()
        .strip_prefix(b"{")?
        .trim_ascii_start()
        .strip_prefix(b"\"id\"")?;
    let rest = rest
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start()
        .strip_prefix(b"\"")?;
    // A control character is not JSON, and PostgreSQL cannot store NUL.
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    let id = (rest[end] == b'"' && (1..=LONGEST_ID).contains(&end)).then(|| &rest[..end])?;
    std::str::from_utf8(id).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    #[test]
    fn the_id_at_the_head_is_read_without_parsing_and_any_other_by_parsing() {
        assert_eq!(quick_id(br#"{"id":"a-1","x":1}"#), Some("a-1"));
        assert_eq!(quick_id(b" {\n \"id\" : \"a\" }"), Some("a"));
        assert_eq!(quick_id(br#"{"x":1,"id":"a"}"#), None);
        assert_eq!(quick_id(br#"{"id":"a\u0041"}"#), None);
        assert_eq!(quick_id(br#"{"id":""}"#), None);
        assert_eq!(quick_id(br#"{"id":7}"#), None);
        for control in [&b"{\"id\":\"a\0\"}"[..], b"{\"id\":\"a\nb\"}"] {
            assert_eq!(quick_id(control), None);
            assert!(identity(control).is_err());
        }
        assert_eq!(identity(br#"{"x":1,"id":"a\u0041"}"#).ok().unwrap(), "aA");
        assert_eq!(identity(br#"{"id":7}"#).ok().unwrap(), "7");
    }
}
