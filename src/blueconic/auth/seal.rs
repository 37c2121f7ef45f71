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
use crate::model::tokens::{Sealed, TokenName};

const KEY: usize = 32;
const NONCE: usize = 24;
/// The first byte shows the content of sealed bytes: an access token alone,
const ACCESS_TOKEN: u8 = 1;
/// or the length of the access token (four bytes, most significant first), the access token, and the refresh token. Both are
/// sealed as one text, so that a row never holds tokens of two answers.
const BOTH_TOKENS: u8 = 2;

/// The tokens that are stored between two processes.
pub(in crate::blueconic) struct TokenPair {
    /// Empty if the answer had no usable access token.
    pub(in crate::blueconic) access: Zeroizing<String>,
    /// The refresh token of an authorization.
    pub(in crate::blueconic) refresh: Option<Zeroizing<String>>,
}

/// Why sealed bytes cannot be opened.
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
    /// The content has a form that this version does not know.
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
        Self::named(key, "BLUECONIC_SYNC_KEY")
    }

    /// The same, from another variable.
    pub(super) fn named(key: &Secret, variable: &'static str) -> Result<Self, ClientError> {
        let wrong = |why: String| ClientError::Key { variable, why };
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

    /// The id of the key, which reveals nothing of the key.
    pub(in crate::blueconic) fn id(&self) -> &str {
        &self.id
    }

    /// Seals tokens for the row of this name alone.
    pub(in crate::blueconic) fn close(
        &self,
        held: &TokenPair,
        name: &TokenName,
    ) -> Result<Sealed, SealError> {
        let plain = held.bytes()?;
        self.close_bytes(&plain, name)
    }

    fn close_bytes(&self, plain: &[u8], name: &TokenName) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        let bound = bound_to(name);
        let payload = Payload {
            msg: plain,
            aad: &bound,
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::Form)?;
        Ok((self.id.clone(), [&nonce[..], &sealed[..]].concat()))
    }

    /// Opens what [`Self::close`] made.
    pub(in crate::blueconic) fn open(&self, sealed: &[u8], name: &TokenName) -> Result<TokenPair, SealError> {
        TokenPair::of(&self.open_bytes(sealed, name)?)
    }

    fn open_bytes(&self, sealed: &[u8], name: &TokenName) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Truncated)?;
        let bound = bound_to(name);
        let payload = Payload {
            msg: sealed,
            aad: &bound,
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError::Closed)
    }

    /// Seals with `self` what `old` has sealed, whatever its content.
    pub(super) fn reseal(&self, old: &Self, sealed: &[u8], name: &TokenName) -> Result<Sealed, SealError> {
        let plain = old.open_bytes(sealed, name)?;
        self.close_bytes(&plain, name)
    }
}

impl TokenPair {
    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let refresh = self.refresh.as_ref().map_or("", |refresh| refresh.as_str());
        let mut plain = Zeroizing::new(Vec::with_capacity(5 + self.access.len() + refresh.len()));
        if self.refresh.is_none() {
            plain.push(ACCESS_TOKEN);
            plain.extend_from_slice(self.access.as_bytes());
            return Ok(plain);
        }
        let length = u32::try_from(self.access.len()).map_err(|_| SealError::Form)?;
        plain.push(BOTH_TOKENS);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(self.access.as_bytes());
        plain.extend_from_slice(refresh.as_bytes());
        Ok(plain)
    }

    fn of(plain: &[u8]) -> Result<Self, SealError> {
        let text = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|_| SealError::Form)?;
            Ok(Zeroizing::new(text.to_owned()))
        };
        match plain.split_first() {
            Some((&ACCESS_TOKEN, access)) => Ok(Self {
                access: text(access)?,
                refresh: None,
            }),
            Some((&BOTH_TOKENS, rest)) => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or(SealError::Form)?;
                let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| SealError::Form)?;
                let (access, refresh) = rest.split_at_checked(length).ok_or(SealError::Form)?;
                Ok(Self {
                    access: text(access)?,
                    refresh: Some(text(refresh)?),
                })
            }
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

    fn held(refresh: Option<&str>) -> TokenPair {
        TokenPair {
            access: Zeroizing::new("the-token".to_owned()),
            refresh: refresh.map(|text| Zeroizing::new(text.to_owned())),
        }
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_name_only() {
        let (seal, own) = (seal(1), name("a.example", "bc"));
        for refresh in [None, Some("the-refresh-token"), Some("")] {
            let (id, sealed) = seal.close(&held(refresh), &own).unwrap();
            assert_eq!(id, seal.id());
            let opened = seal.open(&sealed, &own).unwrap();
            assert_eq!(*opened.access, "the-token");
            assert_eq!(opened.refresh.as_ref().map(|text| text.as_str()), refresh);
            let other = seal.open(&sealed, &name("a.exampleb", "c")).err();
            assert_eq!(other, Some(SealError::Closed));
            assert_ne!(sealed, seal.close(&held(refresh), &own).unwrap().1);
            assert!(!sealed.windows(9).any(|window| window == b"the-token"));
        }
    }

    #[test]
    fn another_key_has_another_id_and_does_not_open() {
        let own = name("a.example", "b");
        let (_, sealed) = seal(1).close(&held(None), &own).unwrap();
        assert_ne!(seal(1).id(), seal(2).id());
        assert_eq!(seal(2).open(&sealed, &own).err(), Some(SealError::Closed));
        let (id, anew) = seal(2).reseal(&seal(1), &sealed, &own).unwrap();
        assert_eq!(id, seal(2).id());
        assert_eq!(*seal(2).open(&anew, &own).unwrap().access, "the-token");
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_noticed() {
        let (seal, own) = (seal(1), name("a.example", "b"));
        let (_, sealed) = seal.close(&held(Some("more")), &own).unwrap();
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
    fn what_has_another_form_inside_is_refused() {
        for plain in [
            &[][..],
            &[0],
            &[3, 1],
            &[2, 0, 0],
            &[2, 0, 0, 0, 9, 1],
            &[1, 0xff],
        ] {
            assert_eq!(TokenPair::of(plain).err(), Some(SealError::Form), "{plain:?}");
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
