//! The port to `sync.tokens`: whose turn it is to ask for a token, and what came of it. `blueconic::auth` seals and opens,
//! so whoever implements this never sees a token.

use std::future::Future;
use std::time::Duration;

use super::Time;
use super::fault::Outcome;

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
    /// `valid`, `refreshing`, `failed`, `reauth_required`.
    pub status: String,
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
pub enum Claim {
    /// Ask for a token, [`TokenStore::extend`] while that lasts, then [`TokenStore::settle`]: all with this fence.
    Yours {
        /// Grows with each claim.
        fence: i64,
        /// The claim before it was never settled: its holder is gone, or stands still.
        unsettled: bool,
    },
    /// Somebody has been faster: read again.
    Newer,
    /// Somebody is at it until then: wait and read again.
    Busy {
        /// When the other's claim lapses, by the database's clock.
        until: Time,
    },
}

/// How a claimed refresh ended.
#[derive(Debug, Clone)]
pub enum Settled {
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

/// The rows of `sync.tokens`. Every change is committed when it returns.
pub trait TokenStore: Send + Sync + 'static {
    /// Reads the row.
    fn read(&self, name: &TokenName) -> impl Future<Output = Outcome<Option<TokenRow>>> + Send;
    /// Claims the turn to ask for the token after version `seen` (0: there is none), for at most `hold`.
    fn claim(
        &self,
        name: &TokenName,
        seen: i64,
        hold: Duration,
    ) -> impl Future<Output = Outcome<Claim>> + Send;
    /// Holds a claim for `hold` from now; [`super::fault::Kind::Fenced`] when it was taken over.
    fn extend(
        &self,
        name: &TokenName,
        fence: i64,
        hold: Duration,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Stores what came of it and lets the claim go; [`super::fault::Kind::Fenced`] when the claim was taken over. Gives
    /// back the row as it now is.
    fn settle(
        &self,
        name: &TokenName,
        fence: i64,
        with: Settled,
    ) -> impl Future<Output = Outcome<TokenRow>> + Send;
    /// Marks a token as dead before its time (401), unless a newer one is there.
    fn drop_version(&self, name: &TokenName, version: i64) -> impl Future<Output = Outcome<()>> + Send;
    /// Stores what a person has just granted in place of whatever is there, and ends every claim on it.
    fn grant(
        &self,
        name: &TokenName,
        life: Duration,
        sealed: Sealed,
    ) -> impl Future<Output = Outcome<TokenRow>> + Send;
    /// Removes the row under a claim; [`super::fault::Kind::Fenced`] when the claim was taken over.
    fn remove(&self, name: &TokenName, fence: i64) -> impl Future<Output = Outcome<()>> + Send;
    /// The rows of one application at one tenant, by any grant.
    fn of_client(
        &self,
        tenant: &str,
        client_id: &str,
    ) -> impl Future<Output = Outcome<Vec<TokenName>>> + Send;
}
