//! Finds the end of a JSON object by its strings and brackets alone, 64 bytes a step. A walk over unchanged profiles spends
//! most of its time on finding the ends of elements. Whether the bytes are valid JSON is checked by the decoder; an object
//! with the bytes of the last walk has passed that check.

use wide::u8x16;

/// Bytes of one step: one bit each in a word.
const STEP: usize = 64;
/// The deepest nesting of brackets; a deeper object is left to a reader without that limit.
const DEEPEST: u32 = 64;

/// The result of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectEnd {
    /// The object is this many bytes long.
    Ends(usize),
    /// The object continues after these bytes.
    Continues,
    /// A bracket has the wrong kind or is nested too deep, or a backslash stands outside of strings: another reader decides.
    Unclear,
}

/// Finds the end of the object that begins with the first byte.
pub(crate) fn object_end(bytes: &[u8]) -> ObjectEnd {
    let mut open = Open::default();
    let mut strings = Strings::default();
    let (steps, rest) = bytes.as_chunks::<STEP>();
    for (place, step) in steps.iter().enumerate() {
        if let Some(found) = open.over(&Bitmaps::of(step), &mut strings) {
            return found.behind(place * STEP);
        }
    }
    let mut last = [b' '; STEP];
    last[..rest.len()].copy_from_slice(rest);
    match open.over(&Bitmaps::of(&last), &mut strings) {
        Some(found) => found.behind(steps.len() * STEP),
        None => ObjectEnd::Continues,
    }
}

impl ObjectEnd {
    fn behind(self, offset: usize) -> Self {
        match self {
            Self::Ends(end) => Self::Ends(offset + end),
            other => other,
        }
    }
}

/// Bitmaps of 64 bytes by kind; the first byte is the lowest bit.
struct Bitmaps {
    quotes: u64,
    backslashes: u64,
    /// `{` and `[`.
    openers: u64,
    /// `}` and `]`.
    closers: u64,
    /// `{` and `}` among them.
    braces: u64,
}

/// Whether a string is open, and whether its next byte is escaped.
#[derive(Default)]
struct Strings {
    /// All ones inside of a string.
    inside: u64,
    escaped: u64,
}

impl Strings {
    /// The bytes outside of strings. The bits of the quotes themselves have no meaning.
    fn outside(&mut self, bitmaps: &Bitmaps) -> u64 {
        let escaped = self.escaped_among(bitmaps.backslashes);
        let inside = fill(bitmaps.quotes & !escaped) ^ self.inside;
        self.inside = (inside >> (u64::BITS - 1)).wrapping_neg();
        !inside
    }

    /// The bytes that are escaped: those after a backslash that is not itself escaped.
    fn escaped_among(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = self.escaped;
        backslashes &= !escaped;
        self.escaped = 0;
        while backslashes != 0 {
            let lowest = backslashes & backslashes.wrapping_neg();
            let next = lowest << 1;
            escaped |= next;
            if next == 0 {
                self.escaped = 1;
            }
            backslashes &= !(lowest | next);
        }
        escaped
    }
}

/// Sets each bit to the parity of the bits up to it: ones from an opening quote up to its closing quote, exclusive.
fn fill(mut quotes: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        quotes ^= quotes << shift;
    }
    quotes
}

/// The kinds of the open brackets, the innermost in the lowest bit; 1 is a brace.
#[derive(Default)]
struct Open {
    kinds: u64,
    depth: u32,
}

impl Open {
    /// Scans the next step; none if the object continues after it.
    fn over(&mut self, bitmaps: &Bitmaps, strings: &mut Strings) -> Option<ObjectEnd> {
        let outside = strings.outside(bitmaps);
        // A backslash outside of strings is not JSON, and readers differ in how they treat a quote after it.
        let mut met = (bitmaps.openers | bitmaps.closers | bitmaps.backslashes) & outside;
        while met != 0 {
            let place = met.trailing_zeros();
            met &= met - 1;
            if bitmaps.backslashes >> place & 1 == 1 {
                return Some(ObjectEnd::Unclear);
            }
            let brace = bitmaps.braces >> place & 1;
            if bitmaps.openers >> place & 1 == 1 {
                if self.depth == DEEPEST {
                    return Some(ObjectEnd::Unclear);
                }
                self.kinds = self.kinds << 1 | brace;
                self.depth += 1;
                continue;
            }
            if self.depth == 0 || self.kinds & 1 != brace {
                return Some(ObjectEnd::Unclear);
            }
            self.kinds >>= 1;
            self.depth -= 1;
            if self.depth == 0 {
                return Some(ObjectEnd::Ends(place as usize + 1));
            }
        }
        None
    }
}

