//! Bytes as text.

use std::fmt::Write as _;

/// Bytes as PostgreSQL's `encode(…, 'hex')` writes them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
