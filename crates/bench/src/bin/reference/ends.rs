//! Finds the end of a JSON object: with `serde_json`, which also checks the JSON, or by strings and brackets
//! alone, 64 bytes at a step, since an object with unchanged bytes was checked when it was loaded.

use clap::ValueEnum;
use serde_json::Deserializer;
use serde_json::value::RawValue;
use wide::u8x16;

use bench::Outcome;

/// How the ends are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ends {
    /// By strings and brackets
    #[default]
    Brackets,
    /// By `serde_json`, as a `RawValue`
    RawValue,
}

/// Bytes of a step: a bit each in a word.
const STEP: usize = 64;

impl Ends {
    /// The length of the object at the start of the bytes; `None`: it does not end within them.
    pub(crate) fn find(self, bytes: &[u8]) -> Outcome<Option<usize>> {
        match self {
            Self::Brackets => Ok(by_brackets(bytes)),
            Self::RawValue => by_raw_value(bytes),
        }
    }
}

fn by_raw_value(bytes: &[u8]) -> Outcome<Option<usize>> {
    let mut values = Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(value)) => Ok(Some(value.get().len())),
        Some(Err(error)) if !error.is_eof() => Err(error.into()),
        _ => Ok(None),
    }
}

/// The state between two steps.
#[derive(Default)]
struct State {
    depth: u32,
    /// All ones inside of a string.
    inside: u64,
    /// One when the next byte is escaped.
    escaped: u64,
}

fn by_brackets(bytes: &[u8]) -> Option<usize> {
    let mut state = State::default();
    let (steps, rest) = bytes.as_chunks::<STEP>();
    for (place, step) in steps.iter().enumerate() {
        if let Some(end) = state.step(step) {
            return Some(place * STEP + end);
        }
    }
    let mut last = [b' '; STEP];
    last[..rest.len()].copy_from_slice(rest);
    state.step(&last).map(|end| steps.len() * STEP + end)
}

impl State {
    fn step(&mut self, bytes: &[u8; STEP]) -> Option<usize> {
        let (mut quotes, mut backslashes, mut openers, mut closers) = (0, 0, 0, 0);
        for (place, lanes) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let lanes = u8x16::new(*lanes);
            // `[` and `{`, and `]` and `}`, differ in one bit.
            let folded = lanes | u8x16::splat(0x20);
            let mask = |lanes: u8x16, byte| {
                u64::from(lanes.simd_eq(u8x16::splat(byte)).to_bitmask()) << (16 * place)
            };
            quotes |= mask(lanes, b'"');
            backslashes |= mask(lanes, b'\\');
            openers |= mask(folded, b'{');
            closers |= mask(folded, b'}');
        }
        let mut strings = quotes & !self.escaped_by(backslashes);
        for shift in [1, 2, 4, 8, 16, 32] {
            strings ^= strings << shift;
        }
        strings ^= self.inside;
        self.inside = (strings >> 63).wrapping_neg();
        self.close(openers & !strings, closers & !strings)
    }

    /// The bytes behind an odd number of backslashes.
    fn escaped_by(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escaped;
        backslashes &= !escaped;
        self.escaped = 0;
        while backslashes != 0 {
            let first = backslashes & backslashes.wrapping_neg();
            self.escaped = first >> 63;
            escaped |= first << 1;
            backslashes &= !(first | first << 1);
        }
        escaped
    }

    fn close(&mut self, openers: u64, closers: u64) -> Option<usize> {
        // Most steps cannot end the object: then it is enough to count.
        if closers.count_ones() < self.depth {
            self.depth = self.depth + openers.count_ones() - closers.count_ones();
            return None;
        }
        let mut brackets = openers | closers;
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            brackets &= brackets - 1;
            if openers >> place & 1 == 1 {
                self.depth += 1;
            } else {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return Some(place as usize + 1);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same_end() -> Outcome<()> {
        let long = format!(r#"{{"a":"{}","b":[[{{}}]]}}"#, r#"}\"\\{]["#.repeat(40));
        for object in [r"{}", r#"{"a":["]","}\"",{"b":"\\"}]}"#, long.as_str()] {
            let text = format!("{object},{{");
            for ends in [Ends::Brackets, Ends::RawValue] {
                assert_eq!(
                    ends.find(text.as_bytes())?,
                    Some(object.len()),
                    "{ends:?}: {object}"
                );
                for cut in 1..object.len() {
                    assert_eq!(
                        ends.find(&object.as_bytes()[..cut])?,
                        None,
                        "{ends:?}: {cut} of {object}"
                    );
                }
            }
        }
        Ok(())
    }
}
