//! Text from outside in a page. Templates escape text; this also removes deceptive characters and bounds the length.

use std::fmt::{Display, Write as _};

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use crate::model::sanitize;

/// Longer texts are cut, so that a page stays readable.
const LONGEST: usize = 2000;

/// A page with an inline stylesheet and without scripts or external resources. It reloads after `refresh_seconds`, if given.
pub(crate) fn document(title: &str, refresh_seconds: Option<u32>, style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh_seconds { meta http-equiv="refresh" content=(seconds); }
                title { (Text(title)) }
                style { (PreEscaped(style)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// Text for a template, also as the value of an attribute. Deceptive characters become U+FFFD.
#[derive(Debug)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Render for Text<T> {
    fn render_to(&self, page: &mut String) {
        render(&self.0, LONGEST, page);
    }
}

/// The same for the one text that a page is about, in ten times the length.
#[derive(Debug)]
pub(crate) struct Long<T>(pub(crate) T);

impl<T: Display> Render for Long<T> {
    fn render_to(&self, page: &mut String) {
        render(&self.0, LONGEST * 10, page);
    }
}

fn render(value: &impl Display, longest: usize, page: &mut String) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{value}");
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(longest).map(shown).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown.render_to(page);
}

fn shown(character: char) -> char {
    match character {
        '\n' | '\t' => character,
        _ if sanitize::is_deceptive(character) => '\u{FFFD}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::{Long, Text};

    #[test]
    fn text_is_never_markup() {
        let hostile = "\"'><script>&\0\u{202E}x\u{85}";
        let safe = "&quot;'&gt;&lt;script&gt;&amp;\u{FFFD}\u{FFFD}x\u{FFFD}";
        let page = html! { a title=(Text(hostile)) { (Text(hostile)) } };
        assert_eq!(page.into_string(), format!("<a title=\"{safe}\">{safe}</a>"));
    }

    #[test]
    fn long_texts_are_cut() {
        let page = html! { (Text("<".repeat(5000))) };
        assert_eq!(page.into_string(), format!("{}…", "&lt;".repeat(2000)));
        let page = html! { (Long("<".repeat(5000))) };
        assert_eq!(page.into_string(), "&lt;".repeat(5000));
        let page = html! { (Long("<".repeat(50_000))) };
        assert_eq!(page.into_string(), format!("{}…", "&lt;".repeat(20_000)));
    }
}
