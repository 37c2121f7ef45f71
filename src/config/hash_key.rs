//! The key of hashed values of properties: 32 bytes or more in base64, from `BLUECONIC_SYNC_HASH_KEY[_FILE]`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::error::SettingsError;
use super::secret::Secret;

/// The variable that holds it.
pub(super) const VARIABLE: &str = "BLUECONIC_SYNC_HASH_KEY";
/// The fewest bytes: as many as the hash has.
const SHORTEST: usize = 32;

/// The key. It is shown nowhere and stored nowhere.
#[derive(Clone)]
pub struct HashKey(SecretSlice<u8>);

impl HashKey {
    /// Decodes it.
    pub(super) fn decode(text: &Secret) -> Result<Self, SettingsError> {
        let bytes = STANDARD.decode(text.expose().trim()).map(SecretSlice::from);
        let bytes = bytes.ok().filter(|bytes| bytes.expose_secret().len() >= SHORTEST);
        bytes.map(Self).ok_or_else(|| SettingsError::BadValue {
            key: VARIABLE.to_owned(),
            value: "…".to_owned(),
            why: "32 bytes or more in base64 are expected: make one with `openssl rand -base64 32`"
                .to_owned(),
        })
    }

    /// Its bytes, for the one place that hashes.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    #[test]
    fn a_key_has_32_bytes_in_base64_and_is_not_shown() {
        let key = HashKey::decode(&Secret::new(format!("{}\n", STANDARD.encode([7; 32])))).unwrap();
        assert_eq!(
            (key.expose(), format!("{key:?}").as_str()),
            (&[7; 32][..], "[redacted]")
        );
        for wrong in ["", "hunter2", &STANDARD.encode([7; 31])] {
            let error = HashKey::decode(&Secret::new(wrong.to_owned())).unwrap_err();
            let said = format!("{error}; {}", error.hint());
            assert!(said.contains(VARIABLE) && !said.contains("hunter2"), "{said}");
        }
    }
}