impl Bitmaps {
    fn of(bytes: &[u8; STEP]) -> Self {
        let mut bitmaps = Self {
            quotes: 0,
            backslashes: 0,
            openers: 0,
            closers: 0,
            braces: 0,
        };
        let (quarters, _) = bytes.as_chunks::<16>();
        for (place, quarter) in quarters.iter().enumerate() {
            let lanes = u8x16::new(*quarter);
            // `[` and `{`, and `]` and `}`, differ in one bit alone.
            let folded = lanes | u8x16::splat(0x20);
            let equal = |lanes: u8x16, byte| {
                u64::from(lanes.simd_eq(u8x16::splat(byte)).to_bitmask()) << (16 * place)
            };
            bitmaps.quotes |= equal(lanes, b'"');
            bitmaps.backslashes |= equal(lanes, b'\\');
            bitmaps.openers |= equal(folded, b'{');
            bitmaps.closers |= equal(folded, b'}');
            bitmaps.braces |= equal(lanes, b'{') | equal(lanes, b'}');
        }
        bitmaps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::tolerant::{Scan, TolerantScanner};

    /// The result of a scanner that works byte by byte.
    fn slowly(bytes: &[u8]) -> ObjectEnd {
        let mut deep = 0_usize;
        let (mut inside, mut escaped) = (false, false);
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = !inside,
                _ if inside => {}
                b'{' | b'[' => deep += 1,
                b'}' | b']' if deep == 1 => return ObjectEnd::Ends(place + 1),
                b'}' | b']' => deep -= 1,
                _ => {}
            }
        }
        ObjectEnd::Continues
    }

    #[test]
    fn an_object_ends_with_the_brace_that_closes_it() {
        for (text, expected) in [
            ("{}", ObjectEnd::Ends(2)),
            (r#"{"a":[1,{"b":"]}"}]},{"#, ObjectEnd::Ends(20)),
            (r#"{"a\\\"}":"\\"} "#, ObjectEnd::Ends(15)),
            (r#"{"a":"}"#, ObjectEnd::Continues),
            ("{[}", ObjectEnd::Unclear),
            ("{]", ObjectEnd::Unclear),
            (r#"{\"}"#, ObjectEnd::Unclear),
        ] {
            assert_eq!(object_end(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_borne_up_to_a_bound() {
        let nested = |depth: usize| format!("{{{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(object_end(nested(63).as_bytes()), ObjectEnd::Ends(128));
        assert_eq!(object_end(nested(64).as_bytes()), ObjectEnd::Unclear);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Brackets match wherever steps begin and whatever the strings hold.
        #[test]
        fn it_finds_what_a_scanner_by_bytes_finds(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "\"", "\\", "\\\\", "\\\"", "{\"k\":", "}", "[", "]", ",", "text", "ü", "\"a\":\"b\"", " ",
                    "\"a text that is longer than a step of sixty-four bytes, so that one lies wholly inside of it\"",
                ]),
                0..60,
            ),
        ) {
            let text = format!("{{{}", parts.concat());
            match object_end(text.as_bytes()) {
                ObjectEnd::Unclear => {}
                found => {
                    prop_assert_eq!(found, slowly(text.as_bytes()));
                }
            }
            // The scanner that skips broken elements has to see the same strings and brackets.
            if let ObjectEnd::Ends(end) = object_end(text.as_bytes()) {
                let mut behind = text[..end].to_owned();
                behind.push(',');
                prop_assert_eq!(TolerantScanner::inside(b']').scan(behind.as_bytes()), Scan::End(end));
            }
            for cut in (0..text.len()).step_by(7) {
                let found = object_end(&text.as_bytes()[..cut]);
                let whole = object_end(text.as_bytes());
                prop_assert!(found == ObjectEnd::Continues || found == whole);
            }
        }
    }
}
