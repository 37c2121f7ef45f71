//! Finds the end of a JSON value that is too large to hold, not needed, or not quite JSON. The scanner looks at strings and
//! brackets only, uses constant memory, and reports brackets that do not match.

/// Bracket kinds are compared down to this depth; below it they are only counted.
const COMPARED_DEPTH: usize = 1024;

/// The result of scanning some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// The value continues after these bytes.
    More,
    /// The value ends before this byte, which is the comma or bracket after it.
    End(usize),
    /// The bracket at this place closes nothing.
    Lost(usize),
}

/// The state of the scan between two pieces of one value.
#[derive(Debug)]
pub(crate) struct TolerantScanner {
    close: u8,
    depth: u64,
    openers: Vec<u8>,
    in_string: bool,
    escaped: bool,
}

impl TolerantScanner {
    /// A scanner for a value in the array or object that `close` ends.
    pub(crate) fn inside(close: u8) -> Self {
        Self {
            close,
            depth: 0,
            openers: Vec::new(),
            in_string: false,
            escaped: false,
        }
    }

    /// Scans the next bytes.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                at = self.skip_string(bytes, at);
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                opener @ (b'[' | b'{') => self.open(opener),
                b',' if self.depth == 0 => return Scan::End(at),
                closer @ (b']' | b'}') if self.depth == 0 => {
                    return if closer == self.close {
                        Scan::End(at)
                    } else {
                        Scan::Lost(at)
                    };
                }
                closer @ (b']' | b'}') if !self.shut(closer) => return Scan::Lost(at),
                _ => {}
            }
            at += 1;
        }
        Scan::More
    }

    /// Skips the rest of a string: returns the place after its closing quote, or the end of the bytes.
    fn skip_string(&mut self, bytes: &[u8], mut at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            at += 1;
        }
        while let Some(found) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| matches!(byte, b'"' | b'\\')))
        {
            at += found + 1;
            if bytes[at - 1] == b'"' {
                self.in_string = false;
                return at;
            }
            if at == bytes.len() {
                self.escaped = true;
                return at;
            }
            at += 1;
        }
        bytes.len()
    }

    fn open(&mut self, opener: u8) {
        self.depth += 1;
        if self.openers.len() < COMPARED_DEPTH {
            self.openers.push(opener);
        }
    }

    /// Closes the innermost bracket; false when it is of the other kind.
    fn shut(&mut self, closer: u8) -> bool {
        let compared = u64::try_from(self.openers.len()).is_ok_and(|compared| compared == self.depth);
        self.depth -= 1;
        if !compared {
            return true;
        }
        matches!(
            (self.openers.pop(), closer),
            (Some(b'['), b']') | (Some(b'{'), b'}')
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Scan {
        TolerantScanner::inside(b']').scan(text.as_bytes())
    }

    #[test]
    fn a_value_ends_before_the_comma_or_bracket_behind_it() {
        assert_eq!(whole("12,"), Scan::End(2));
        assert_eq!(whole(r#"{"a":[1,2,{"b":"]}"}]},"#), Scan::End(22));
        assert_eq!(whole(r#""a\"],","#), Scan::End(7));
        assert_eq!(whole(r#""a\"],"#), Scan::More);
        assert_eq!(whole(r#""a\\"]"#), Scan::End(5));
        assert_eq!(whole("NaN]"), Scan::End(3));
    }

    #[test]
    fn a_bracket_that_closes_nothing_is_noticed() {
        assert_eq!(whole("12}"), Scan::Lost(2));
        assert_eq!(whole("{]"), Scan::Lost(1));
        assert_eq!(whole("[[}"), Scan::Lost(2));
    }

    #[test]
    fn every_cut_gives_the_same_end() {
        let text = r#"{"a\\\"":["x\u005d",{"b":"\\"}],"c":nul},"#.as_bytes();
        for cut in 0..text.len() {
            let mut scanner = TolerantScanner::inside(b']');
            let end = match scanner.scan(&text[..cut]) {
                Scan::More => match scanner.scan(&text[cut..]) {
                    Scan::End(end) => cut + end,
                    other => unreachable!("{other:?} behind the cut at {cut}"),
                },
                other => unreachable!("{other:?} before the cut at {cut}"),
            };
            assert_eq!(end, text.len() - 1);
        }
    }

    #[test]
    fn depth_beyond_what_is_compared_is_counted() {
        let mut text = "[".repeat(100_000);
        text.push_str(&"]".repeat(100_000));
        text.push(',');
        assert_eq!(whole(&text), Scan::End(200_000));
    }
}
