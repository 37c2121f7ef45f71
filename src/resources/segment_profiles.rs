//! Where the profiles of a segment are read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The path, with a place for the segment.
pub(super) const PATH: &str = "/segments/{segment}/profiles";
/// Under which key the answer holds them.
pub(super) const ARRAYS: &[&str] = &["profiles"];

/// What is encoded in a part of a path.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'~')
    .remove(b'.');

/// The path of a segment's profiles.
pub(super) fn path_of(segment: &str) -> String {
    format!("/segments/{}/profiles", encoded(segment))
}

/// Whether an id can be a part of a path: `.` and `..` lead elsewhere, encoded or not, and without one there is no part.
pub(super) fn is_addressable(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

/// A path segment, percent-encoded: all but what RFC 3986 calls unreserved.
pub(super) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, RESERVED).to_string()
}
