//! Text on its way into a page. What the program wrote itself is `raw` and must be a literal; all else is `text` and is
//! escaped. There is no third way in, so that no name of a tenant can become markup.

use std::fmt::Display;

use crate::model::plain;

/// Longer texts are cut: a page is for reading.
const LONGEST: usize = 2000;

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also as the value of a quoted attribute.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        let text = text.to_string();
        for (position, character) in text.chars().enumerate() {
            if position == LONGEST {
                self.0.push('…');
                break;
            }
            self.character(character);
        }
        self
    }

    fn character(&mut self, character: char) {
        match character {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            '\'' => self.0.push_str("&#39;"),
            '\n' | '\t' => self.0.push(character),
            _ if plain::is_deceptive(character) => self.0.push('\u{FFFD}'),
            _ => self.0.push(character),
        }
    }

    /// The page.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn text_is_never_markup() {
        let mut html = Html::default();
        html.raw("<a title=\"")
            .text("\"'><script>&\0\u{202E}x\u{85}")
            .raw("\">");
        assert_eq!(
            html.into_string(),
            "<a title=\"&quot;&#39;&gt;&lt;script&gt;&amp;\u{FFFD}\u{FFFD}x\u{FFFD}\">"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let mut html = Html::default();
        html.text("<".repeat(5000));
        assert_eq!(html.into_string(), format!("{}…", "&lt;".repeat(2000)));
    }
}
