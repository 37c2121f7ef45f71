//! The authorization code flow: the address of the consent page, the code that comes back, and the exchange for the
//! first tokens. The command shows the page and receives the answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use url::Url;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::blueconic::address::Address;
use crate::blueconic::answer;
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::grant::{Grant, TokenRequest};
use crate::blueconic::auth::seal::{Seal, TokenPair};
use crate::blueconic::client;
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::retry::Retry;
use crate::blueconic::tenant_clock::TenantClock;
use crate::config::settings::{Grant as GrantType, Settings};
use crate::model::Time;
use crate::model::fault::Outcome;
use crate::model::ports::Clock;
use crate::model::ports::TokenStore;
use crate::model::tokens::TokenName;

/// How long storing the granted tokens is retried while the database is unreachable.
const STORE_FOR: Duration = Duration::from_mins(2);
const STORE_AGAIN: Duration = Duration::from_millis(300);

/// One sign-in: its request, which the answer is compared with.
pub struct Consent {
    url: Url,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    redirect_url: String,
}

/// An authorization code: valid once, for a short time.
pub struct Code(Zeroizing<String>);

impl Consent {
    /// Makes the address of the consent page. S256 is named, since the vendor's default is the plain method.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        if settings.tenant.grant != GrantType::AuthorizationCode {
            return Err(AuthorizationError::OtherGrant.into());
        }
        if settings.key.is_none() {
            return Err(AuthorizationError::NoKey.into());
        }
        let access = settings.tenant.access()?;
        let page = Address::new(&settings.tenant)?.authorization()?;
        let redirect_url = settings.tenant.redirect_url.clone();
        let redirect = RedirectUrl::new(redirect_url.clone()).map_err(|_| AuthorizationError::Redirect {
            why: "`tenant.redirect_url` is no address",
        })?;
        let client = BasicClient::new(ClientId::new(access.client_id))
            .set_auth_uri(AuthUrl::from_url(page))
            .set_redirect_uri(redirect);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(access.scopes.into_iter().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Self {
            url,
            state,
            verifier,
            redirect_url,
        })
    }

    /// The address of the consent page, for a person's browser.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Reads what came back: the whole address that the browser was led to, or its query.
    pub fn read(&self, redirect: &str) -> Result<Code, AuthorizationError> {
        let redirect = redirect.trim();
        let query = match redirect.split_once('?') {
            Some((_, query)) => query,
            None => redirect,
        };
        let query = query.split('#').next().unwrap_or_default();
        let one = |name: &str| {
            let mut values = form_urlencoded::parse(query.as_bytes())
                .filter(|(key, _)| key == name)
                .map(|(_, value)| Zeroizing::new(value.into_owned()));
            (values.next(), values.next())
        };
        let wrong = |why| AuthorizationError::Redirect { why };
        match one("state") {
            (Some(state), None) if state.as_str() == self.state.secret() => {}
            (None, _) => return Err(wrong("it has no `state`")),
            _ => return Err(wrong("its `state` is another's: is it from an earlier try?")),
        }
        if let (Some(error), _) = one("error") {
            let description = one("error_description").0;
            let description = description.map_or_else(String::new, |text| answer::clean(&text, 300));
            return Err(AuthorizationError::Consent {
                error: answer::clean(&error, 60),
                description,
            });
        }
        match one("code") {
            (Some(code), None) if !code.is_empty() => Ok(Code(code)),
            _ => Err(wrong("it has no `code`")),
        }
    }
}

/// Turns codes into stored tokens.
pub struct Login<T> {
    store: T,
    name: TokenName,
    seal: Seal,
    grant: Grant,
    retry: Retry,
    monotonic: MonotonicClock,
}

impl<T: TokenStore> Login<T> {
    /// Sends nothing yet.
    pub fn new(settings: &Settings, store: T, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let address = Address::new(&settings.tenant)?;
        let access = settings.tenant.access()?;
        let key = settings.key.as_ref().ok_or(AuthorizationError::NoKey)?;
        let monotonic = MonotonicClock::new(clock);
        let http = Http::new(&settings.tenant, &settings.network, &address)?;
        Ok(Self {
            store,
            name: client::token_name(&address, &access, GrantType::AuthorizationCode),
            seal: Seal::new(key)?,
            grant: Grant::new(
                &http,
                address.token()?,
                access,
                TenantClock::new(monotonic.clone()),
            ),
            retry: Retry::new(settings.retry, &settings.limits, monotonic.clone()),
            monotonic,
        })
    }

    /// Exchanges the code and stores the tokens. Returns the expiry of the access token.
    pub async fn finish(&self, consent: &Consent, code: Code) -> Outcome<Time> {
        Ok(self.exchange(consent, code).await?)
    }

