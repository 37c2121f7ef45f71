//! Secrets that cannot be shown: their `Debug` is redacted, they are wiped when dropped, and each use says `expose`.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::error::SettingsError;

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
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
            path: path.to_owned(),
            origin: origin.to_owned(),
            source,
        })?;
        Ok(Self::new(text.trim_end_matches(['\r', '\n']).to_owned()))
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

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}
