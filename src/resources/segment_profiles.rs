//! Where the profiles of a segment are read.

use std::fmt::Write as _;

/// The path, with a place for the segment.
pub(super) const PATH: &str = "/segments/{segment}/profiles";
/// Under which key the answer holds them.
pub(super) const ARRAYS: &[&str] = &["profiles"];

/// The path of a segment's profiles.
pub(super) fn path_of(segment: &str) -> String {
    format!("/segments/{}/profiles", encoded(segment))
}

/// Whether an id can be a part of a path: `.` and `..` lead elsewhere, encoded or not, and without one there is no part.
pub(super) fn is_addressable(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

/// A path segment, percent-encoded.
pub(super) fn encoded(part: &str) -> String {
    let mut path = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
