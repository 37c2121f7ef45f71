//! Makes JSON of the tenant storable as `jsonb`, which is stricter than JSON: no NUL, no lone surrogate, no number beyond
//! `numeric`, and no nesting beyond the server's stack.

use std::borrow::Cow;

/// The deepest accepted nesting. PostgreSQL parses by recursion and ends at some thousand levels.
const DEEPEST: usize = 500;
/// The longest number, and the largest exponent, that stays a number. `numeric` takes more; a longer one becomes a text.
const LONGEST_NUMBER: usize = 300;

/// JSON is nested too deeply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

impl TooDeep {
    /// What is wanted instead, for a message.
    pub(super) const WANTED: &str = "JSON of at most 500 levels";
}

/// The same JSON in a form that PostgreSQL stores. `json` must be valid JSON. What cannot be stored in a text becomes U+FFFD
/// and is counted in `replaced`; a number that `numeric` may not hold becomes a text with the same digits.
pub(super) fn storable<'a>(json: &'a str, replaced: &mut u64) -> Result<Cow<'a, str>, TooDeep> {
    let mut cleaner = Cleaner {
        json,
        taken: 0,
        cleaned: String::new(),
        replaced: 0,
    };
    let bytes = json.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = cleaner.string(at);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                at = cleaner.number(at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    *replaced += cleaner.replaced;
    Ok(cleaner.finish())
}

/// Copies JSON only from the first place on that has to change.
struct Cleaner<'a> {
    json: &'a str,
    /// Everything before this place is in `cleaned`, once anything is.
    taken: usize,
    cleaned: String,
    replaced: u64,
}

impl<'a> Cleaner<'a> {
    /// The place after the string that begins at `start`.
    fn string(&mut self, start: usize) -> usize {
        let bytes = self.json.as_bytes();
        let mut at = start + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at = self.escape(at),
                _ => at += 1,
            }
        }
        at
    }

    /// The place after the escape at `at`; an escape that cannot be stored is replaced.
    fn escape(&mut self, at: usize) -> usize {
        let Some(unit) = self.unit(at) else {
            return at + 2;
        };
        match (unit, self.unit(at + 6)) {
            (0xD800..=0xDBFF, Some(0xDC00..=0xDFFF)) => return at + 12,
            (0 | 0xD800..=0xDFFF, _) => self.replace(at, at + 6),
            _ => {}
        }
        at + 6
    }

    /// The UTF-16 unit of a `\uXXXX` at this place.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.json.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    }

    fn replace(&mut self, from: usize, to: usize) {
        self.put(from, to, "\u{fffd}");
        self.replaced += 1;
    }

    /// The place after the number that begins at `start`; one that may be too large is quoted.
    fn number(&mut self, start: usize) -> usize {
        let rest = &self.json[start..];
        let ends = |byte: u8| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let length = rest.bytes().position(ends).unwrap_or(rest.len());
        let number = &rest[..length];
        let exponent = number.split_once(['e', 'E']).map(|(_, exponent)| exponent);
        let is_far = exponent.is_some_and(|exponent| {
            exponent
                .parse::<i64>()
                .map_or(true, |exponent| exponent.unsigned_abs() > LONGEST_NUMBER as u64)
        });
        if is_far || length > LONGEST_NUMBER {
            let quoted = format!("\"{number}\"");
            self.put(start, start + length, &quoted);
        }
        start + length
    }

    fn put(&mut self, from: usize, to: usize, instead: &str) {
        self.cleaned.push_str(&self.json[self.taken..from]);
        self.cleaned.push_str(instead);
        self.taken = to;
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.taken == 0 {
            return Cow::Borrowed(self.json);
        }
        self.cleaned.push_str(&self.json[self.taken..]);
        Cow::Owned(self.cleaned)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    fn cleaned(json: &str) -> (String, u64) {
        let mut replaced = 0;
        let cleaned = storable(json, &mut replaced).unwrap().into_owned();
        (cleaned, replaced)
    }

    #[test]
    fn what_can_be_stored_stays_as_it_is() {
        for json in [
            r#"{"a":[1,-2.5e10,true,null,"\u00fc \ud83d\ude00 \" \\u0000 \\"],"b":{}}"#,
            "7",
            r#""""#,
        ] {
            let mut replaced = 0;
            let kept = storable(json, &mut replaced).unwrap();
            assert!(matches!(kept, Cow::Borrowed(_)), "{json}");
            assert_eq!((kept.as_ref(), replaced), (json, 0));
        }
    }

    #[test]
    fn nul_and_lone_surrogates_become_one_replacement_character_each() {
        assert_eq!(
            cleaned(r#"{"a\u0000":"\u0000x\ud800","b":"\udc00\ud800\ud800\udc00"}"#),
            (
                "{\"a\u{fffd}\":\"\u{fffd}x\u{fffd}\",\"b\":\"\u{fffd}\u{fffd}\\ud800\\udc00\"}".to_owned(),
                5
            )
        );
    }

    #[test]
    fn a_number_that_numeric_may_not_hold_becomes_a_text() {
        let long = "9".repeat(301);
        let json = format!("[1e301,-1E-999999999999999999999,{long},1e300]");
        let wanted = format!("[\"1e301\",\"-1E-999999999999999999999\",\"{long}\",1e300]");
        assert_eq!(cleaned(&json), (wanted, 0));
    }

    #[test]
    fn json_that_is_nested_too_deeply_is_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let mut replaced = 0;
        storable(&nested(DEEPEST), &mut replaced).unwrap();
        assert_eq!(storable(&nested(DEEPEST + 1), &mut replaced), Err(TooDeep));
    }
}
