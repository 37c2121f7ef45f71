//! Ends tokens: revokes the refresh token, then the access token, and removes both here. This happens under the claim
//! that a refresh needs, so that no refresh runs meanwhile.

use std::sync::{Arc, Mutex};

use url::Url;
use zeroize::Zeroizing;

use crate::blueconic::address::Address;
use crate::blueconic::auth::advice::Asked;
use crate::blueconic::auth::endpoint::{Endpoint, Fields};
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::refresh::{HOLD, LOOK_AGAIN, sealed_otherwise};
use crate::blueconic::auth::seal::{Seal, TokenPair};
use crate::blueconic::client;
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::retry::Retry;
use crate::blueconic::tenant_clock::TenantClock;
use crate::config::settings::Settings;
use crate::model::fault::{Kind, Outcome};
use crate::model::ports::Clock;
use crate::model::ports::TokenStore;
use crate::model::tokens::{ClaimOutcome, TokenName, TokenRow};

/// Ends the tokens of one application at one tenant.
pub struct Logout<T> {
    store: T,
    own: TokenName,
    seal: Option<Seal>,
    endpoint: Endpoint,
    url: Url,
    retry: Retry,
    monotonic: MonotonicClock,
}

/// The result for a stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The grant of the token.
    pub grant_type: String,
    /// The number of tokens that were revoked at the tenant; zero if none was stored.
    pub revoked: usize,
}

impl<T: TokenStore> Logout<T> {
    /// Sends nothing yet.
    pub fn new(settings: &Settings, store: T, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let address = Address::new(&settings.tenant)?;
        let access = settings.tenant.access()?;
        let monotonic = MonotonicClock::new(clock);
        let http = Http::new(&settings.tenant, &settings.network, &address)?;
        Ok(Self {
            store,
            own: client::token_name(&address, &access, settings.tenant.grant),
            seal: settings.key.as_ref().map(Seal::new).transpose()?,
            url: address.revocation()?,
            endpoint: Endpoint::new(&http, access, TenantClock::new(monotonic.clone())),
            retry: Retry::new(settings.retry, &settings.limits, monotonic.clone()),
            monotonic,
        })
    }

    /// The names of stored tokens: those of the configured grant, or of every grant.
    pub async fn stored(&self, all: bool) -> Outcome<Vec<TokenName>> {
        let mut names = self
            .store
            .of_client(&self.own.tenant, &self.own.client_id)
            .await?;
        names.retain(|name| all || *name == self.own);
        Ok(names)
    }

    /// Ends the tokens of a name. `revoke`: whether they are revoked at the tenant as well.
    pub async fn end(&self, name: &TokenName, revoke: bool) -> Outcome<Ended> {
        Ok(self.end_one(name, revoke).await?)
    }

    async fn end_one(&self, name: &TokenName, revoke: bool) -> Result<Ended, ClientError> {
        let gone = |revoked| Ended {
            grant_type: name.grant_type.clone(),
            revoked,
        };
        let mut revoked = 0;
        loop {
            let Some(row) = self.store.read(name).await.map_err(ClientError::Store)? else {
                return Ok(gone(revoked));
            };
            // Before the claim, so that a row that cannot be opened stays unchanged.
            let held = if revoke { self.open(&row, name)? } else { None };
            let claim = self.store.claim(name, row.version, HOLD).await;
            match claim.map_err(ClientError::Store)? {
                ClaimOutcome::Superseded => {}
                ClaimOutcome::Busy { .. } => {
                    self.monotonic.sleep(LOOK_AGAIN).await;
                }
                ClaimOutcome::Claimed { fence, .. } => {
                    if let Some(held) = held {
                        revoked += self.revoke(&held, name, fence).await?;
                    }
                    match self.store.remove(name, fence).await {
                        Ok(()) => return Ok(gone(revoked)),
                        Err(fault) if fault.kind == Kind::Fenced => {}
                        Err(fault) => return Err(ClientError::Store(fault)),
                    }
                }
            }
        }
    }

    fn open(&self, row: &TokenRow, name: &TokenName) -> Result<Option<TokenPair>, ClientError> {
        let Some(sealed) = &row.ciphertext else {
            return Ok(None);
        };
        let seal = self.seal.as_ref().ok_or(AuthorizationError::NoKey)?;
        let held = seal.open(sealed, name).map_err(|error| {
            let stored = row.key_id.clone().unwrap_or_else(|| "none".to_owned());
            sealed_otherwise(error, stored, seal.id()).into()
        });
        held.map(Some)
    }

    /// The refresh token is revoked first, since it could create new tokens.
    async fn revoke(&self, held: &TokenPair, name: &TokenName, fence: i64) -> Result<usize, ClientError> {
        let mut revoked = 0;
        if let Some(refresh) = &held.refresh {
            self.revoke_one(refresh, "refresh_token", name, fence).await?;
            revoked += 1;
        }
        if !held.access.is_empty() {
            self.revoke_one(&held.access, "access_token", name, fence).await?;
            revoked += 1;
        }
        Ok(revoked)
    }

    /// Revokes one token. The answer is 200 also for a token that has ended already.
    async fn revoke_one(
        &self,
        token: &Zeroizing<String>,
        hint: &str,
        name: &TokenName,
        fence: i64,
    ) -> Result<(), ClientError> {
        let budget = Mutex::new(self.retry.budget());
        loop {
            let fields = Fields {
                plain: &[("token_type_hint", hint)],
                secret: &[("token", token.as_str())],
            };
            let wall = self.monotonic.wall();
            let asking = self
                .endpoint
                .post(&self.url, Asked::Revocation, &fields, None, wall);
            match asking.await {
                Ok(_) => return Ok(()),
                Err(fault) => self.retry.pause(&budget, fault).await?,
            }
            // The result does not matter: nobody else may use a token that is being revoked.
            let _held = self.store.extend(name, fence, HOLD).await;
        }
    }
}
