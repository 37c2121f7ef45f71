//! Secrets that cannot be shown: `Debug` is redacted, the memory is wiped on drop, and each use calls `expose`. Also
//! detects weak secrets, which cause a warning.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::error::SettingsError;

/// The longest file of a secret, in bytes; also bounds endless files such as `/dev/zero`.
const LONGEST: u64 = 64 * 1024;
/// The fewest different bytes of a random key. A key of 32 bytes has about 30; fewer than this are not random.
const KEY_VARIETY: usize = 20;
/// The fewest characters of a token that cannot be guessed.
const SHORTEST_TOKEN: usize = 16;
/// The fewest different characters of such a token.
const TOKEN_VARIETY: usize = 6;

/// A text that must not reach a log, an error or a page.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// Reads a secret from a file; a newline at its end (as editors and `echo` leave it) is not part of it.
    pub fn read(path: &Path, origin: &str) -> Result<Self, SettingsError> {
        let text = SecretString::from(read_text(path, origin, LONGEST)?);
        Ok(Self::new(without_newline(text.expose_secret()).to_owned()))
    }

    /// The secret itself, for the one place that sends or uses it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

/// The text without the newline at its end, and without the mark that some editors put at its beginning.
pub(super) fn without_newline(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}

/// Reads a file as text, at most `longest` bytes.
pub(super) fn read_text(path: &Path, origin: &str, longest: u64) -> Result<String, SettingsError> {
    let read = || {
        let mut text = String::new();
        let read = File::open(path)?.take(longest + 1).read_to_string(&mut text)?;
        if read as u64 > longest {
            let why = format!("it is longer than {longest} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(text)
    };
    read().map_err(|source| SettingsError::Unreadable {
        path: path.to_owned(),
        origin: origin.to_owned(),
        source,
    })
}

/// The warning about a secret's file that every user of this machine may read. None in the image, which has one user and where
/// orchestrators mount secrets that all may read.
pub fn open_to_all(path: &Path, origin: &str) -> Option<String> {
    let in_image = std::env::var_os("BLUECONIC_SYNC_IN_IMAGE").is_some();
    let is_open = || std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o004 != 0);
    (!in_image && is_open()).then(|| {
        let path = path.display();
        format!(
            "every user of this machine may read {path}, the secret that {origin} names: `chmod 600 {path}`"
        )
    })
}

/// The warning about a key that is not random, and what that allows. Whether it is a valid key is checked elsewhere.
pub(super) fn weak_key(key: &Secret, name: &str, harm: &str) -> Option<String> {
    let bytes = SecretSlice::from(STANDARD.decode(key.expose().trim()).ok()?);
    let bytes = bytes.expose_secret();
    let first_step = step(*bytes.first_chunk()?);
    let counts = bytes.array_windows().all(|pair| step(*pair) == first_step);
    (counts || variety(bytes) < KEY_VARIETY)
        .then(|| format!("{name} is not random, so that {harm}: make one with `openssl rand -base64 32`"))
}

/// The warning about a token that can be guessed.
pub fn weak_token(token: &str, origin: &str) -> Option<String> {
    let weak = token.chars().count() < SHORTEST_TOKEN || variety(token.as_bytes()) < TOKEN_VARIETY;
    weak.then(|| {
        format!("the token that {origin} names can be guessed: make one with `openssl rand -hex 32`")
    })
}

fn step([one, next]: [u8; 2]) -> u8 {
    next.wrapping_sub(one)
}

/// The number of different bytes.
fn variety(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    seen.into_iter().filter(|seen| *seen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_not_drawn_is_weak() {
        let weak = |bytes: [u8; 32]| {
            let key = Secret::new(STANDARD.encode(bytes));
            weak_key(&key, "BLUECONIC_SYNC_KEY", "its tokens can be unsealed").is_some()
        };
        assert!(weak([0; 32]) && weak([255; 32]));
        assert!(weak(
            std::array::from_fn(|place| u8::try_from(place).unwrap_or(0))
        ));
        assert!(weak(*b"0123456789abcdef0123456789abcdef"));
        for _ in 0..1000 {
            assert!(!weak(rand::random()));
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_is_weak() {
        for token in ["x", "password", "aaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(
                weak_token(token, "`web.token_file`")
                    .is_some_and(|warning| !warning.contains(&format!("`{token}`")))
            );
        }
        assert_eq!(weak_token("4f1c9e02b7d85a63", "`web.token_file`"), None);
    }
}
