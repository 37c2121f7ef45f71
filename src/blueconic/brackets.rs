//! Finds where a JSON object ends by its strings and brackets alone, 64 bytes at a step: the wall of a walk over
//! profiles that did not change is finding their ends. Whether what lies between is JSON is for the decoder to say, and
//! an object whose bytes are the same as last time has been through it.

use wide::u8x16;

/// Bytes that are looked at together: one bit each in a word.
const STEP: usize = 64;
/// Brackets may be nested so deep, or the object is left to a reader that takes any depth.
const DEEPEST: u32 = 64;

/// What the strings and brackets of the bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    /// It is so many bytes long.
    Ends(usize),
    /// Its end is not among the bytes.
    GoesOn,
    /// A bracket of the wrong kind, one too deep for this, or a stray backslash: somebody else has to look.
    Odd,
}

/// Where the object ends that begins with the first byte.
pub(super) fn object(bytes: &[u8]) -> Object {
    let mut open = Open::default();
    let mut strings = Strings::default();
    let (steps, rest) = bytes.as_chunks::<STEP>();
    for (place, step) in steps.iter().enumerate() {
        if let Some(found) = open.over(&Marks::of(step), &mut strings) {
            return found.behind(place * STEP);
        }
    }
    let mut last = [b' '; STEP];
    last[..rest.len()].copy_from_slice(rest);
    match open.over(&Marks::of(&last), &mut strings) {
        Some(found) => found.behind(steps.len() * STEP),
        None => Object::GoesOn,
    }
}

impl Object {
    fn behind(self, offset: usize) -> Self {
        match self {
            Self::Ends(end) => Self::Ends(offset + end),
            other => other,
        }
    }
}

/// Which of 64 bytes are what, the first byte in the lowest bit.
struct Marks {
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
    /// The bytes that stand outside of strings; quotes count as inside or outside by chance.
    fn outside(&mut self, marks: &Marks) -> u64 {
        let escaped = self.escaped_among(marks.backslashes);
        let inside = fill(marks.quotes & !escaped) ^ self.inside;
        self.inside = (inside >> (u64::BITS - 1)).wrapping_neg();
        !inside
    }

    /// The bytes behind a backslash that is not itself behind one.
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

/// Sets each bit to the sum of the bits up to it: from a quote to the one that closes it, without that one.
fn fill(mut quotes: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        quotes ^= quotes << shift;
    }
    quotes
}

/// The brackets that are open, the innermost in the lowest bit; ones are braces.
#[derive(Default)]
struct Open {
    kinds: u64,
    depth: u32,
}

impl Open {
    /// Goes over the next bytes; none when the object goes on behind them.
    fn over(&mut self, marks: &Marks, strings: &mut Strings) -> Option<Object> {
        let outside = strings.outside(marks);
        // Outside of strings a backslash is no JSON, and readers differ in what it does to a quote behind it.
        let mut met = (marks.openers | marks.closers | marks.backslashes) & outside;
        while met != 0 {
            let place = met.trailing_zeros();
            met &= met - 1;
            if marks.backslashes >> place & 1 == 1 {
                return Some(Object::Odd);
            }
            let brace = marks.braces >> place & 1;
            if marks.openers >> place & 1 == 1 {
                if self.depth == DEEPEST {
                    return Some(Object::Odd);
                }
                self.kinds = self.kinds << 1 | brace;
                self.depth += 1;
                continue;
            }
            if self.depth == 0 || self.kinds & 1 != brace {
                return Some(Object::Odd);
            }
            self.kinds >>= 1;
            self.depth -= 1;
            if self.depth == 0 {
                return Some(Object::Ends(place as usize + 1));
            }
        }
        None
    }
}

impl Marks {
    fn of(bytes: &[u8; STEP]) -> Self {
        let mut marks = Self {
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
            marks.quotes |= equal(lanes, b'"');
            marks.backslashes |= equal(lanes, b'\\');
            marks.openers |= equal(folded, b'{');
            marks.closers |= equal(folded, b'}');
            marks.braces |= equal(lanes, b'{') | equal(lanes, b'}');
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::blueconic::scanner::{Scan, Scanner};

    /// What a scanner says that goes byte by byte.
    fn slowly(bytes: &[u8]) -> Object {
        let mut deep = 0_usize;
        let (mut inside, mut escaped) = (false, false);
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = !inside,
                _ if inside => {}
                b'{' | b'[' => deep += 1,
                b'}' | b']' if deep == 1 => return Object::Ends(place + 1),
                b'}' | b']' => deep -= 1,
                _ => {}
            }
        }
        Object::GoesOn
    }

    #[test]
    fn an_object_ends_with_the_brace_that_closes_it() {
        for (text, expected) in [
            ("{}", Object::Ends(2)),
            (r#"{"a":[1,{"b":"]}"}]},{"#, Object::Ends(20)),
            (r#"{"a\\\"}":"\\"} "#, Object::Ends(15)),
            (r#"{"a":"}"#, Object::GoesOn),
            ("{[}", Object::Odd),
            ("{]", Object::Odd),
            (r#"{\"}"#, Object::Odd),
        ] {
            assert_eq!(object(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_borne_up_to_a_bound() {
        let nested = |depth: usize| format!("{{{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(object(nested(63).as_bytes()), Object::Ends(128));
        assert_eq!(object(nested(64).as_bytes()), Object::Odd);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Brackets that match, wherever steps begin and whatever stands in strings.
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
            match object(text.as_bytes()) {
                Object::Odd => {}
                found => {
                    prop_assert_eq!(found, slowly(text.as_bytes()));
                }
            }
            // The scanner that salvages broken elements has to see the same strings and brackets.
            if let Object::Ends(end) = object(text.as_bytes()) {
                let mut behind = text[..end].to_owned();
                behind.push(',');
                prop_assert_eq!(Scanner::inside(b']').scan(behind.as_bytes()), Scan::End(end));
            }
            for cut in (0..text.len()).step_by(7) {
                let found = object(&text.as_bytes()[..cut]);
                let whole = object(text.as_bytes());
                prop_assert!(found == Object::GoesOn || found == whole);
            }
        }
    }
}
