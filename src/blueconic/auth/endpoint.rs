//! Sends forms to the OAuth endpoints with the application's credentials, and distinguishes answers from refusals. The
//! content of requests and answers is not known here.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::blueconic::answer;
use crate::blueconic::auth::advice::Asked;
use crate::blueconic::auth::claim::{Form, Lapsed, RefreshClaim, wiped};
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::incoming::Incoming;
use crate::blueconic::redaction::{self, Redaction};
use crate::blueconic::status::{Patience, StatusClass};
use crate::blueconic::tenant_clock::TenantClock;
use crate::config::settings::{Access, ClientAuth};
use crate::model::Time;

/// The longest time of a request.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);
/// The largest answer that may be a token, in bytes.
const LARGEST_ANSWER: usize = 256 * 1024;
/// The longest text of the server in a message, in characters.
const LONGEST_WORDS: usize = 300;

/// An OAuth endpoint and the credentials for it.
pub(super) struct Endpoint {
    http: Http,
    access: Access,
    tenant_clock: TenantClock,
}

/// The fields of a form, and which of them are secret.
pub(super) struct Fields<'a> {
    pub(super) plain: &'a [(&'a str, &'a str)],
    pub(super) secret: &'a [(&'a str, &'a str)],
}

/// The body of a success.
pub(super) struct Answer {
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) content_type: String,
    pub(super) status: u16,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
pub(super) struct OAuthError {
    pub(super) error: String,
    pub(super) error_description: Option<String>,
}

impl Endpoint {
    pub(super) fn new(http: &Http, access: Access, tenant_clock: TenantClock) -> Self {
        Self {
            http: http.aside(),
            access,
            tenant_clock,
        }
    }

    /// How long an answer from something else is treated as temporary.
    pub(super) fn patience(&self) -> Patience {
        Patience::once(self.http.is_proven())
    }

    /// The endpoint itself has answered.
    pub(super) fn prove(&self) {
        self.http.prove();
    }

    /// Sends a form, unless the claim has lapsed before it leaves.
    pub(super) async fn post(
        &self,
        url: &Url,
        asked: Asked,
        fields: &Fields<'_>,
        claim: Option<&RefreshClaim>,
        wall: Time,
    ) -> Result<Answer, ClientError> {
        let form = Form::new(self.form(fields), claim.cloned());
        let sending = self
            .http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .timeout(LONGEST_REQUEST)
            .body(reqwest::Body::wrap(form));
        let response = match self.authenticated(sending)?.send().await {
            Ok(response) => response,
            Err(error) if Lapsed::is_behind(&error) => return Err(ClientError::Lapsed),
            Err(error) => return Err(self.http.unanswered(asked.call(), error).await),
        };
        self.read(response, asked, fields, wall).await
    }

    fn form(&self, fields: &Fields<'_>) -> Zeroizing<String> {
        let pairs = fields.plain.iter().chain(fields.secret);
        let secret = self.access.client_secret.expose();
        let longest: usize = pairs.clone().map(|(name, value)| name.len() + value.len()).sum();
        // Capacity for the whole percent-encoded form, since a growing buffer would leave copies of secrets in memory.
        let room = 3 * (longest + self.access.client_id.len() + secret.len()) + 256;
        let mut form = Serializer::new(String::with_capacity(room));
        form.extend_pairs(pairs);
        form.append_pair("client_id", &self.access.client_id);
        if self.access.client_auth == ClientAuth::Body {
            form.append_pair("client_secret", secret);
        }
        Zeroizing::new(form.finish())
    }

    /// HTTP Basic, where the settings ask for it: both halves form-encoded before they are joined (RFC 6749, 2.3.1).
    fn authenticated(&self, sending: RequestBuilder) -> Result<RequestBuilder, ClientError> {
        if self.access.client_auth != ClientAuth::Basic {
            return Ok(sending);
        }
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let secret = Zeroizing::new(encoded(self.access.client_secret.expose()));
        let both = Zeroizing::new(format!("{}:{}", encoded(&self.access.client_id), *secret));
        let mut text = Zeroizing::new(String::with_capacity(6 + both.len().div_ceil(3) * 4));
        text.push_str("Basic ");
        STANDARD.encode_string(both.as_bytes(), &mut text);
        let mut value = HeaderValue::from_maybe_shared(wiped(text))
            .map_err(|_| ClientError::unusable("no header can carry it"))?;
        value.set_sensitive(true);
        Ok(sending.header(AUTHORIZATION, value))
    }

