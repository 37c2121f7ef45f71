//! What is asked of the token endpoint by each grant, and what its answer means. Whether to ask again is decided elsewhere.

use std::time::Duration;

use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::blueconic::answer;
use crate::blueconic::auth::advice::Asked;
use crate::blueconic::auth::endpoint::{Answer, Endpoint, Fields};
use crate::blueconic::auth::turn::Turn;
use crate::blueconic::error::ClientError;
use crate::blueconic::tenant_clock::TenantClock;
use crate::config::settings::Access;
use crate::model::Time;

/// A life above this (a year) is a misunderstanding of units.
const LONGEST_LIFE: u64 = 365 * 24 * 3600;

/// What is asked for.
pub(super) enum Wish {
    /// A token for the application itself.
    ClientCredentials,
    /// The first tokens of a consent.
    Code {
        code: Zeroizing<String>,
        verifier: Zeroizing<String>,
        redirect_url: String,
    },
    /// The next tokens of an authorization.
    Refresh(Zeroizing<String>),
}

impl Wish {
    pub(super) const fn asked(&self) -> Asked {
        match self {
            Self::ClientCredentials => Asked::ClientCredentials,
            Self::Code { .. } => Asked::Code,
            Self::Refresh(_) => Asked::Refresh,
        }
    }
}

/// What came. The two are apart: a refresh token that came must be kept also where the access token cannot be used.
pub(super) struct Granted {
    pub(super) access: Result<AccessToken, ClientError>,
    pub(super) refresh: Option<Zeroizing<String>>,
}

/// An access token as it was given.
pub(super) struct AccessToken {
    pub(super) token: Zeroizing<String>,
    /// From the moment of the answer.
    pub(super) life: Duration,
}

/// The token endpoint, for one application.
pub(in crate::blueconic) struct Grant {
    endpoint: Endpoint,
    url: Url,
    /// Joined by blanks; empty: all that the application has.
    scopes: String,
}

impl Grant {
    pub(in crate::blueconic) fn new(
        http: reqwest::Client,
        url: Url,
        access: Access,
        tenant_clock: TenantClock,
    ) -> Self {
        Self {
            scopes: access.scopes.join(" "),
            endpoint: Endpoint::new(http, access, tenant_clock),
            url,
        }
    }

    /// Asks, unless the turn lapses before the request leaves.
    pub(super) async fn ask(
        &self,
        wish: &Wish,
        turn: Option<&Turn>,
        wall: Time,
    ) -> Result<Granted, ClientError> {
        let mut plain = Vec::new();
        let mut secret = Vec::new();
        match wish {
            Wish::ClientCredentials => {
                plain.push(("grant_type", "client_credentials"));
                if !self.scopes.is_empty() {
                    plain.push(("scope", &self.scopes));
                }
            }
            Wish::Code {
                code,
                verifier,
                redirect_url,
            } => {
                plain.extend([
                    ("grant_type", "authorization_code"),
                    ("redirect_uri", redirect_url),
                ]);
                secret.extend([("code", code.as_str()), ("code_verifier", verifier.as_str())]);
            }
            // Without `scope` the next tokens are for what the first were for.
            Wish::Refresh(token) => {
                plain.push(("grant_type", "refresh_token"));
                secret.push(("refresh_token", token.as_str()));
            }
        }
        let fields = Fields {
            plain: &plain,
            secret: &secret,
        };
        let asked = wish.asked();
        let answer = self.endpoint.post(&self.url, asked, &fields, turn, wall).await?;
        parse(&answer, |text| self.endpoint.shown(text, 120, &fields))
    }
}

/// Reads a 200. An error: nothing in it is worth keeping.
fn parse(answer: &Answer, shown: impl Fn(&str) -> String) -> Result<Granted, ClientError> {
    #[derive(Deserialize)]
    struct Body {
        access_token: Option<String>,
        refresh_token: Option<String>,
        token_type: Option<String>,
        expires_in: Option<serde_json::Value>,
    }
    let foreign = |why: String| ClientError::Foreign {
        call: Asked::ClientCredentials.call().to_owned(),
        why,
        settled: false,
    };
    let bytes = &answer.body;
    if bytes.trim_ascii().is_empty() {
        return Err(foreign("the answer is empty".to_owned()));
    }
    // Only what cannot be a token is shown: a JSON answer of another shape might hold one.
    let body: Body = serde_json::from_slice(bytes).map_err(|error| {
        if bytes.trim_ascii_start().starts_with(b"{") {
            return ClientError::unusable(&format!(
                "it does not read as a token ({:?} error)",
                error.classify()
            ));
        }
        let start = shown(&String::from_utf8_lossy(bytes));
        foreign(format!(
            "the answer ({}) is not JSON: {start}",
            answer.content_type
        ))
    })?;
    let (given, refresh) = (body.access_token.map(Zeroizing::new), body.refresh_token);
    let refresh = refresh.map(Zeroizing::new).filter(|token| !token.is_empty());
    Ok(Granted {
        access: access(given, body.token_type.as_deref(), body.expires_in.as_ref(), shown),
        refresh,
    })
}

