//! Sanitizes text from outside for a person: in a terminal, a log, a page, an error. Characters that would control the
//! terminal, forge a line or change the direction of text are shown escaped.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a character is deceptive: control characters (C0, DEL, C1), separators of lines and paragraphs, and characters that
/// change the direction of text.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

/// One line, with an escape (`\n`, `\u{1b}`) for each deceptive character.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_deceptive, |into, character| {
        into.extend(character.escape_default());
    })
}

/// Several lines: line feeds and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    let deceives = |character| is_deceptive(character) && !matches!(character, '\n' | '\t');
    escaped(text, deceives, |into, character| {
        into.extend(character.escape_default());
    })
}

/// A JSON document with the same values; deceptive characters become JSON escapes. Line feeds stay, since no value contains an
/// unescaped one.
pub fn json(document: &str) -> Cow<'_, str> {
    let deceives = |character| is_deceptive(character) && character != '\n';
    escaped(document, deceives, |into, character| {
        // Writing into a String cannot fail.
        let _ = write!(into, "\\u{:04x}", u32::from(character));
    })
}

fn escaped(text: &str, deceives: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&deceives) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if deceives(character) {
            escape(&mut shown, character);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A writer that sanitizes everything by [`line()`].
pub struct Line<W>(pub W);

impl<W: Write> Write for Line<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&line(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "a\u{1b}[2J\u{9b}31m\r\nerror: forged\u{7f}\u{202e}x\u{2066}\u{200f}\u{061c}\u{2028}\u{85}\0é😀";

    #[test]
    fn nothing_that_deceives_passes_and_all_else_stays() {
        assert_eq!(
            line(HOSTILE),
            "a\\u{1b}[2J\\u{9b}31m\\r\\nerror: forged\\u{7f}\\u{202e}x\\u{2066}\\u{200f}\\u{61c}\\u{2028}\\u{85}\\u{0}é😀"
        );
        assert_eq!(lines("a\n\tb\r\u{1b}"), "a\n\tb\\r\\u{1b}");
        assert!(matches!(line("plain é 😀"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, 1] });
        let document = value.to_string();
        let shown = json(&document);
        assert!(!shown.contains(is_deceptive), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).ok(),
            Some(value)
        );
    }
}
