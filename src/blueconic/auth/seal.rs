//! Seals tokens for `sync.tokens` and opens them again: XChaCha20-Poly1305, a random nonce in front, bound to the tenant
//! and the client id, so that a row copied to another's place does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::blueconic::error::ClientError;
use crate::config::secret::Secret;
use crate::model::ports::TokenName;

const KEY: usize = 32;
const NONCE: usize = 24;
/// What the sealed bytes hold: an access token alone. Another grant's will have another number.
const ACCESS_TOKEN: u8 = 1;

/// Why sealed bytes do not open. Never a reason to stop: a new token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::blueconic) enum SealError {
    /// Fewer bytes than a nonce and a tag.
    #[error("the sealed token is truncated")]
    Truncated,
    /// Wrong key, changed bytes, or another tenant's row.
    #[error(
        "the sealed token does not open: it was sealed with another key, for another client, or has been changed"
    )]
    Closed,
    /// It opens, but holds something that this version does not know.
    #[error("the sealed token has a form that this version does not know")]
    Form,
}

/// The key that seals.
pub(in crate::blueconic) struct Seal {
    cipher: XChaCha20Poly1305,
    id: String,
}

impl Seal {
    /// Takes the key as the settings give it: 32 bytes in base64.
    pub(in crate::blueconic) fn new(key: &Secret) -> Result<Self, ClientError> {
        let wrong = |why: String| ClientError::Key { why };
        let bytes = STANDARD
            .decode(key.expose().trim())
            .map(Zeroizing::new)
            .map_err(|_| wrong("it is not base64".to_owned()))?;
        let key: &[u8; KEY] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| wrong(format!("it has {} bytes, not {KEY}", bytes.len())))?;
        let digest: [u8; 32] = Sha256::new_with_prefix(b"blueconic-sync key id")
            .chain_update(key)
            .finalize()
            .into();
        Ok(Self {
            cipher: XChaCha20Poly1305::new(&Key::from(*key)),
            id: format!(
                "{:08x}",
                u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
            ),
        })
    }

    /// Tells which key sealed, without telling anything of the key.
    pub(in crate::blueconic) fn id(&self) -> &str {
        &self.id
    }

    /// Seals a token.
    pub(in crate::blueconic) fn close(&self, token: &str, name: &TokenName) -> Result<Vec<u8>, SealError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(1 + token.len()));
        plain.push(ACCESS_TOKEN);
        plain.extend_from_slice(token.as_bytes());
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        let bound = bound_to(name);
        let payload = Payload {
            msg: &plain,
            aad: &bound,
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::Closed)?;
        Ok([&nonce[..], &sealed[..]].concat())
    }

    /// Opens what [`Self::close`] made.
    pub(in crate::blueconic) fn open(
        &self,
        sealed: &[u8],
        name: &TokenName,
    ) -> Result<Zeroizing<String>, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Truncated)?;
        let bound = bound_to(name);
        let payload = Payload {
            msg: sealed,
            aad: &bound,
        };
        let plain = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Closed)?;
        match plain.split_first() {
            Some((&ACCESS_TOKEN, token)) => std::str::from_utf8(token)
                .map(|token| Zeroizing::new(token.to_owned()))
                .map_err(|_| SealError::Form),
            _ => Err(SealError::Form),
        }
    }
}

/// The associated data: lengths keep `a` + `bc` apart from `ab` + `c`.
fn bound_to(name: &TokenName) -> Vec<u8> {
    let mut bound = Vec::new();
    for part in [&name.tenant, &name.client_id, &name.grant_type] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part.as_bytes());
    }
    bound
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    fn seal(byte: u8) -> Seal {
        Seal::new(&Secret::new(STANDARD.encode([byte; 32]))).unwrap()
    }

    fn name(tenant: &str, client_id: &str) -> TokenName {
        TokenName {
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            grant_type: "client_credentials".to_owned(),
        }
    }

    #[test]
    fn a_sealed_token_opens_for_its_own_name_only() {
        let (seal, own) = (seal(1), name("a.example", "bc"));
        let sealed = seal.close("the-token", &own).unwrap();
        assert_eq!(*seal.open(&sealed, &own).unwrap(), "the-token");
        assert_eq!(
            seal.open(&sealed, &name("a.exampleb", "c")),
            Err(SealError::Closed)
        );
        assert_ne!(sealed, seal.close("the-token", &own).unwrap());
        assert!(!sealed.windows(9).any(|window| window == b"the-token"));
    }

    #[test]
    fn another_key_has_another_id_and_does_not_open() {
        let own = name("a.example", "b");
        let sealed = seal(1).close("the-token", &own).unwrap();
        assert_ne!(seal(1).id(), seal(2).id());
        assert_eq!(seal(2).open(&sealed, &own), Err(SealError::Closed));
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_noticed() {
        let (seal, own) = (seal(1), name("a.example", "b"));
        let sealed = seal.close("the-token", &own).unwrap();
        for end in 0..sealed.len() {
            assert!(seal.open(&sealed[..end], &own).is_err());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal.open(&changed, &own).is_err());
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_being_shown() {
        for (key, why) in [
            ("c2hvcnQ=", "it has 5 bytes, not 32"),
            ("no base64!", "it is not base64"),
        ] {
            let error = Seal::new(&Secret::new(key.to_owned())).err().unwrap().to_string();
            assert!(error.contains(why) && !error.contains(key), "{error}");
        }
    }
}
