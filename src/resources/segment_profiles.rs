//! The path of a segment's profiles.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The path, with a placeholder for the segment.
pub(super) const PATH: &str = "/segments/{segment}/profiles";
/// The key of the envelope that holds the profiles.
pub(crate) const ARRAYS: &[&str] = &["profiles"];

/// The characters that are percent-encoded in a part of a path.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'~')
    .remove(b'.');

/// The path of a segment's profiles.
pub(crate) fn path_of(segment: &str) -> String {
    format!("/segments/{}/profiles", encoded(segment))
}

/// Whether an id can be a part of a path. `.` and `..`, even encoded, lead elsewhere, and an empty id makes no part.
pub(super) fn is_addressable(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

/// Percent-encodes a part of a path: all but the unreserved characters of RFC 3986.
pub(super) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_encoded_in_paths() {
        assert_eq!(path_of("a b/ü"), "/segments/a%20b%2F%C3%BC/profiles");
    }
}