fn access(
    token: Option<Zeroizing<String>>,
    kind: Option<&str>,
    expires_in: Option<&serde_json::Value>,
    shown: impl Fn(&str) -> String,
) -> Result<AccessToken, ClientError> {
    let unusable = ClientError::unusable;
    let token = token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| unusable("it has no `access_token`"))?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(
            "its `access_token` holds characters that no header can carry",
        ));
    }
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(kind) => {
            let kind = answer::clean(&shown(kind), 40);
            return Err(unusable(&format!("its `token_type` is `{kind}`, not `Bearer`")));
        }
        None => return Err(unusable("it has no `token_type`")),
    }
    Ok(AccessToken {
        token,
        life: life(expires_in)?,
    })
}

/// `expires_in` as it is, believed within reason; 3600 is never assumed.
fn life(given: Option<&serde_json::Value>) -> Result<Duration, ClientError> {
    let seconds = match given {
        None | Some(serde_json::Value::Null) => {
            return Err(ClientError::unusable("it has no `expires_in`"));
        }
        Some(serde_json::Value::String(text)) => text.trim().parse().ok(),
        Some(number) => number.as_u64(),
    };
    match seconds {
        Some(seconds @ 1..=LONGEST_LIFE) => Ok(Duration::from_secs(seconds)),
        _ => Err(ClientError::unusable(
            "its `expires_in` is no number of seconds between 1 and a year",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str) -> String {
        let answer = Answer {
            body: Zeroizing::new(body.as_bytes().to_vec()),
            content_type: "text/html".to_owned(),
        };
        let granted = parse(&answer, |text| text.replace("s3cret", "[redacted]"));
        match granted.and_then(|granted| granted.access) {
            Ok(access) => format!("{} {:?}", *access.token, access.life),
            Err(error) => format!("{error}: {}", error.why().unwrap_or_default()),
        }
    }

    #[test]
    fn a_refresh_token_is_kept_also_beside_a_token_that_cannot_be_used() {
        let answer = Answer {
            body: Zeroizing::new(
                br#"{"access_token":"a","refresh_token":"r","token_type":"Bearer"}"#.to_vec(),
            ),
            content_type: "application/json".to_owned(),
        };
        let granted = parse(&answer, str::to_owned);
        let granted = granted
            .ok()
            .map(|granted| (granted.access.is_err(), granted.refresh));
        assert_eq!(granted, Some((true, Some(Zeroizing::new("r".to_owned())))));
    }

    #[test]
    fn a_token_is_taken_with_its_own_life() {
        let body = r#"{"access_token":"abc","token_type":"bearer","expires_in":1799,"scope":"x"}"#;
        assert_eq!(outcome(body), "abc 1799s");
        let body = r#"{"access_token":"abc","token_type":"Bearer","expires_in":"60"}"#;
        assert_eq!(outcome(body), "abc 60s");
    }

    #[test]
    fn every_answer_that_is_no_token_says_what_is_wrong() {
        let cases = [
            ("", "the answer is empty"),
            ("<html>s3cret login</html>", "not JSON: <html>[redacted] login"),
            (r#"{"token_type":"Bearer","expires_in":60}"#, "no `access_token`"),
            (r#"{"access_token":"abc","expires_in":60}"#, "no `token_type`"),
            (
                r#"{"access_token":"abc","token_type":"mac","expires_in":60}"#,
                "`mac`, not `Bearer`",
            ),
            (
                r#"{"access_token":"abc","token_type":"Bearer"}"#,
                "no `expires_in`",
            ),
            (
                r#"{"access_token":"abc","token_type":"Bearer","expires_in":0}"#,
                "between 1 and a year",
            ),
            (
                r#"{"access_token":"abc","token_type":"Bearer","expires_in":-5}"#,
                "between 1 and a year",
            ),
            (
                r#"{"access_token":"abc","token_type":"Bearer","expires_in":1e99}"#,
                "between 1 and a year",
            ),
            (
                r#"{"access_token":"a\nc","token_type":"Bearer","expires_in":60}"#,
                "no header can carry",
            ),
            (r#"{"access_token":7}"#, "does not read as a token"),
        ];
        for (body, wrong) in cases {
            let outcome = outcome(body);
            assert!(outcome.contains(wrong), "{body}: {outcome}");
            assert!(!outcome.contains("abc"), "{outcome}");
        }
    }
}
