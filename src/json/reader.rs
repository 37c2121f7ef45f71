//! A pull reader over one JSON text. Nearly all bytes of a full load are profiles, so this reader makes one pass: it returns
//! the ranges of values and checks that the whole text is valid JSON. For anything else it returns [`UnsupportedJson`], and
//! `serde_json` reads the text instead. The reader knows nothing about profiles.

use std::ops::Range;

use crate::json::bitmap::Bitmap;
use crate::json::unsupported::{FastResult, UnsupportedJson, supported};

/// The deepest supported nesting, in levels.
const DEEPEST: u32 = 32;

/// How a string is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Escapes {
    /// Without escapes.
    None,
    /// Only with escapes that `serde_json` would write as well.
    Own,
    /// With other escapes.
    Foreign,
}

/// A string, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quoted {
    /// Its bytes in the text.
    pub(crate) range: Range<usize>,
    /// How it is escaped.
    pub(crate) escapes: Escapes,
}

/// The kind of a value, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string; its opening quote has been taken.
    Text,
    /// An object or an array.
    Nested,
    /// A number, a truth value or null.
    Bare,
}

/// Reads one JSON text from start to end.
#[derive(Debug)]
pub(crate) struct Reader<'text> {
    text: &'text str,
    bytes: &'text [u8],
    bitmap: &'text Bitmap,
    at: usize,
}

impl<'text> Reader<'text> {
    /// Starts at the head of `text` and fills `bitmap` for it.
    pub(crate) fn new(text: &'text str, bitmap: &'text mut Bitmap) -> Self {
        bitmap.set(text.as_bytes());
        Self {
            text,
            bytes: text.as_bytes(),
            bitmap,
            at: 0,
        }
    }

    /// Checks that only white space is left.
    pub(crate) fn end(&mut self) -> FastResult<()> {
        supported(self.peek().is_none())
    }

    /// Takes an object; `member` takes the value of each key. Keys with escapes are not supported.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'text [u8]) -> FastResult<()>,
    ) -> FastResult<()> {
        self.must(b'{')?;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            self.must(b'"')?;
            let key = self.quoted()?;
            supported(key.escapes == Escapes::None)?;
            self.must(b':')?;
            member(self, &self.bytes[key.range])?;
            if !self.takes(b',') {
                return self.must(b'}');
            }
        }
    }

    /// Takes an array; `item` takes each of its values.
    #[inline]
    pub(crate) fn list(&mut self, mut item: impl FnMut(&mut Self) -> FastResult<()>) -> FastResult<()> {
        self.must(b'[')?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.takes(b',') {
                return self.must(b']');
            }
        }
    }

    /// The kind of the next value.
    #[inline]
    pub(crate) fn kind(&mut self) -> FastResult<Kind> {
        if self.takes(b'"') {
            return Ok(Kind::Text);
        }
        match self.peek() {
            Some(b'{' | b'[') => Ok(Kind::Nested),
            Some(_) => Ok(Kind::Bare),
            None => Err(UnsupportedJson),
        }
    }

    /// Takes `null` if it comes next.
    pub(crate) fn takes_null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.literal("null").is_ok()
    }

    /// Takes the rest of a string whose opening quote has been taken.
    #[inline]
    pub(crate) fn quoted(&mut self) -> FastResult<Quoted> {
        let start = self.at;
        let mut escapes = Escapes::None;
        loop {
            let place = self.bitmap.next(self.at)?;
            match self.bytes.get(place) {
                Some(b'"') => {
                    self.at = place + 1;
                    let range = start..place;
                    return Ok(Quoted { range, escapes });
                }
                Some(b'\\') => {
                    self.at = place + 1;
                    escapes = escapes.max(self.escape()?);
                }
                // A control character.
                _ => return Err(UnsupportedJson),
            }
        }
    }

    /// Takes a number, a truth value or null.
    pub(crate) fn bare(&mut self) -> FastResult<Range<usize>> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'n') => self.literal("null")?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            _ => self.number()?,
        }
        Ok(start..self.at)
    }

    /// Takes any value.
    pub(crate) fn skip(&mut self) -> FastResult<()> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, levels: u32) -> FastResult<()> {
        match self.kind()? {
            Kind::Text => self.quoted().map(|_| ()),
            Kind::Bare => self.bare().map(|_| ()),
            Kind::Nested => {
                let levels = levels.checked_sub(1).ok_or(UnsupportedJson)?;
                if self.bytes[self.at] == b'{' {
                    self.object(|reader, _| reader.skip_within(levels))
                } else {
                    self.list(|reader| reader.skip_within(levels))
                }
            }
        }
    }

    /// Takes the rest of an escape, after its backslash.
    fn escape(&mut self) -> FastResult<Escapes> {
        let kind = self.bytes.get(self.at);
        self.at += 1;
        match kind {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Escapes::Own),
            Some(b'/') => Ok(Escapes::Foreign),
            Some(b'u') => {
                let digits = self.bytes.get(self.at..self.at + 4).ok_or(UnsupportedJson)?;
                supported(digits.iter().all(u8::is_ascii_hexdigit))?;
                self.at += 4;
                Ok(Escapes::Foreign)
            }
            _ => Err(UnsupportedJson),
        }
    }

    fn number(&mut self) -> FastResult<()> {
        self.passes(b"-");
        if !self.passes(b"0") {
            self.digits()?;
        }
        if self.passes(b".") {
            self.digits()?;
        }
        if self.passes(b"eE") {
            self.passes(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> FastResult<()> {
        let start = self.at;
        while self.passes(b"0123456789") {}
        supported(self.at > start)
    }

    /// Takes the byte at the current place if it is one of `any`.
    fn passes(&mut self, any: &[u8]) -> bool {
        let passes = self.bytes.get(self.at).is_some_and(|byte| any.contains(byte));
        self.at += usize::from(passes);
        passes
    }

    fn literal(&mut self, word: &str) -> FastResult<()> {
        supported(self.bytes[self.at..].starts_with(word.as_bytes()))?;
        self.at += word.len();
        Ok(())
    }

    /// Takes this byte, which must come next.
    #[inline]
    fn must(&mut self, byte: u8) -> FastResult<()> {
        supported(self.takes(byte))
    }

    /// Takes this byte if it comes next.
    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        let takes = self.bytes.get(self.at) == Some(&byte) || self.peek() == Some(byte);
        self.at += usize::from(takes);
        takes
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes these bytes if they follow at the current place.
    #[inline]
    pub(crate) fn takes_all<const LENGTH: usize>(&mut self, bytes: &[u8; LENGTH]) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let takes = rest.first_chunk() == Some(bytes);
        self.at += if takes { LENGTH } else { 0 };
        takes
    }

    /// The current place.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// Moves back to a place.
    pub(crate) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// The whole text.
    pub(crate) fn whole(&self) -> &'text str {
        self.text
    }
}

