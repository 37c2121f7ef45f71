//! Obtains a token for all replicas together. A valid token in `sync.tokens` is adopted; otherwise one is requested
//! under a claim, which is committed before the request and extended while it runs. A rotated refresh token is stored
//! before it is used.

use std::sync::Mutex;
use std::time::Duration;

use crate::blueconic::auth::claim::{Moment, RefreshClaim};
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::grant::{AccessToken, Grant, Granted, TokenRequest};
use crate::blueconic::auth::seal::{Seal, SealError, TokenPair};
use crate::blueconic::auth::token::Token;
use crate::blueconic::error::ClientError;
use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::retry::Retry;
use crate::config::settings::Grant as GrantType;
use crate::model::fault::{Fault, Kind};
use crate::model::ports::TokenStore;
use crate::model::status::TokenStatus;
use crate::model::tokens::{ClaimOutcome, RefreshOutcome, Sealed, TokenName, TokenRow};

/// How long a claim holds after it was last extended; a process that died blocks the others for this long.
pub(super) const HOLD: Duration = Duration::from_secs(5);
/// How often a claim is extended while its request runs.
const EXTEND_EVERY: Duration = Duration::from_millis(1500);
/// The wait before checking again whether another process has a token.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The wait between attempts to store a refresh token,
const STORE_AGAIN: Duration = Duration::from_millis(300);
/// and how long they continue: without the token, a person has to sign in again.
const STORE_FOR: Duration = Duration::from_mins(10);

/// Obtains tokens of one name.
pub(super) struct Refresher<T> {
    store: T,
    name: TokenName,
    seal: Option<Seal>,
    grant: Grant,
    retry: Retry,
    monotonic: MonotonicClock,
}

impl<T: TokenStore> Refresher<T> {
    pub(super) fn new(
        store: T,
        name: TokenName,
        seal: Option<Seal>,
        grant: Grant,
        retry: Retry,
        monotonic: MonotonicClock,
    ) -> Self {
        Self {
            store,
            name,
            seal,
            grant,
            retry,
            monotonic,
        }
    }

    /// Drops a version that the tenant refused, for all replicas.
    pub(super) async fn drop_version(&self, version: i64) -> Result<(), ClientError> {
        let dropping = self.store.drop_version(&self.name, version);
        dropping.await.map_err(ClientError::Store)
    }

    /// Reads, claims and requests until there is a token whose version was not dropped.
    pub(super) async fn fetch(&self, dropped: i64) -> Result<Token, ClientError> {
        let budget = Mutex::new(self.retry.budget());
        loop {
            let row = self.store.read(&self.name).await.map_err(ClientError::Store)?;
            if let Some(token) = row.as_ref().and_then(|row| self.adopt(row, dropped)) {
                return Ok(token);
            }
            // Before the claim, so that an impossible request leaves no trace.
            let request = self.token_request(row.as_ref())?;
            let seen = row.as_ref().map_or(0, |row| row.version);
            let asked = Moment::now(&self.monotonic);
            let claim = self.store.claim(&self.name, seen, HOLD).await;
            match claim.map_err(ClientError::Store)? {
                ClaimOutcome::Superseded => {}
                ClaimOutcome::Busy { .. } => self.monotonic.sleep(LOOK_AGAIN).await,
                ClaimOutcome::Claimed {
                    fence,
                    previous_unfinished,
                } => {
                    if previous_unfinished {
                        tracing::warn!("the last token request never reported its result; asking again");
                    }
                    let claim = RefreshClaim::new(self.monotonic.clone(), asked, HOLD);
                    match self.ask(fence, &claim, &request).await {
                        Ok(Some(token)) => return Ok(token),
                        Ok(None) => {}
                        Err(fault) => self.retry.pause(&budget, fault).await?,
                    }
                }
            }
        }
    }

