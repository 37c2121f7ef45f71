//! The errors of the client: what failed, whether it may pass, and what a person should do. Messages contain the path
//! of a call, never its query, and no secret.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::blueconic::auth::advice::Asked;
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::status::Patience;
use crate::config::error::SettingsError;
use crate::model::fault::{Fault, Kind};
use crate::network::error::RouteError;
use crate::network::failure::Failure;

mod classes;
mod hints;
mod transport;

/// An error of the client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A setting is missing or cannot be used.
    #[error(transparent)]
    Settings(Arc<SettingsError>),
    /// The key that seals tokens is invalid.
    #[error("`{variable}` cannot be used: {why}")]
    Key {
        /// Where it comes from.
        variable: &'static str,
        /// What is wrong with it; never the key.
        why: String,
    },
    /// Plain http to a host that is not this machine.
    #[error("the tenant's address {address} is not https")]
    Insecure {
        /// The address.
        address: String,
    },
    /// A person's authorization is missing, has ended, or cannot be had.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// The claim to refresh the token has lapsed before the request left. Never leaves this layer.
    #[error("the claim to refresh the token has lapsed")]
    Lapsed,
    /// The HTTP client could not be made (TLS roots).
    #[error("the HTTP client cannot be set up")]
    Setup {
        /// Why.
        #[source]
        source: Arc<RouteError>,
    },
    /// A path that would leave the API.
    #[error("{call}: the path leads out of the API")]
    Astray {
        /// The call.
        call: String,
    },
    /// No connection came about.
    #[error("{call}: {failure}")]
    Unreachable {
        /// The call.
        call: String,
        /// Where and why.
        failure: Failure,
    },
    /// The certificate of the tenant, or of the proxy, is not trusted.
    #[error("{call}: {failure}")]
    Certificate {
        /// The call.
        call: String,
        /// Whose, and why.
        failure: Failure,
        /// Whether another certificate was trusted before: a single node may have a wrong one.
        patience: Patience,
    },
    /// Nothing came for too long.
    #[error("{call}: no answer in time")]
    Timeout {
        /// The call.
        call: String,
        /// What timed out.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The body arrives too slowly.
    #[error("{call}: the tenant's answer comes too slowly")]
    Slow {
        /// The call.
        call: String,
        /// The rate, and the limit.
        why: String,
    },
    /// A compressed body was truncated or corrupted.
    #[error("{call}: the answer cannot be decompressed")]
    Compressed {
        /// The call.
        call: String,
        /// What was found.
        why: String,
    },
    /// A body whose decompressed size exceeds the bound.
    #[error("{call}: the answer is not decompressed any further")]
    Excessive {
        /// The call.
        call: String,
        /// The exceeded limit.
        why: String,
    },
    /// The connection broke, or a body was cut.
    #[error("{call}: the answer broke off")]
    Broken {
        /// The call.
        call: String,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// A body whose structure is lost.
    #[error("{call}: the answer is garbled")]
    Garbled {
        /// The call.
        call: String,
        /// What was found where.
        why: String,
    },
    /// A 200 whose body is not the API's JSON.
    #[error("{call}: not an answer of the API")]
    Foreign {
        /// The call.
        call: String,
        /// What was found.
        why: String,
        /// For how long it is held for an accident.
        patience: Patience,
    },
    /// A status from something in front of the tenant: the body is not the API's.
    #[error("{call}: HTTP {status}, but not from the tenant's API")]
    Blocked {
        /// The call.
        call: String,
        /// The status.
        status: u16,
        /// Its own words.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// For how long it is held for an accident.
        patience: Patience,
    },
    /// A single object above the bound.
    #[error("{call}: the answer is larger than `limits.element_size` ({limit} bytes)")]
    TooLarge {
        /// The call.
        call: String,
        /// The bound, in bytes.
        limit: usize,
    },
    /// Any other status.
    #[error("{call}: HTTP {status}")]
    Status {
        /// The call.
        call: String,
        /// The status.
        status: u16,
        /// The server's own words.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// A redirect. It is not followed, since it would carry the token elsewhere.
    #[error("{call}: HTTP {status} points to {location}")]
    Redirected {
        /// The call.
        call: String,
        /// The status.
        status: u16,
        /// Where to, without its query.
        location: String,
        /// Whether the tenant has answered before: a gateway under maintenance redirects for a while.
        patience: Patience,
    },
    /// 401 or 403 from the API itself, after the tenant had time to learn of the token.
    #[error("{call}: the tenant denies it (HTTP {status}); it needs the scope `{scope}`")]
    Denied {
        /// The call.
        call: String,
        /// The scope that it needs.
        scope: &'static str,
        /// The status.
        status: u16,
        /// The server's own words.
        message: String,
    },
    /// 400 to a request that carries a cursor.
    #[error("{call}: the tenant refuses the cursor")]
    CursorRefused {
        /// The call.
        call: String,
        /// The server's own words.
        message: String,
    },
    /// 404.
    #[error("{call}: the tenant has no such resource")]
    Absent {
        /// The call.
        call: String,
        /// The server's own words.
        message: String,
    },
    /// The token endpoint refuses the request for good.
    #[error("the tenant {asked} ({error}, HTTP {status})")]
    Refused {
        /// The request.
        asked: Asked,
        /// The status.
        status: u16,
        /// OAuth's word.
        error: String,
        /// The vendor's own words.
        description: String,
    },
    /// The token endpoint answers without a usable token.
    #[error("the tenant's answer is no usable token")]
    Token {
        /// What is wrong with it; never the token.
        why: String,
    },
    /// The state of the token could not be read or stored.
    #[error(transparent)]
    Store(Fault),
    /// The retry budget is used up.
    #[error("{last}")]
    GaveUp {
        /// The number of attempts.
        tries: u32,
        /// The time since the first fault.
        spent: Duration,
        /// The last fault.
        last: Box<ClientError>,
    },
}

impl ClientError {
    /// An answer of the token endpoint that is no usable token.
    pub(super) fn unusable(why: &str) -> Self {
        Self::Token { why: why.to_owned() }
    }

    /// The cause, if the message does not contain it.
    pub fn why(&self) -> Option<String> {
        let words = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        match self {
            Self::Status { message, .. }
            | Self::Blocked { message, .. }
            | Self::Denied { message, .. }
            | Self::CursorRefused { message, .. }
            | Self::Absent { message, .. } => words(message),
            Self::Refused { description, .. } => words(description),
            Self::Garbled { why, .. }
            | Self::Foreign { why, .. }
            | Self::Slow { why, .. }
            | Self::Compressed { why, .. }
            | Self::Excessive { why, .. }
            | Self::Token { why } => words(why),
            Self::Authorization(error) => error.why(),
            Self::Store(fault) => fault.why.clone(),
            Self::GaveUp { tries, spent, last } => {
                let spent = humantime::format_duration(Duration::from_secs(spent.as_secs()));
                let gave_up = format!("gave up after {tries} tries in {spent}");
                Some(
                    last.why()
                        .map_or(gave_up.clone(), |why| format!("{why}; {gave_up}")),
                )
            }
            Self::Settings(error) => error.source().map(chain),
            Self::Unreachable { failure, .. } | Self::Certificate { failure, .. } => {
                failure.detail().map(str::to_owned)
            }
            other => other.source().map(chain),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { failure, .. } if failure.is_of_settings() => Kind::Settings,
            Self::Settings(_)
            | Self::Key { .. }
            | Self::Insecure { .. }
            | Self::Redirected {
                patience: Patience::Over,
                ..
            } => Kind::Settings,
            Self::Authorization(error) => error.kind(),
            Self::Denied { scope, .. } => Kind::Denied {
                scope: (*scope).to_owned(),
            },
            Self::CursorRefused { .. } => Kind::CursorRefused,
            Self::Absent { .. } => Kind::Absent,
            Self::Store(fault) => fault.kind.clone(),
            Self::GaveUp { last, .. } => last.kind(),
            other if other.is_transient() => Kind::Transient,
            _ => Kind::Final,
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

impl From<SettingsError> for ClientError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(Arc::new(error))
    }
}

impl From<RouteError> for ClientError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Settings(error) => error.into(),
            other => Self::Setup {
                source: Arc::new(other),
            },
        }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let mut fault = Self::new(error.kind(), error.to_string());
        if let ClientError::Store(inner) = error {
            return inner;
        }
        fault.why = error.why();
        fault.hint = error.hint();
        fault
    }
}
