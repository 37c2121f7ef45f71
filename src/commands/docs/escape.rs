//! Texts within HTML and SVG.

use crate::model::sanitize;

/// A text within an element or an attribute in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for one in sanitize::line(text).chars() {
        match one {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(one),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_neither_its_element_nor_its_attribute() {
        assert_eq!(
            escaped("<b a=\"x\" c='y'>&\u{202e}"),
            "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;\\u{202e}"
        );
    }
}
