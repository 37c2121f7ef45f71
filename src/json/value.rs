//! Finds where the JSON value at the head of a buffer ends, with `serde_json`, and reads counts.

use serde_json::value::RawValue;

/// The result of `serde_json` for the value at the beginning of some bytes.
pub(crate) enum ValueEnd {
    /// It is whole, and so many bytes long.
    Whole(usize),
    /// Its end is not among the bytes.
    Partial,
    /// It is no JSON.
    Wrong(String),
}

/// Finds the end of the value at the head of `bytes`, which do not begin with whitespace. Neither recursive nor copying:
/// `serde_json` skips over a raw value in a loop, and checks its UTF-8 at the end.
pub(crate) fn value_end(bytes: &[u8]) -> ValueEnd {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(raw)) => ValueEnd::Whole(raw.get().len()),
        Some(Err(error)) if error.is_eof() || may_be_half_a_number(bytes) => ValueEnd::Partial,
        Some(Err(error)) => ValueEnd::Wrong(error.to_string()),
        None => ValueEnd::Partial,
    }
}

/// The reader calls a number that stops short (`-`, `1.`, `1e+`) wrong, not unfinished. Bytes that end so are read
/// again with more of them: a value that is wrong is still wrong then.
fn may_be_half_a_number(bytes: &[u8]) -> bool {
    matches!(bytes.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'))
}

/// The first byte behind the value that is not whitespace, and where it stands.
pub(crate) fn solid_behind(bytes: &[u8], end: usize) -> Option<(usize, u8)> {
    let blank = bytes[end..].iter().position(|byte| !is_blank(*byte))?;
    Some((end + blank, bytes[end + blank]))
}

/// Whitespace as JSON has it.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// A count as a number or as numeric text, also with a fraction of zero; anything else says nothing.
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

/// A float that is a count, and small enough to be exact.
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
