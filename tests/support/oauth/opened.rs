//! Decrypts `sync.tokens` by the documented form, without the program's own code: a nonce of 24 bytes, then
//! XChaCha20-Poly1305 over a version, the access token and the refresh token, bound to whose row it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::support::database::Database;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
}

/// The content of the only row.
pub(crate) async fn opened(database: &Database, key: &str) -> Opened {
    let rows: Vec<(String, String, String, Vec<u8>)> = database
        .rows("select tenant, client_id, grant_type, ciphertext from sync.tokens")
        .await;
    let [(tenant, client_id, grant_type, sealed)] = &rows[..] else {
        panic!("{} rows", rows.len())
    };
    let key: [u8; 32] = STANDARD.decode(key).unwrap().try_into().unwrap();
    let mut bound = Vec::new();
    for part in [tenant, client_id, grant_type] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part.as_bytes());
    }
    let (nonce, sealed) = sealed.split_first_chunk::<24>().unwrap();
    let payload = Payload {
        msg: sealed,
        aad: &bound,
    };
    let plain = XChaCha20Poly1305::new(&Key::from(key))
        .decrypt(&XNonce::from(*nonce), payload)
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match plain[0] {
        1 => Opened {
            access: text(&plain[1..]),
            refresh: None,
        },
        2 => {
            let length = u32::from_be_bytes(plain[1..5].try_into().unwrap()) as usize;
            Opened {
                access: text(&plain[5..5 + length]),
                refresh: Some(text(&plain[5 + length..])),
            }
        }
        version => panic!("version {version}"),
    }
}