    /// The request for the next token. The authorization code grant needs a stored refresh token.
    fn token_request(&self, row: Option<&TokenRow>) -> Result<TokenRequest, ClientError> {
        if self.name.grant_type == GrantType::ClientCredentials.as_str() {
            return Ok(TokenRequest::ClientCredentials);
        }
        let row = row.ok_or(AuthorizationError::NotSignedIn)?;
        if row.status == TokenStatus::ReauthRequired {
            let why = row.last_error.clone().unwrap_or_default();
            return Err(AuthorizationError::Reauthorize { why }.into());
        }
        let held = self.open(row).ok_or(AuthorizationError::NotSignedIn)??;
        let refresh = held.refresh.ok_or(AuthorizationError::NotSignedIn)?;
        Ok(TokenRequest::Refresh(refresh))
    }

    /// Opens the sealed tokens of the row; none if it has none.
    fn open(&self, row: &TokenRow) -> Option<Result<TokenPair, ClientError>> {
        let seal = self.seal.as_ref()?;
        let sealed = row.ciphertext.as_ref()?;
        Some(seal.open(sealed, &self.name).map_err(|error| {
            let stored = row.key_id.clone().unwrap_or_else(|| "none".to_owned());
            sealed_otherwise(error, stored, seal.id()).into()
        }))
    }

    /// Requests a token under a claim and finishes the claim; none if the claim was lost meanwhile.
    async fn ask(
        &self,
        fence: i64,
        claim: &RefreshClaim,
        request: &TokenRequest,
    ) -> Result<Option<Token>, ClientError> {
        let asked_at = self.monotonic.now();
        let asking = self.grant.ask(request, Some(claim), self.monotonic.wall());
        let granted = tokio::select! {
            biased;
            granted = asking => granted,
            () = self.hold(fence, claim) => Err(ClientError::Lapsed),
        };
        match granted {
            Ok(granted) => self.take(fence, request, granted, asked_at).await,
            Err(ClientError::Lapsed) => {
                tracing::warn!(
                    "this process was paused while it held the claim to refresh the token; checking again"
                );
                Ok(None)
            }
            Err(error) => self.give_up(fence, request, error).await,
        }
    }

    /// Extends the claim until dropped; returns when another process has taken it over.
    async fn hold(&self, fence: i64, claim: &RefreshClaim) {
        loop {
            tokio::time::sleep(EXTEND_EVERY).await;
            let asked = Moment::now(&self.monotonic);
            match self.store.extend(&self.name, fence, HOLD).await {
                Ok(()) => claim.extended(asked),
                Err(fault) if fault.kind == Kind::Fenced => return,
                Err(fault) => tracing::warn!(%fault, "the claim to refresh the token could not be extended"),
            }
        }
    }

    /// Stores the granted tokens before it returns the access token.
    async fn take(
        &self,
        fence: i64,
        request: &TokenRequest,
        granted: Granted,
        asked_at: Duration,
    ) -> Result<Option<Token>, ClientError> {
        let rotated = granted.refresh.is_some() && matches!(request, TokenRequest::Refresh(_));
        let refresh = match request {
            // A server that does not rotate keeps accepting the same refresh token.
            TokenRequest::Refresh(before) => granted.refresh.or_else(|| Some(before.clone())),
            _ => None,
        };
        let AccessToken { token, life, .. } = match granted.access {
            Ok(access) => access,
            Err(error) => {
                let sealed = match refresh.filter(|_| rotated) {
                    Some(refresh) => self.sealed(&TokenPair {
                        access: String::new().into(),
                        refresh: Some(refresh),
                    })?,
                    None => None,
                };
                self.note(fence, &error, false, sealed).await?;
                return Err(error);
            }
        };
        // The life may have begun when the request was sent.
        let took = self.monotonic.now().saturating_sub(asked_at);
        let life = life.saturating_sub(took).max(Duration::from_secs(1));
        let held = TokenPair {
            access: token,
            refresh,
        };
        let outcome = RefreshOutcome::Token {
            life,
            sealed: self.sealed(&held)?,
        };
        let row = self.finish_refresh(fence, outcome, rotated).await?;
        Ok(row.map(|row| {
            let expires_at = row.expires_at.unwrap_or(row.now);
            Token::new(
                row.version,
                held.access,
                expires_at,
                (life, life),
                self.monotonic.now(),
            )
        }))
    }