    async fn read(
        &self,
        response: Response,
        asked: Asked,
        fields: &Fields<'_>,
        wall: Time,
    ) -> Result<Answer, ClientError> {
        let (status, call) = (response.status(), asked.call());
        if StatusClass::of(status.as_u16()) == StatusClass::Redirect {
            let shown = |text: &str| self.shown(text, LONGEST_WORDS, fields);
            return Err(answer::redirected(
                &response,
                call.to_owned(),
                shown,
                self.http.is_proven(),
            ));
        }
        let retry_after = answer::retry_after(&response, wall);
        // Some servers answer a token with 201.
        if status.is_success() {
            self.tenant_clock.hear(response.headers());
            let content_type = answer::content_type(&response);
            let body = bounded(self.http.incoming(response), asked).await?;
            return Ok(Answer {
                body,
                content_type,
                status: status.as_u16(),
            });
        }
        let body = answer::read_some(self.http.incoming(response), call).await;
        Err(self.refusal(status.as_u16(), &body, retry_after, asked, fields))
    }

    /// A text of the server without the secrets that were sent, and without possible tokens.
    pub(super) fn shown(&self, text: &str, longest: usize, fields: &Fields<'_>) -> String {
        let sent = fields.secret.iter().map(|(_, secret)| *secret);
        let secrets = sent.chain([self.access.client_secret.expose()]);
        let text = redaction::without_tokens(&Redaction::of(secrets).apply(text));
        answer::clean(&text, longest)
    }

    /// The error in a body; none if it names no error.
    pub(super) fn named(
        &self,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
        asked: Asked,
        fields: &Fields<'_>,
    ) -> Option<ClientError> {
        let shown = |text: &str| self.shown(text, LONGEST_WORDS, fields);
        let oauth = serde_json::from_slice::<OAuthError>(plain(body)).ok()?;
        self.prove();
        // Some servers answer `temporarily_unavailable` and similar errors with 400 or 200.
        if matches!(
            &*oauth.error,
            "temporarily_unavailable" | "server_error" | "slow_down"
        ) {
            return Some(ClientError::Status {
                call: asked.call().to_owned(),
                status: if StatusClass::of(status).is_passing() {
                    status
                } else {
                    503
                },
                message: shown(&answer::words(body)),
                retry_after,
            });
        }
        Some(ClientError::Refused {
            asked,
            status,
            error: shown(&oauth.error),
            description: oauth.error_description.as_deref().map(shown).unwrap_or_default(),
        })
    }

    /// RFC 6749, section 5.2; other shapes are shown as they are.
    fn refusal(
        &self,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
        asked: Asked,
        fields: &Fields<'_>,
    ) -> ClientError {
        let call = asked.call().to_owned();
        let message = self.shown(&answer::words(body), LONGEST_WORDS, fields);
        let meaning = StatusClass::of(status);
        if meaning.is_passing() {
            return ClientError::Status {
                call,
                status,
                message,
                retry_after,
            };
        }
        if let Some(named) = self.named(status, body, retry_after, asked, fields) {
            return named;
        }
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(plain(body)).is_ok();
        match meaning {
            StatusClass::Denied | StatusClass::Refused if is_json => ClientError::Refused {
                asked,
                status,
                error: "no reason given".to_owned(),
                description: message,
            },
            _ if is_json => ClientError::Status {
                call,
                status,
                message,
                retry_after,
            },
            _ => ClientError::Blocked {
                call,
                status,
                message,
                retry_after,
                // A firewall's 403 may pass. A 401 may mean a wrong secret, and repeating that may lock the account.
                patience: match status {
                    403 => Patience::Budget,
                    400 | 401 => Patience::Few,
                    _ => self.patience(),
                },
            },
        }
    }
}

/// JSON without the byte order mark that some servers put before it.
pub(super) fn plain(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii();
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

async fn bounded(mut incoming: Incoming, asked: Asked) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let mut body = Zeroizing::new(Vec::with_capacity(LARGEST_ANSWER));
    while let Some(chunk) = incoming.chunk(asked.call()).await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(ClientError::unusable("it is larger than any token"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