    async fn exchange(&self, consent: &Consent, code: Code) -> Result<Time, ClientError> {
        let request = TokenRequest::Code {
            code: code.0,
            verifier: Zeroizing::new(consent.verifier.secret().clone()),
            redirect_url: consent.redirect_url.clone(),
        };
        let budget = Mutex::new(self.retry.budget());
        let granted = loop {
            match self.grant.ask(&request, None, self.monotonic.wall()).await {
                Ok(granted) => break granted,
                // A code that may have been used is not sent again: that would revoke its tokens.
                Err(
                    fault @ (ClientError::Broken { .. }
                    | ClientError::Timeout { .. }
                    | ClientError::Slow { .. }
                    | ClientError::Compressed { .. }),
                ) => return Err(fault),
                Err(fault) => self.retry.pause(&budget, fault).await?,
            }
        };
        let access = granted.access?;
        let held = TokenPair {
            access: access.token,
            refresh: Some(granted.refresh.ok_or(AuthorizationError::NoRefreshToken)?),
        };
        self.keep(&held, access.life).await
    }

    async fn keep(&self, held: &TokenPair, life: Duration) -> Result<Time, ClientError> {
        let sealed = self.seal.close(held, &self.name);
        let sealed = sealed.map_err(|error| ClientError::unusable(&error.to_string()))?;
        let began = self.monotonic.now();
        loop {
            match self.store.grant(&self.name, life, sealed.clone()).await {
                Ok(row) => return Ok(row.expires_at.unwrap_or(row.now)),
                Err(fault) if fault.is_transient() && self.monotonic.now() < began + STORE_FOR => {
                    tracing::warn!(%fault, "the granted tokens cannot be stored; trying again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Err(fault) => return Err(ClientError::Store(fault)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use std::collections::HashMap;

    use super::*;
    use crate::config::load::load;
    use crate::config::variables::Variables;
    use crate::model::description::Registry;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let all = [
            ("BLUECONIC_URL", "https://x.blueconic.net"),
            ("BLUECONIC_CLIENT_ID", "an id"),
            ("BLUECONIC_CLIENT_SECRET", "s3cret"),
            (
                "BLUECONIC_SYNC_KEY",
                "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            ),
            ("BLUECONIC_SYNC__TENANT__GRANT", "authorization_code"),
        ];
        let all = all.iter().chain(more);
        let variables: Variables = all
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        load(None, &variables, Registry::new(&[], &[])).unwrap()
    }

    #[test]
    fn the_consent_page_is_asked_with_s256_and_a_state_and_no_secret() {
        let scopes = ("BLUECONIC_SYNC__TENANT__SCOPES", "read:segments,read:profiles");
        let consent = Consent::new(&settings(&[scopes])).unwrap();
        let url = consent.url();
        assert!(
            url.as_str()
                .starts_with("https://x.blueconic.net/rest/v2/oauth/authorize?")
        );
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        for (key, value) in [
            ("response_type", "code"),
            ("client_id", "an id"),
            ("redirect_uri", "http://127.0.0.1:8918/callback"),
            ("code_challenge_method", "S256"),
            ("scope", "read:segments read:profiles"),
        ] {
            assert_eq!(query[key], value);
        }
        assert_eq!(query["code_challenge"].len(), 43);
        assert!(query["state"].len() >= 16);
        assert!(!url.as_str().contains("s3cret") && !url.as_str().contains(consent.verifier.secret()));
        let other = Consent::new(&settings(&[])).unwrap();
        assert_ne!(other.state.secret(), consent.state.secret());
    }

    #[test]
    fn only_the_answer_to_this_sign_in_is_taken() {
        let consent = Consent::new(&settings(&[])).unwrap();
        let state = consent.state.secret();
        for good in [
            format!("http://127.0.0.1:8918/callback?code=c%2B1&state={state}"),
            format!("  https://other.example/x?state={state}&code=c%2B1#top\n"),
            format!("code=c%2B1&state={state}"),
        ] {
            assert_eq!(*consent.read(&good).ok().unwrap().0, "c+1");
        }
        for (bad, why) in [
            ("http://127.0.0.1/callback?code=c".to_owned(), "no `state`"),
            ("code=c&state=other".to_owned(), "another's"),
            (format!("code=c&state={state}&state={state}"), "another's"),
            (format!("code=c&code=d&state={state}"), "no `code`"),
            (format!("code=&state={state}"), "no `code`"),
            (format!("state={state}"), "no `code`"),
            (String::new(), "no `state`"),
        ] {
            let error = consent.read(&bad).err().unwrap().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
        let no = format!("error=access_denied&error_description=Not+you&state={state}");
        let error = consent.read(&no).err().unwrap();
        assert_eq!(error.to_string(), "the tenant grants no access (access_denied)");
        assert_eq!(error.why().unwrap(), "Not you");
        assert!(error.hint().contains("Authorize Applications"));
    }

    #[test]
    fn without_a_key_or_with_another_grant_nobody_is_sent_to_a_page() {
        let no_key = Consent::new(&settings(&[("BLUECONIC_SYNC_KEY", "")]))
            .err()
            .unwrap();
        assert!(no_key.hint().unwrap().contains("BLUECONIC_SYNC_KEY"));
        let other = ("BLUECONIC_SYNC__TENANT__GRANT", "client_credentials");
        let other = Consent::new(&settings(&[other])).err().unwrap();
        assert!(other.to_string().contains("`tenant.grant`"));
    }
}