    /// Records why there is no token. A refused refresh token is dead: only a person can get another.
    async fn give_up(
        &self,
        fence: i64,
        request: &TokenRequest,
        error: ClientError,
    ) -> Result<Option<Token>, ClientError> {
        let dead = matches!(request, TokenRequest::Refresh(_))
            && matches!(&error, ClientError::Refused { error, .. } if error == "invalid_grant");
        self.note(fence, &error, dead, None).await?;
        if dead {
            let why = sentence(&error);
            return Err(AuthorizationError::Reauthorize { why }.into());
        }
        Err(error)
    }

    async fn note(
        &self,
        fence: i64,
        error: &ClientError,
        reauth: bool,
        sealed: Option<Sealed>,
    ) -> Result<(), ClientError> {
        let precious = sealed.is_some();
        let failed = RefreshOutcome::Failed {
            error: sentence(error),
            reauth,
            sealed,
        };
        self.finish_refresh(fence, failed, precious).await.map(|_| ())
    }

    /// Finishes the claim; none if it was taken over. A rotated refresh token is stored again and again while the
    /// database is away.
    async fn finish_refresh(
        &self,
        fence: i64,
        with: RefreshOutcome,
        precious: bool,
    ) -> Result<Option<TokenRow>, ClientError> {
        let began = self.monotonic.now();
        loop {
            let fault = match self.store.finish_refresh(&self.name, fence, with.clone()).await {
                Ok(row) => return Ok(Some(row)),
                Err(fault) if fault.kind == Kind::Fenced => return Ok(None),
                Err(fault) => fault,
            };
            let passed = self.monotonic.now().saturating_sub(began);
            if !precious || !fault.is_transient() || passed > STORE_FOR {
                return Err(ClientError::Store(fault));
            }
            tracing::warn!(%fault, "the new refresh token cannot be stored; trying again");
            tokio::time::sleep(STORE_AGAIN).await;
            // Nobody else may use the old refresh token meanwhile. The next attempt shows whether the extension worked.
            let _held = self.store.extend(&self.name, fence, HOLD).await;
        }
    }

    fn sealed(&self, held: &TokenPair) -> Result<Option<Sealed>, ClientError> {
        let Some(seal) = &self.seal else {
            return Ok(None);
        };
        seal.close(held, &self.name)
            .map(Some)
            .map_err(|error| ClientError::unusable(&error.to_string()))
    }

    /// Adopts the token of the row if another process obtained it and it is still valid for a while.
    fn adopt(&self, row: &TokenRow, dropped: i64) -> Option<Token> {
        // A version below a dropped one means that the row is new.
        if row.status == TokenStatus::ReauthRequired || row.version == dropped {
            return None;
        }
        let left = (row.expires_at? - row.now).to_std().ok()?;
        let life = (row.expires_at? - row.issued_at?).to_std().ok()?;
        match self.open(row)? {
            Ok(held) => {
                let now = self.monotonic.now();
                let token = Token::new(row.version, held.access, row.expires_at?, (life, left), now);
                (token.is_fresh(now) && !token.expose().is_empty()).then_some(token)
            }
            Err(error) => {
                let why = error.why().unwrap_or_default();
                tracing::warn!(why, "{error}");
                None
            }
        }
    }
}

/// Why sealed tokens cannot be opened, by the key id in the row.
pub(super) fn sealed_otherwise(error: SealError, stored: String, own: &str) -> AuthorizationError {
    if error == SealError::Closed && stored != own {
        return AuthorizationError::OtherKey {
            stored,
            own: own.to_owned(),
        };
    }
    AuthorizationError::Unsealed {
        why: error.to_string(),
    }
}

fn sentence(error: &ClientError) -> String {
    Fault::from(error.clone()).sentence()
}
