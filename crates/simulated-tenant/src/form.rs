//! The forms of the OAuth endpoints, and the errors of RFC 6749.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::answer::json;
use crate::json::{Node, Writer};
use crate::shape::Shape;

/// The errors of RFC 6749, with the document's status and wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    InvalidRequest(&'static str),
    InvalidClient { basic: bool },
    Disabled,
    UnsupportedGrantType,
    InvalidScope,
    InvalidGrant(&'static str),
}

/// The parameters of a form, each at most once.
pub(crate) struct Form(pub(crate) HashMap<String, String>);

/// The two halves are form-encoded before they are joined (RFC 6749, 2.3.1).
pub(crate) fn read_basic(value: &HeaderValue) -> Option<(String, String)> {
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
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, Denied> {
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

    pub(crate) fn required(&self, name: &str, missing: &'static str) -> Result<&str, Denied> {
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
            Self::InvalidGrant(reason) => (StatusCode::BAD_REQUEST, "invalid_grant", reason),
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

/// A body that no cache may store.
pub(crate) fn uncached(body: &Node) -> Response {
    let bytes = Writer::new(Shape::default(), 0).document(body);
    let mut response = json(bytes.into());
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
