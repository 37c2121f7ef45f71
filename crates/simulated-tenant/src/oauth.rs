//! The tokens of the tenant's only application: both flows of RFC 6749, tokens that really expire, and the changes that an
//! administrator can make. `authorization` has the steps from consent to refresh token.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};

use crate::answer::Refusal;
use crate::authorization::{Authorizations, Family, Given, Refused, Registered, unguessable};
use crate::clock::milliseconds;
use crate::form::{Denied, Form, read_basic, uncached};
use crate::json::Node;
use crate::query::Query;
use crate::settings::Settings;

/// The application and its valid tokens.
pub(crate) struct Oauth {
    inner: Mutex<Application>,
    life: i64,
    missing_scope: StatusCode,
}

struct Application {
    client_id: String,
    client_secret: SecretString,
    redirect_uri: String,
    scopes: Vec<String>,
    enabled: bool,
    tokens: HashMap<String, Token>,
    authorizations: Authorizations,
}

struct Token {
    scopes: Vec<String>,
    expires_at: i64,
    /// The consent that it belongs to.
    family: Option<Family>,
}

impl Oauth {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            inner: Mutex::new(Application {
                client_id: settings.client_id.clone(),
                client_secret: settings.client_secret.clone(),
                redirect_uri: settings.redirect_uri.clone(),
                scopes: settings.scopes.clone(),
                enabled: true,
                tokens: HashMap::new(),
                authorizations: Authorizations::default(),
            }),
            life: milliseconds(settings.token_life),
            missing_scope: StatusCode::from_u16(settings.missing_scope).unwrap_or(StatusCode::FORBIDDEN),
        }
    }

    fn application(&self) -> MutexGuard<'_, Application> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `POST /oauth/token`.
    pub(crate) fn token(&self, headers: &HeaderMap, body: &Bytes, now: i64) -> Response {
        self.grant(headers, body, now)
            .unwrap_or_else(IntoResponse::into_response)
    }

    fn grant(&self, headers: &HeaderMap, body: &Bytes, now: i64) -> Result<Response, Denied> {
        let form = Form::read(headers, body)?;
        let grant = form.required("grant_type", "grant_type is missing")?;
        let mut application = self.application();
        application.authenticate(headers, &form)?;
        let given = match grant {
            "client_credentials" => None,
            "authorization_code" => Some(application.exchange(&form, now)?),
            "refresh_token" => {
                let token = form.required("refresh_token", "refresh_token is missing")?;
                let given = application.authorizations.refresh(token);
                Some(application.given(given)?)
            }
            _ => return Err(Denied::UnsupportedGrantType),
        };
        let token = unguessable();
        let mut answer = vec![
            ("access_token", Node::text(token.clone())),
            ("token_type", Node::text("Bearer")),
            ("expires_in", Node::Number(self.life / 1000)),
        ];
        let (scopes, family) = match given {
            None => (application.scopes(form.0.get("scope"))?, None),
            Some(given) => {
                answer.push(("refresh_token", Node::text(given.refresh_token)));
                (given.scopes, Some(given.family))
            }
        };
        let expires_at = now + self.life;
        application.tokens.insert(
            token,
            Token {
                scopes,
                expires_at,
                family,
            },
        );
        Ok(uncached(&Node::Object(answer)))
    }

    /// `GET /oauth/authorize`.
    pub(crate) fn authorize(&self, query: &Query, page: &str) -> Response {
        let mut application = self.application();
        let Application {
            client_id,
            redirect_uri,
            scopes,
            enabled,
            authorizations,
            ..
        } = &mut *application;
        let registered = Registered {
            client_id,
            redirect_uri,
            scopes,
            enabled: *enabled,
        };
        authorizations.authorize(query, &registered, page)
    }

    /// `GET /oauth/consent`.
    pub(crate) fn consent(&self, query: &Query) -> Response {
        let application = self.application();
        application
            .authorizations
            .page(query.one("request").unwrap_or_default())
    }

    /// `POST /oauth/consent`.
    pub(crate) fn decide(&self, headers: &HeaderMap, body: &Bytes, now: i64) -> Response {
        let decided = Form::read(headers, body).and_then(|form| {
            let allow = form.required("decision", "decision is missing")? == "allow";
            let request = form.required("request", "request is missing")?;
            Ok(self.application().authorizations.decide(request, allow, now))
        });
        decided.unwrap_or_else(IntoResponse::into_response)
    }

    /// `POST /oauth/introspect` (RFC 7662), the part that tests need: whether a token is active.
    pub(crate) fn introspect(&self, headers: &HeaderMap, body: &Bytes, now: i64) -> Response {
        let looked = Form::read(headers, body).and_then(|form| {
            let application = self.application();
            application.authenticate(headers, &form)?;
            let token = form.required("token", "token is missing")?;
            let access = application.tokens.get(token);
            let active = access.is_some_and(|access| access.expires_at > now)
                || application.authorizations.is_valid(token);
            Ok(uncached(&Node::Object(vec![("active", Node::Flag(active))])))
        });
        looked.unwrap_or_else(IntoResponse::into_response)
    }

    /// `POST /oauth/revoke`: 200 also for an invalid token.
    pub(crate) fn revoke(&self, headers: &HeaderMap, body: &Bytes) -> Response {
        let revoked = Form::read(headers, body).and_then(|form| {
            let mut application = self.application();
            application.authenticate(headers, &form)?;
            let token = form.required("token", "token is missing")?;
            application.tokens.remove(token);
            if let Some(family) = application.authorizations.family_of(token) {
                application.end(family);
            }
            Ok(())
        });
        revoked.map_or_else(IntoResponse::into_response, |()| StatusCode::OK.into_response())
    }

    /// Whether a request may read a resource.
    pub(crate) fn allow(&self, headers: &HeaderMap, scope: &str, now: i64) -> Result<(), Refusal> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let bearer = bearer.ok_or_else(|| Refusal::unauthorized("Authentication failed (unauthorized)."))?;
        let application = self.application();
        let valid = application
            .tokens
            .get(bearer)
            .filter(|token| token.expires_at > now);
        let token =
            valid.ok_or_else(|| Refusal::unauthorized("The access token is invalid or has expired."))?;
        if token.scopes.iter().any(|granted| granted == scope) {
            return Ok(());
        }
        let message = "The application has no permission for this resource.".to_owned();
        Err(Refusal {
            status: self.missing_scope,
            message,
        })
    }

    pub(crate) fn revoke_all(&self) {
        self.application().tokens.clear();
    }

    pub(crate) fn revoke_authorizations(&self) {
        let mut application = self.application();
        application.authorizations.end_all();
        application.tokens.retain(|_, token| token.family.is_none());
    }

    pub(crate) fn valid_refresh_tokens(&self) -> usize {
        self.application().authorizations.valid()
    }

    pub(crate) fn valid_tokens(&self, now: i64) -> usize {
        self.application()
            .tokens
            .values()
            .filter(|token| token.expires_at > now)
            .count()
    }

    /// An application that is switched off gets no tokens, and its tokens are revoked.
    pub(crate) fn switch(&self, enabled: bool) {
        let mut application = self.application();
        application.enabled = enabled;
        if !enabled {
            application.tokens.clear();
        }
    }

    /// A new secret revokes the tokens of the old one.
    pub(crate) fn rotate_secret(&self, secret: SecretString) {
        let mut application = self.application();
        application.client_secret = secret;
        application.tokens.clear();
    }

    /// The scopes of new tokens and of active ones.
    pub(crate) fn set_scopes(&self, scopes: &[String]) {
        let mut application = self.application();
        application.scopes = scopes.to_vec();
        for token in application.tokens.values_mut() {
            token.scopes.retain(|scope| scopes.contains(scope));
        }
    }
}

