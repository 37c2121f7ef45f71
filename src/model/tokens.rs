//! A row of `sync.tokens`, and the results of a claim. The port is [`super::ports::TokenStore`].

use std::time::Duration;

use super::Time;
use super::status::TokenStatus;

/// The key of `sync.tokens`: whose token it is.
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
    /// When it expires.
    pub expires_at: Option<Time>,
    /// The error of the last failed request.
    pub last_error: Option<String>,
    /// Which key sealed it.
    pub key_id: Option<String>,
    /// The sealed tokens; none without a key.
    pub ciphertext: Option<Vec<u8>>,
    /// The database's clock when the row was read.
    pub now: Time,
}

/// Sealed bytes and the id of the key that sealed them.
pub type Sealed = (String, Vec<u8>);

/// The answer to a claim on the refresh.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// The claim was obtained. Request a token, extend the claim meanwhile
    /// ([`TokenStore::extend`](super::ports::TokenStore::extend)), and finish it
    /// ([`TokenStore::finish_refresh`](super::ports::TokenStore::finish_refresh)), all with this fence.
    Claimed {
        /// Grows with each claim.
        fence: i64,
        /// The previous claim was not finished: its holder died or is paused.
        previous_unfinished: bool,
    },
    /// Another process has stored a newer token: read it.
    Superseded,
    /// Another process holds the claim until then: wait, and read again.
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
        /// Its life.
        life: Duration,
        /// Sealed; none without a key.
        sealed: Option<Sealed>,
    },
    /// It failed.
    Failed {
        /// Without a secret in it.
        error: String,
        /// Whether only a person can help: the status becomes `reauth_required` instead of `failed`.
        reauth: bool,
        /// A rotated refresh token that came with the failure. It replaces the stored tokens, whose access token is
        /// invalid.
        sealed: Option<Sealed>,
    },
}
