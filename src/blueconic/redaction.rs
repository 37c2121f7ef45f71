//! Removes secrets from texts of a server, in every form in which a server may send them back: error pages quote
//! requests, proxies encode them, and some servers put tokens in unexpected places.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// The replacement of a secret.
const REDACTED: &str = "[redacted]";
/// The shortest encoded form that is searched for, in bytes; shorter forms are too common.
const SHORTEST_FORM: usize = 8;
/// The length in bytes from which a word may be a token.
const LONG_WORD: usize = 20;

/// The forms of secrets that must not be shown.
pub(super) struct Redaction {
    forms: Vec<Zeroizing<String>>,
}

impl Redaction {
    /// A redaction of these secrets.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            forms.push(Zeroizing::new(secret.to_owned()));
            let encoded = encoded(secret);
            forms.extend(encoded.into_iter().filter(|form| form.len() >= SHORTEST_FORM));
        }
        // A form that contains another one is replaced first.
        forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
        Self { forms }
    }

    /// The text without the secrets. Called before the text is shortened, so that no half of a secret is shown.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            if text.contains(form.as_str()) {
                text = Cow::Owned(text.replace(form.as_str(), REDACTED));
            }
        }
        text.into_owned()
    }
}

/// The encoded forms in which a server may send a secret back.
fn encoded(secret: &str) -> Vec<Zeroizing<String>> {
    let form = Zeroizing::new(byte_serialize(secret.as_bytes()).collect::<String>());
    let mut forms = vec![
        form.clone(),
        in_lower_hex(&form),
        Zeroizing::new(form.replace('+', "%20")),
        Zeroizing::new(secret.replace('/', "\\/")),
        Zeroizing::new(secret.replace('\\', "\\\\").replace('"', "\\\"")),
        Zeroizing::new(
            secret
                .replace('&', "&amp;")
                .replace('"', "&quot;")
                .replace('\'', "&#39;")
                .replace('<', "&lt;")
                .replace('>', "&gt;"),
        ),
        Zeroizing::new(hex::encode(secret)),
        Zeroizing::new(hex::encode_upper(secret)),
    ];
    // HTTP Basic encodes the form-encoded text.
    for text in [secret, &form] {
        forms.extend((0..3).flat_map(|before| base64(text, before)));
    }
    forms
}

/// The base64 form of a secret after `before` other bytes, without characters that depend on other bytes.
fn base64(secret: &str, before: usize) -> [Zeroizing<String>; 2] {
    let shifted = Zeroizing::new([&vec![0; before], secret.as_bytes()].concat());
    // The first and the last character may contain bits of neighbouring bytes.
    let first = (before * 8).div_ceil(6);
    [
        STANDARD_NO_PAD.encode(&*shifted),
        URL_SAFE_NO_PAD.encode(&*shifted),
    ]
    .map(|encoded| {
        let encoded = Zeroizing::new(encoded);
        let certain = shifted.len() * 8 / 6;
        Zeroizing::new(encoded.get(first..certain).unwrap_or_default().to_owned())
    })
}

/// Writes `%2F` as `%2f`.
fn in_lower_hex(form: &str) -> Zeroizing<String> {
    let mut digits = 0;
    let lower = |one: char| {
        let is_digit = digits > 0;
        digits = if one == '%' { 2 } else { digits.max(1) - 1 };
        if is_digit { one.to_ascii_lowercase() } else { one }
    };
    Zeroizing::new(form.chars().map(lower).collect())
}

/// The text without long words that may be tokens, since an authorization server may send unknown tokens.
pub(super) fn without_tokens(text: &str) -> String {
    let is_part = |one: char| one.is_ascii_alphanumeric() || "._~+/=%-_".contains(one);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|one| !is_part(one)).unwrap_or(from.len()));
        shown.push_str(before);
        shown.push_str(if may_be_token(word) { REDACTED } else { word });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Whether a word is long, and has digits, or capitals after its first letter.
fn may_be_token(word: &str) -> bool {
    let has_digit = || word.bytes().any(|byte| byte.is_ascii_digit());
    let has_capital = || {
        word.as_bytes()
            .windows(2)
            .any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
    };
    word.len() >= LONG_WORD && (has_digit() || has_capital())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const SECRET: &str = "k3yJ\"9/+q=Zt7&wLp%0xV4~bN8.dR2";

    #[test]
    fn a_secret_that_comes_back_is_not_shown_in_any_form() {
        let redaction = Redaction::of([SECRET, ""]);
        let form: String = byte_serialize(SECRET.as_bytes()).collect();
        let mut texts = vec![
            SECRET.to_owned(),
            form.clone(),
            form.replace("%2F", "%2f")
                .replace("%2B", "%2b")
                .replace("%3D", "%3d"),
            SECRET.replace('/', "\\/"),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
        ];
        texts[2] = in_lower_hex(&form).to_string();
        for before in ["", "a", "ab", "client:"] {
            texts.push(STANDARD.encode(format!("{before}{SECRET}")));
            texts.push(STANDARD.encode(format!("{before}{form}:more")));
        }
        for text in texts {
            let shown = redaction.apply(&format!("You sent {text}, which is wrong"));
            assert!(
                shown.starts_with("You sent ") && shown.contains(REDACTED),
                "{shown}"
            );
            let left = shown.len() - "You sent , which is wrong".len() - REDACTED.len();
            assert!(left <= 20, "{shown}");
        }
        assert_eq!(
            redaction.apply("no such token"),
            "no such token",
            "other words stay"
        );
    }

    #[test]
    fn a_short_secret_leaves_other_words_alone() {
        assert_eq!(
            Redaction::of(["s3"]).apply("s3 is wrong, czM and 7333"),
            "[redacted] is wrong, czM and 7333"
        );
    }

    #[test]
    fn words_that_may_be_tokens_are_not_shown() {
        for (text, shown) in [
            (
                "access_token=mF_9.B5f-4.1JqMmF_9&token_type=Bearer",
                "[redacted]&token_type=Bearer",
            ),
            (
                r#"{"access_token":"eyJhbGciOiJub25lIn0.e30."}"#,
                r#"{"access_token":"[redacted]"}"#,
            ),
            (
                "The user denied access to read:profile-properties",
                "The user denied access to read:profile-properties",
            ),
            ("503 Service Unavailable", "503 Service Unavailable"),
        ] {
            assert_eq!(without_tokens(text), shown);
        }
    }
}