impl Application {
    /// In the body, as in the guide, or by HTTP Basic, as in the vendor's own client; never by both.
    fn authenticate(&self, headers: &HeaderMap, form: &Form) -> Result<(), Denied> {
        let basic = headers.get(header::AUTHORIZATION).map(read_basic);
        let (client_id, secret) = match &basic {
            Some(_) if form.0.contains_key("client_secret") => {
                return Err(Denied::InvalidRequest(
                    "More than one way of client authentication",
                ));
            }
            Some(Some((client_id, secret))) => (client_id.as_str(), secret.as_str()),
            Some(None) => return Err(Denied::InvalidClient { basic: true }),
            None => (
                form.required("client_id", "client_id is missing")?,
                form.required("client_secret", "client_secret is missing")?,
            ),
        };
        if client_id != self.client_id || secret != self.client_secret.expose_secret() {
            return Err(Denied::InvalidClient {
                basic: basic.is_some(),
            });
        }
        if self.enabled {
            Ok(())
        } else {
            Err(Denied::Disabled)
        }
    }

    fn exchange(&mut self, form: &Form, now: i64) -> Result<Given, Denied> {
        let code = form.required("code", "code is missing")?;
        let redirect_uri = form.required("redirect_uri", "redirect_uri is missing")?;
        let verifier = form.required("code_verifier", "code_verifier is missing")?;
        let given = self.authorizations.exchange(code, redirect_uri, verifier, now);
        self.given(given)
    }

    fn given(&mut self, outcome: Result<Given, Refused>) -> Result<Given, Denied> {
        outcome.map_err(|refused| match refused {
            Refused::Invalid(why) => Denied::InvalidGrant(why),
            Refused::Reused(family) => {
                self.end(family);
                Denied::InvalidGrant("It was used before: all that came of it is revoked")
            }
        })
    }

    /// Ends a consent and revokes its tokens.
    fn end(&mut self, family: Family) {
        self.authorizations.end(family);
        self.tokens.retain(|_, token| token.family != Some(family));
    }

    fn scopes(&self, asked: Option<&String>) -> Result<Vec<String>, Denied> {
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
            return Ok(self.scopes.clone());
        };
        let asked: Vec<String> = asked.split(' ').map(str::to_owned).collect();
        let granted = asked.iter().all(|scope| self.scopes.contains(scope));
        if granted {
            Ok(asked)
        } else {
            Err(Denied::InvalidScope)
        }
    }
}
