//! Finds secrets in whatever is read: plain, in base64, percent-encoded, in hex, escaped, as a list of numbers, and also
//! where only a part of one is left. It proves itself at the end of this file.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A part of a secret is looked for in pieces of so many bytes…
const PIECE: usize = 12;
/// …that begin at every so-many-th byte: fifteen bytes in a row are always found.
const STEP: usize = 4;

/// Knows secrets by their pieces.
pub(super) struct Searcher {
    texts: AhoCorasick,
    text_names: Vec<String>,
    hex: AhoCorasick,
    hex_names: Vec<String>,
}

impl Searcher {
    /// For secrets and what they are called. A secret shorter than a piece cannot be told from other text.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let (mut texts, mut text_names) = (Vec::new(), Vec::new());
        let (mut hex, mut hex_names) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            assert!(secret.len() >= PIECE, "{name} is too short to be unique");
            for piece in pieces(secret) {
                for (form, needle) in forms(piece) {
                    texts.push(needle);
                    text_names.push(format!("{name} ({form})"));
                }
                hex.push(hex_of(piece));
                hex_names.push(format!("{name} (hex)"));
            }
        }
        Self {
            texts: AhoCorasick::new(texts).unwrap(),
            text_names,
            hex: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(hex)
                .unwrap(),
            hex_names,
        }
    }

    /// What of the secrets stands in a document, with its surroundings.
    pub(super) fn search(&self, document: &[u8]) -> Vec<String> {
        let mut found = BTreeMap::new();
        for (view, text) in [
            ("as it is", document.to_vec()),
            ("percent-decoded", percent_decoded(document)),
            ("unescaped", without_backslashes(document)),
        ] {
            let hits = self.texts.find_iter(&text).map(|hit| (hit, &self.text_names));
            let hex = self.hex.find_iter(&text).map(|hit| (hit, &self.hex_names));
            for (hit, names) in hits.chain(hex) {
                found.entry(&names[hit.pattern()]).or_insert_with(|| {
                    let from = hit.start().saturating_sub(160);
                    let to = (hit.end() + 60).min(text.len());
                    let around = String::from_utf8_lossy(&text[from..to]).replace('\n', " ");
                    format!("{view}: …{around}…")
                });
            }
        }
        let reported = found
            .into_iter()
            .map(|(name, around)| format!("{name}, {around}"));
        reported.collect()
    }
}

fn pieces(secret: &[u8]) -> impl Iterator<Item = &[u8]> {
    let last = secret.len() - PIECE;
    let starts = (0..=last).step_by(STEP).chain([last]);
    starts.map(|start| &secret[start..start + PIECE])
}

fn forms(piece: &[u8]) -> Vec<(String, Vec<u8>)> {
    let numbers: Vec<String> = piece.iter().map(u8::to_string).collect();
    let mut forms = vec![
        ("plain".to_owned(), piece.to_vec()),
        ("numbers".to_owned(), numbers.join(", ").into_bytes()),
    ];
    for before in 0..3 {
        let shifted = [&vec![0; before], piece].concat();
        // The first and the last character may hold bits of their neighbours.
        let first = (before * 8).div_ceil(6);
        for (alphabet, encoded) in [
            ("base64", STANDARD_NO_PAD.encode(&shifted)),
            ("base64url", URL_SAFE_NO_PAD.encode(&shifted)),
        ] {
            let certain = if shifted.len() % 3 == 0 {
                encoded.len()
            } else {
                encoded.len() - 1
            };
            forms.push((
                format!("{alphabet}, shifted by {before}"),
                encoded.as_bytes()[first..certain].to_vec(),
            ));
        }
    }
    forms
}

pub(super) fn hex_of(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Percent-encoding is undone as often as it was done, so that no way of encoding has to be guessed.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..3 {
        let mut decoded = Vec::with_capacity(text.len());
        let mut rest = &text[..];
        while let Some((&byte, after)) = rest.split_first() {
            let digit = |at: usize| after.get(at).and_then(|byte| (*byte as char).to_digit(16));
            if byte == b'%'
                && let (Some(high), Some(low)) = (digit(0), digit(1))
            {
                decoded.push(u8::try_from(high * 16 + low).unwrap());
                rest = &after[2..];
            } else {
                decoded.push(byte);
                rest = after;
            }
        }
        let is_same = decoded.len() == text.len();
        text = decoded;
        if is_same {
            break;
        }
    }
    text
}

/// As JSON, `Debug` and PHP escape.
fn without_backslashes(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte != b'\\').collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use url::form_urlencoded::byte_serialize;

    use super::*;

    const SECRET: &str = "k3yJ\"9/+q=Zt7&wLp%0xV4~bN8.dR2";

    fn searcher() -> Searcher {
        Searcher::new([("the secret", SECRET.as_bytes())].into_iter())
    }

    fn every_percent(text: &str, lower: bool) -> String {
        let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let encoded = encoded.concat();
        if lower { encoded.to_lowercase() } else { encoded }
    }

    /// How a secret may stand in a text that is read.
    fn planted() -> Vec<(&'static str, String)> {
        let hex = hex_of(SECRET.as_bytes());
        let form: String = byte_serialize(SECRET.as_bytes()).collect();
        let mut planted = vec![
            ("plain", SECRET.to_owned()),
            ("Debug", format!("{SECRET:?}")),
            ("JSON", serde_json::to_string(SECRET).unwrap()),
            (
                "escaped twice",
                serde_json::to_string(&format!("{SECRET:?}")).unwrap(),
            ),
            ("bytes", format!("{:?}", SECRET.as_bytes())),
            ("form", form.clone()),
            ("form, lower", form.replace("%2F", "%2f").replace("%2B", "%2b")),
            ("form, twice", byte_serialize(form.as_bytes()).collect()),
            ("percent", every_percent(SECRET, false)),
            ("percent, lower", every_percent(SECRET, true)),
            ("hex", hex.clone()),
            ("HEX", hex.to_uppercase()),
            ("bytea", format!("\\\\x00{hex}ff")),
        ];
        for before in ["", "a", "ab", "client:"] {
            for after in ["", "z", "zy"] {
                let text = format!("{before}{SECRET}{after}");
                planted.push(("base64", STANDARD.encode(&text)));
                planted.push(("base64url", URL_SAFE.encode(&text)));
            }
        }
        planted
    }

    #[test]
    fn every_form_is_found_wherever_it_stands() {
        let searcher = searcher();
        for (form, text) in planted() {
            for document in [
                text.clone(),
                format!("{{\"message\":\"before {text} after\"}}"),
                format!("a=b&c={text}&d=e"),
            ] {
                assert!(
                    !searcher.search(document.as_bytes()).is_empty(),
                    "{form}: {document}"
                );
            }
        }
    }

    #[test]
    fn half_of_it_is_found_too() {
        let searcher = searcher();
        for start in 0..=SECRET.len() - 15 {
            let part = &SECRET[start..start + 15];
            for text in [part.to_owned(), STANDARD.encode(part), hex_of(part.as_bytes())] {
                assert!(!searcher.search(text.as_bytes()).is_empty(), "{start}: {text}");
            }
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let other: String = SECRET.chars().rev().collect();
        let text = format!("{other} {} {}", STANDARD.encode(&other), hex_of(other.as_bytes()));
        assert_eq!(searcher().search(text.as_bytes()), [""; 0]);
    }
}
