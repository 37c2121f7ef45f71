//! The bearer token that protects the pages. Without `web.token_file` anybody who reaches the address may read; by
//! default that is this machine alone.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::error::WebError;
use crate::config::secret::{self, Secret};
use crate::config::settings::Web;

/// Who may read.
#[derive(Clone)]
pub struct Access {
    /// The hash of the token. Comparing hashes reveals neither the token's length nor how much of a guess was right.
    wanted: Option<[u8; 32]>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(if self.wanted.is_some() {
            "a token is expected"
        } else {
            "open"
        })
    }
}

impl Access {
    /// Reads the token, where the settings name a file with one.
    pub fn of(settings: &Web) -> Result<Self, WebError> {
        let Some(path) = &settings.token_file else {
            return Ok(Self { wanted: None });
        };
        let token = Secret::read(path, "`web.token_file`")?;
        let token = token.expose().trim();
        if token.is_empty() {
            return Err(WebError::NoToken { path: path.clone() });
        }
        let notices = [
            secret::open_to_all(path, "`web.token_file`"),
            secret::weak_token(token, "`web.token_file`"),
        ];
        for notice in notices.into_iter().flatten() {
            tracing::warn!("{notice}");
        }
        Ok(Self {
            wanted: Some(hash(token.as_bytes())),
        })
    }

    /// Whether a request with these headers may read.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = &self.wanted else {
            return true;
        };
        let given = headers
            .get(AUTHORIZATION)
            .map_or(b"".as_slice(), |value| value.as_bytes());
        let Some((scheme, token)) = given.split_at_checked(b"Bearer ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ") && same(wanted, &hash(token.trim_ascii()))
    }
}

fn hash(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Compares all bytes, so that the time does not depend on where they differ.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differing = one
        .iter()
        .zip(other)
        .fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
    differing == 0
}
