//! A pull reader over one JSON text. Nearly all bytes of a full load are profiles, and this reader takes them in one pass:
//! it gives the places of values, checks that the whole text is valid JSON, and answers [`UnsupportedJson`] to everything else, which
//! `serde_json` then reads. It knows nothing about profiles.

use std::ops::Range;

use crate::json::bitmap::Bitmap;
use crate::json::unsupported::{FastResult, UnsupportedJson, supported};

/// Levels of nesting; deeper is unusual.
const DEEPEST: u32 = 32;

/// How a text is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Escapes {
    /// Not at all.
    None,
    /// As `serde_json` would escape it again.
    Own,
    /// Otherwise.
    Foreign,
}

/// A text, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quoted {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// How it is escaped.
    pub(crate) escapes: Escapes,
}

/// What a value is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text; its opening quote has been taken.
    Text,
    /// An object or an array.
    Nested,
    /// A number, a truth value or null.
    Bare,
}

/// Reads a text from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Reader<'text> {
    text: &'text str,
    bytes: &'text [u8],
    bitmap: &'text Bitmap,
    at: usize,
}

impl<'text> Reader<'text> {
    /// Begins at the head of a text, whose bitmap is filled here.
    pub(crate) fn new(text: &'text str, bitmap: &'text mut Bitmap) -> Self {
        bitmap.set(text.as_bytes());
        Self {
            text,
            bytes: text.as_bytes(),
            bitmap,
            at: 0,
        }
    }

    /// Holds that nothing but white space is left.
    pub(crate) fn end(&mut self) -> FastResult<()> {
        supported(self.peek().is_none())
    }

    /// Takes an object; `member` takes the value of each key. Keys with escapes are unusual.
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

    /// What comes next.
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

    /// Takes `null`, if that comes next.
    pub(crate) fn takes_null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.literal("null").is_ok()
    }

    /// Takes the rest of a text whose opening quote has been taken.
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

    /// Takes what stands behind a backslash.
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

    /// Takes one of these bytes, if it stands right here.
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

    /// Holds that this byte comes next, and takes it.
    #[inline]
    fn must(&mut self, byte: u8) -> FastResult<()> {
        supported(self.takes(byte))
    }

    /// Takes this byte, if it comes next.
    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        let takes = self.bytes.get(self.at) == Some(&byte) || self.peek() == Some(byte);
        self.at += usize::from(takes);
        takes
    }

    /// The next byte that is no white space.
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

    /// Takes these bytes, if they stand right here.
    #[inline]
    pub(crate) fn takes_all<const LENGTH: usize>(&mut self, bytes: &[u8; LENGTH]) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let takes = rest.first_chunk() == Some(bytes);
        self.at += if takes { LENGTH } else { 0 };
        takes
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// Goes back to a place.
    pub(crate) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// All of the text that is read.
    pub(crate) fn whole(&self) -> &'text str {
        self.text
    }
}

/// Appends an escaped text as it is meant. NUL and lone surrogates are unusual: no text of PostgreSQL can hold them.
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

/// The character that an escape means, and what stands behind it.
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

/// `XXXX`, or `XXXX\uXXXX` for a pair of surrogates.
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