/// Appends the unescaped string. NUL and lone surrogates are not supported: PostgreSQL cannot store them.
pub(crate) fn unescape(escaped: &str, into: &mut String) -> FastResult<()> {
    let mut rest = escaped;
    while let Some((plain, behind)) = rest.split_once('\\') {
        into.push_str(plain);
        let (meant, behind) = character(behind)?;
        into.push(meant);
        rest = behind;
    }
    into.push_str(rest);
    Ok(())
}

/// The character of an escape, and the text after it.
fn character(behind: &str) -> FastResult<(char, &str)> {
    let (kind, rest) = behind.split_at_checked(1).ok_or(UnsupportedJson)?;
    let meant = match kind {
        "\"" | "\\" | "/" => kind.chars().next().ok_or(UnsupportedJson)?,
        "b" => '\u{8}',
        "f" => '\u{c}',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        _ => return by_number(rest),
    };
    Ok((meant, rest))
}

/// The character of `XXXX`, or of `XXXX\uXXXX` for a surrogate pair.
fn by_number(rest: &str) -> FastResult<(char, &str)> {
    let (first, rest) = unit(rest)?;
    if let Some(meant) = char::from_u32(u32::from(first)) {
        supported(meant != '\0')?;
        return Ok((meant, rest));
    }
    let (second, rest) = unit(rest.strip_prefix("\\u").ok_or(UnsupportedJson)?)?;
    match char::decode_utf16([first, second]).next() {
        Some(Ok(meant)) => Ok((meant, rest)),
        _ => Err(UnsupportedJson),
    }
}

fn unit(rest: &str) -> FastResult<(u16, &str)> {
    let (digits, rest) = rest.split_at_checked(4).ok_or(UnsupportedJson)?;
    let unit = u16::from_str_radix(digits, 16).map_err(|_| UnsupportedJson)?;
    Ok((unit, rest))
}
