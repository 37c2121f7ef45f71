//! The tokens of the tenant's one application: client credentials as RFC 6749 has them, tokens that really expire,
//! and what an administrator can do to them. Authorization codes are not simulated.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::demo::answer::{Refusal, json};
use crate::demo::clock::milliseconds;
use crate::demo::json::{Node, Writer};
use crate::demo::settings::Settings;
use crate::demo::shape::Shape;

/// The application and its living tokens.
pub(crate) struct Oauth {
    inner: Mutex<Application>,
    life: i64,
    missing_scope: StatusCode,
}

struct Application {
    client_id: String,
    client_secret: SecretString,
    scopes: Vec<String>,
    enabled: bool,
    tokens: HashMap<String, Token>,
}

struct Token {
    scopes: Vec<String>,
    expires_at: i64,
}

/// The errors of RFC 6749, with the document's status and wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    InvalidRequest(&'static str),
    InvalidClient { basic: bool },
    Disabled,
    UnsupportedGrantType,
    InvalidScope,
}

/// The parameters of a form, each at most once.
struct Form(HashMap<String, String>);

impl Oauth {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            inner: Mutex::new(Application {
                client_id: settings.client_id.clone(),
                client_secret: settings.client_secret.clone(),
                scopes: settings.scopes.clone(),
                enabled: true,
                tokens: HashMap::new(),
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
        if grant != "client_credentials" {
            return Err(Denied::UnsupportedGrantType);
        }
        let scopes = application.scopes(form.0.get("scope"))?;
        let token = URL_SAFE_NO_PAD.encode(rand::random::<u128>().to_be_bytes());
        application.tokens.insert(
            token.clone(),
            Token {
                scopes,
                expires_at: now + self.life,
            },
        );
        Ok(uncached(&Node::Object(vec![
            ("access_token", Node::text(token)),
            ("token_type", Node::text("Bearer")),
            ("expires_in", Node::Number(self.life / 1000)),
        ])))
    }

    /// `POST /oauth/revoke`: 200 also for a token that is dead already.
    pub(crate) fn revoke(&self, headers: &HeaderMap, body: &Bytes) -> Response {
        let revoked = Form::read(headers, body).and_then(|form| {
            let mut application = self.application();
            application.authenticate(headers, &form)?;
            application
                .tokens
                .remove(form.required("token", "token is missing")?);
            Ok(())
        });
        revoked.map_or_else(IntoResponse::into_response, |()| StatusCode::OK.into_response())
    }

    /// Whether a request may see a resource.
    pub(crate) fn allow(&self, headers: &HeaderMap, scope: &str, now: i64) -> Result<(), Refusal> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let bearer = bearer.ok_or_else(|| Refusal::unauthorized("Authentication failed (unauthorized)."))?;
        let application = self.application();
        let living = application
            .tokens
            .get(bearer)
            .filter(|token| token.expires_at > now);
        let token =
            living.ok_or_else(|| Refusal::unauthorized("The access token is invalid or has expired."))?;
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

    pub(crate) fn living_tokens(&self, now: i64) -> usize {
        self.application()
            .tokens
            .values()
            .filter(|token| token.expires_at > now)
            .count()
    }

    /// An application that is switched off gets no tokens, and those it has die.
    pub(crate) fn switch(&self, enabled: bool) {
        let mut application = self.application();
        application.enabled = enabled;
        if !enabled {
            application.tokens.clear();
        }
    }

    /// A new secret kills the tokens of the old one.
    pub(crate) fn rotate_secret(&self, secret: SecretString) {
        let mut application = self.application();
        application.client_secret = secret;
        application.tokens.clear();
    }

    /// The scopes of tokens from now on, and of those that live.
    pub(crate) fn set_scopes(&self, scopes: &[String]) {
        let mut application = self.application();
        application.scopes = scopes.to_vec();
        for token in application.tokens.values_mut() {
            token.scopes.retain(|scope| scopes.contains(scope));
        }
    }
}

impl Application {
    /// In the body, as the guide has it, or by HTTP Basic, as the vendor's own client does; never by both.
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

/// The two halves are form-encoded before they are joined (RFC 6749, 2.3.1).
fn read_basic(value: &HeaderValue) -> Option<(String, String)> {
    let decoded = STANDARD
        .decode(value.to_str().ok()?.strip_prefix("Basic ")?)
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        let pair = format!("x={part}");
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    Some((decode(client_id)?, decode(secret)?))
}

impl Form {
    fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Denied> {
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Denied::InvalidRequest("The body is not a form"));
        }
        let mut form = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(body).into_owned() {
            if form.insert(name, value).is_some() {
                return Err(Denied::InvalidRequest("A parameter is repeated"));
            }
        }
        Ok(Self(form))
    }

    fn required(&self, name: &str, missing: &'static str) -> Result<&str, Denied> {
        let value = self.0.get(name).filter(|value| !value.is_empty());
        value.map(String::as_str).ok_or(Denied::InvalidRequest(missing))
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, error, description) = match self {
            Self::InvalidRequest(reason) => (StatusCode::BAD_REQUEST, "invalid_request", reason),
            Self::InvalidClient { .. } => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "Client authentication failed",
            ),
            Self::Disabled => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "The application is disabled",
            ),
            Self::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "Unsupported grant type",
            ),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope", "Invalid scope"),
        };
        let mut response = uncached(&Node::Object(vec![
            ("error_description", Node::text(description)),
            ("error", Node::text(error)),
        ]));
        *response.status_mut() = status;
        if matches!(self, Self::InvalidClient { basic: true }) {
            let challenge = HeaderValue::from_static("Basic realm=\"oauth\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn uncached(body: &Node) -> Response {
    let bytes = Writer::new(Shape::default(), 0).document(body);
    let mut response = json(bytes.into());
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
