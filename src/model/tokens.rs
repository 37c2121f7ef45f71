//! A row of `sync.tokens`, and what a claim on it gives. The port is [`super::ports::TokenStore`].

use std::time::Duration;

use super::Time;
use super::status::TokenStatus;

/// Whose token it is: the key of `sync.tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenName {
    /// The tenant's host (lower case) and port.
    pub tenant: String,
    /// The application's client id.
    pub client_id: String,
    /// `client_credentials` or `authorization_code`.
    pub grant_type: String,
}

/// A row of `sync.tokens`. What is sealed is opaque to SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Counts up with each token.
    pub version: i64,
    /// The state of the token.
    pub status: TokenStatus,
    /// When the token was issued.
    pub issued_at: Option<Time>,
    /// When it dies.
    pub expires_at: Option<Time>,
    /// Why the last request failed.
    pub last_error: Option<String>,
    /// Which key sealed it.
    pub key_id: Option<String>,
    /// What is sealed; none without a key.
    pub ciphertext: Option<Vec<u8>>,
    /// The database's clock when the row was read.
    pub now: Time,
}

/// Sealed bytes and the id of the key that sealed them.
pub type Sealed = (String, Vec<u8>);

/// What a claim to refresh gives.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// Ask for a token, [`TokenStore::extend`](super::ports::TokenStore::extend) while that lasts, then [`TokenStore::finish_refresh`](super::ports::TokenStore::finish_refresh): all with this fence.
    Claimed {
        /// Grows with each claim.
        fence: i64,
        /// The claim before it was never settled: its holder is gone, or stands still.
        previous_unfinished: bool,
    },
    /// Somebody has been faster: read again.
    Superseded,
    /// Somebody is at it until then: wait and read again.
    Busy {
        /// When the other's claim lapses, by the database's clock.
        until: Time,
    },
}

/// How a claimed refresh ended.
#[derive(Debug, Clone)]
pub enum RefreshOutcome {
    /// A new token.
    Token {
        /// How long it lives.
        life: Duration,
        /// Sealed; none without a key.
        sealed: Option<Sealed>,
    },
    /// It failed.
    Failed {
        /// Without a secret in it.
        error: String,
        /// Only a person can help: `reauth_required` in place of `failed`.
        reauth: bool,
        /// What came with the failure and must not be lost (a rotated refresh token): it takes the place of what is
        /// stored, whose access token is dead with it.
        sealed: Option<Sealed>,
    },
}
