//! The port to `sync.tokens`: claims and results of token requests. `blueconic::auth` seals and opens tokens, so an
//! implementation never sees one.

use std::future::Future;
use std::time::Duration;

use crate::model::fault::Outcome;
use crate::model::tokens::{ClaimOutcome, RefreshOutcome, Sealed, TokenName, TokenRow};

/// The rows of `sync.tokens`. Every change is committed when it returns.
pub trait TokenStore: Send + Sync + 'static {
    /// Reads the row.
    fn read(&self, name: &TokenName) -> impl Future<Output = Outcome<Option<TokenRow>>> + Send;
    /// Claims the refresh of the token after version `seen` (0: there is none), for at most `hold`.
    fn claim(
        &self,
        name: &TokenName,
        seen: i64,
        hold: Duration,
    ) -> impl Future<Output = Outcome<ClaimOutcome>> + Send;
    /// Extends a claim by `hold` from now; [`crate::model::fault::Kind::Fenced`] if it was taken over.
    fn extend(
        &self,
        name: &TokenName,
        fence: i64,
        hold: Duration,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Stores the result and releases the claim; [`crate::model::fault::Kind::Fenced`] if the claim was taken over. Returns the
    /// updated row.
    fn finish_refresh(
        &self,
        name: &TokenName,
        fence: i64,
        with: RefreshOutcome,
    ) -> impl Future<Output = Outcome<TokenRow>> + Send;
    /// Marks a token as expired before its time (401), unless there is a newer one.
    fn drop_version(&self, name: &TokenName, version: i64) -> impl Future<Output = Outcome<()>> + Send;
    /// Stores the tokens that a person has just granted in place of any others, and ends every claim on the row.
    fn grant(
        &self,
        name: &TokenName,
        life: Duration,
        sealed: Sealed,
    ) -> impl Future<Output = Outcome<TokenRow>> + Send;
    /// Removes the row under a claim; [`crate::model::fault::Kind::Fenced`] if the claim was taken over.
    fn remove(&self, name: &TokenName, fence: i64) -> impl Future<Output = Outcome<()>> + Send;
    /// The rows of one application at one tenant, by any grant.
    fn of_client(
        &self,
        tenant: &str,
        client_id: &str,
    ) -> impl Future<Output = Outcome<Vec<TokenName>>> + Send;
}
