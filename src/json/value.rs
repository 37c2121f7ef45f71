//! Finds the end of the JSON value at the head of a buffer with `serde_json`, and reads counts.

use serde_json::value::RawValue;

/// The result of `serde_json` for the value at the beginning of some bytes.
pub(crate) enum ValueEnd {
    /// The value is whole and this many bytes long.
    Whole(usize),
    /// The value continues after these bytes.
    Partial,
    /// The value is not JSON.
    Wrong(String),
}

/// Finds the end of the value at the head of `bytes`, which do not begin with whitespace. `serde_json` skips a raw value in
/// a loop, without recursion and copies, and checks its UTF-8 at the end.
pub(crate) fn value_end(bytes: &[u8]) -> ValueEnd {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(raw)) => ValueEnd::Whole(raw.get().len()),
        Some(Err(error)) if error.is_eof() || may_be_half_a_number(bytes) => ValueEnd::Partial,
        Some(Err(error)) => ValueEnd::Wrong(error.to_string()),
        None => ValueEnd::Partial,
    }
}

/// Whether the bytes may end within a number (`-`, `1.`, `1e+`), which `serde_json` reports as wrong instead of unfinished.
/// The value is then read again once more bytes are there; a value that is really wrong is still wrong then.
fn may_be_half_a_number(bytes: &[u8]) -> bool {
    matches!(bytes.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'))
}

/// The first byte after the value that is not whitespace, with its place.
pub(crate) fn non_blank_after(bytes: &[u8], end: usize) -> Option<(usize, u8)> {
    let blank = bytes[end..].iter().position(|byte| !is_blank(*byte))?;
    Some((end + blank, bytes[end + blank]))
}

/// Whether a byte is JSON whitespace.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Reads a count: a number or a numeric string, also with a fraction of zero. None for anything else.
pub(crate) fn count(raw: &str) -> Option<u64> {
    match serde_json::from_str(raw).ok()? {
        serde_json::Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        serde_json::Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

/// The integer of a float that is whole and small enough to be exact.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "neither: it is compared before"
)]
fn whole(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    ((0.0..EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number_however_it_is_written() {
        for readable in ["131", "131.0", "1.31e2", "\"131\"", "\" 131.0 \""] {
            assert_eq!(count(readable), Some(131), "{readable}");
        }
        for unreadable in [
            "null", "-1", "131.5", "1e300", "true", "\"\"", "\"many\"", "\"-1\"", "\"NaN\"", "[131]",
        ] {
            assert_eq!(count(unreadable), None, "{unreadable}");
        }
    }
}
