//! Finds the ids that a text names, for the raw text of rejects, which may be any damaged JSON. Erased ids are known by their
//! hashes alone, so every part of the text that may be an id is a candidate.

/// The longest id of a profile, in bytes; the decoders accept the same length.
pub(crate) const LONGEST_ID: usize = 1024;
/// The shortest id that is searched for as a substring; a shorter one would match within other words.
const SHORTEST_SUBSTRING: usize = 8;

/// A part of a text that may be an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate<'text> {
    /// The part as written in the text.
    pub(super) form: &'text str,
    /// The part with JSON's escapes resolved.
    pub(super) id: String,
}

/// All candidates: the text between any two consecutive quotes (a broken text may have lost one), and every run of characters
/// that are usual in ids.
pub(super) fn candidates(text: &str) -> impl Iterator<Item = Candidate<'_>> {
    let quoted = between_quotes(text).map(|form| Candidate {
        form,
        id: unescaped(form),
    });
    let bare = text
        .split(|one: char| !(one.is_alphanumeric() || one == '-' || one == '_'))
        .map(|form| Candidate {
            form,
            id: form.to_owned(),
        });
    quoted
        .chain(bare)
        .filter(|candidate| (1..=LONGEST_ID).contains(&candidate.id.len()))
}

/// The text between each quote and the next.
fn between_quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut quotes = Vec::new();
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => quotes.push(place),
            b'\\' => {
                escaped = !escaped;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    (1..quotes.len()).map(move |next| &text[quotes[next - 1] + 1..quotes[next]])
}

fn unescaped(form: &str) -> String {
    if !form.contains('\\') {
        return form.to_owned();
    }
    serde_json::from_str(&format!("\"{form}\"")).unwrap_or_else(|_| form.to_owned())
}

/// The forms in which an id is searched for in stored text: plain, and escaped as in JSON. A short id is searched for only
/// between quotes.
pub(super) fn spellings(id: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(id).to_string();
    if id.len() < SHORTEST_SUBSTRING {
        return vec![quoted];
    }
    let escaped = quoted[1..quoted.len() - 1].to_owned();
    let mut spellings = vec![id.to_owned(), escaped];
    spellings.dedup();
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        candidates(text).map(|candidate| candidate.id).collect()
    }

    #[test]
    fn an_id_is_found_wherever_it_stands() {
        let id = "0b67a3c2-5a4e-4c8e-9d5c-7f6d6d0a1b2c";
        for text in [
            format!(r#"{{"id":"{id}","x":"#),
            format!(r#"{{"x":"a\"b","replaces":["z","{id}"]"#),
            format!("/profiles/{id}?x=1"),
            format!(r#"lost a quote","id":"{id}"#),
            format!("{{id:{id}}}"),
        ] {
            assert!(ids(&text).iter().any(|found| found == id), "{text}");
        }
        let odd = "an id, with \"blanks\" and \u{fc}";
        let text = serde_json::json!({ "id": odd }).to_string();
        assert!(ids(&text).iter().any(|found| found == odd), "{text}");
        assert!(ids(r#"{"id":"a\u0062c"}"#).contains(&"abc".to_owned()));
    }

    proptest::proptest! {
        /// An id is found whatever its characters, whatever surrounds it, and however much of the text before it is lost.
        #[test]
        fn a_quoted_id_is_always_found(id in ".{1,40}", around in ".{0,40}", lost in 0_usize..60) {
            let text = serde_json::json!({ "a": around, "id": id, "z": around }).to_string();
            let stands = text.find("\"id\"").unwrap_or(0);
            let lost = (0..=lost.min(stands)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let text = &text[lost..];
            proptest::prop_assert!(ids(text).contains(&id), "{}", text);
        }
    }

    #[test]
    fn short_ids_are_searched_for_between_quotes_alone() {
        assert_eq!(spellings("7"), ["\"7\""]);
        assert_eq!(spellings("a-long-id"), ["a-long-id"]);
        assert_eq!(spellings("a \"long\" id"), ["a \"long\" id", r#"a \"long\" id"#]);
    }
}
