//! The token requests of each grant, and the meaning of the answers. Retries are decided elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::blueconic::answer;
use crate::blueconic::auth::advice::Asked;
use crate::blueconic::auth::claim::RefreshClaim;
use crate::blueconic::auth::endpoint::{Answer, Endpoint, Fields, plain};
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::status::Patience;
use crate::blueconic::tenant_clock::TenantClock;
use crate::config::settings::Access;
use crate::model::Time;

/// The longest plausible life, in seconds (a year); a larger number has another unit.
const LONGEST_LIFE: f64 = 365.0 * 24.0 * 3600.0;
/// The assumed life of a token whose answer has no `expires_in`, which is optional (RFC 6749, 5.1). It is short: a
/// token that is used for too long costs a refused request.
const ASSUMED_LIFE: Duration = Duration::from_mins(5);

/// A request for tokens.
pub(super) enum TokenRequest {
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

impl TokenRequest {
    pub(super) const fn asked(&self) -> Asked {
        match self {
            Self::ClientCredentials => Asked::ClientCredentials,
            Self::Code { .. } => Asked::Code,
            Self::Refresh(_) => Asked::Refresh,
        }
    }
}

/// The granted tokens. A refresh token is kept even if the access token is unusable.
pub(super) struct Granted {
    pub(super) access: Result<AccessToken, ClientError>,
    pub(super) refresh: Option<Zeroizing<String>>,
}

/// An access token of an answer.
pub(super) struct AccessToken {
    pub(super) token: Zeroizing<String>,
    /// From the moment of the answer.
    pub(super) life: Duration,
    /// Whether the life is assumed, since the answer did not state it.
    is_assumed: bool,
}

/// The token endpoint, for one application.
pub(in crate::blueconic) struct Grant {
    endpoint: Endpoint,
    url: Url,
    /// The scopes, joined by blanks; empty: all scopes of the application.
    scopes: String,
    /// The warning about an assumed lifetime is logged once.
    has_warned: AtomicBool,
}

impl Grant {
    pub(in crate::blueconic) fn new(
        http: &Http,
        url: Url,
        access: Access,
        tenant_clock: TenantClock,
    ) -> Self {
        Self {
            scopes: access.scopes.join(" "),
            endpoint: Endpoint::new(http, access, tenant_clock),
            url,
            has_warned: AtomicBool::new(false),
        }
    }

    /// Requests tokens, unless the claim lapses before the request is sent.
    pub(super) async fn ask(
        &self,
        request: &TokenRequest,
        claim: Option<&RefreshClaim>,
        wall: Time,
    ) -> Result<Granted, ClientError> {
        let mut plain = Vec::new();
        let mut secret = Vec::new();
        match request {
            TokenRequest::ClientCredentials => {
                plain.push(("grant_type", "client_credentials"));
                if !self.scopes.is_empty() {
                    plain.push(("scope", &self.scopes));
                }
            }
            TokenRequest::Code {
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
            // Without `scope`, the next tokens have the scopes of the first ones.
            TokenRequest::Refresh(token) => {
                plain.push(("grant_type", "refresh_token"));
                secret.push(("refresh_token", token.as_str()));
            }
        }
        let fields = Fields {
            plain: &plain,
            secret: &secret,
        };
        let asked = request.asked();
        let answer = self.endpoint.post(&self.url, asked, &fields, claim, wall).await?;
        let granted = parse(&answer, self.endpoint.patience(), |text| {
            self.endpoint.shown(text, 120, &fields)
        })?;
        if granted.refresh.is_none()
            && granted.access.is_err()
            && let Some(named) = self
                .endpoint
                .named(answer.status, &answer.body, None, asked, &fields)
        {
            return Err(named);
        }
        self.endpoint.prove();
        if granted.access.as_ref().is_ok_and(|access| access.is_assumed)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the tenant does not say how long its token lives (`expires_in`): five minutes are assumed, and it is asked \
                 for a new one as often"
            );
        }
        Ok(granted)
    }
}

/// Reads a success. An error means that the answer has no usable token.
fn parse(
    answer: &Answer,
    patience: Patience,
    shown: impl Fn(&str) -> String,
) -> Result<Granted, ClientError> {
    #[derive(Deserialize)]
    struct Body {
        access_token: Option<String>,
        refresh_token: Option<String>,
        token_type: Option<Value>,
        expires_in: Option<Value>,
    }
    let foreign = |why: String| ClientError::Foreign {
        call: Asked::ClientCredentials.call().to_owned(),
        why,
        patience,
    };
    let bytes = plain(&answer.body);
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
        access: access(given, body.token_type.as_ref(), body.expires_in.as_ref(), shown),
        refresh,
    })
}

fn access(
    token: Option<Zeroizing<String>>,
    kind: Option<&Value>,
    expires_in: Option<&Value>,
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
    // RFC 6749 wants a type, whose case does not matter; some servers leave it out, or say `BearerToken`.
    if let Some(kind) = kind
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
        && !kind.to_ascii_lowercase().starts_with("bearer")
    {
        let kind = answer::clean(&shown(kind), 40);
        return Err(unusable(&format!("its `token_type` is `{kind}`, not `Bearer`")));
    }
    let life = life(expires_in);
    Ok(AccessToken {
        token,
        life: life.unwrap_or(ASSUMED_LIFE),
        is_assumed: life.is_none(),
    })
}

/// `expires_in` as a number or a text (`3600`, `3600.0`, `"3600"`), believed from a second to a year.
fn life(given: Option<&Value>) -> Option<Duration> {
    let seconds: f64 = match given? {
        Value::String(text) => text.trim().parse().ok()?,
        number => number.as_f64()?,
    };
    (1.0..=LONGEST_LIFE)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str) -> String {
        let answer = Answer {
            body: Zeroizing::new(body.as_bytes().to_vec()),
            content_type: "text/html".to_owned(),
            status: 200,
        };
        let granted = parse(&answer, Patience::Few, |text| {
            text.replace("s3cret", "[redacted]")
        });
        match granted.and_then(|granted| granted.access) {
            Ok(access) => format!("{} {:?}", *access.token, access.life),
            Err(error) => format!("{error}: {}", error.why().unwrap_or_default()),
        }
    }

    #[test]
    fn a_refresh_token_is_kept_also_beside_a_token_that_cannot_be_used() {
        let answer = Answer {
            body: Zeroizing::new(br#"{"access_token":"a","refresh_token":"r","token_type":"mac"}"#.to_vec()),
            content_type: "application/json".to_owned(),
            status: 200,
        };
        let granted = parse(&answer, Patience::Few, str::to_owned);
        let granted = granted
            .ok()
            .map(|granted| (granted.access.is_err(), granted.refresh));
        assert_eq!(granted, Some((true, Some(Zeroizing::new("r".to_owned())))));
    }

    #[test]
    fn a_token_is_taken_with_its_own_life() {
        for (given, life) in [
            ("1799", "1799s"),
            ("\"60\"", "60s"),
            ("3600.0", "3600s"),
            ("\" 3600.0\\n\"", "3600s"),
            ("3.6e3", "3600s"),
            ("1", "1s"),
            ("31536000", "31536000s"),
        ] {
            let body =
                format!(r#"{{"access_token":"abc","token_type":"bearer","expires_in":{given},"scope":"x"}}"#);
            assert_eq!(outcome(&body), format!("abc {life}"), "{given}");
        }
    }

    #[test]
    fn a_life_that_is_not_reported_or_no_life_is_taken_as_five_minutes() {
        for given in [
            "null",
            "0",
            "-5",
            "0.5",
            "1e99",
            "3600000000",
            "\"soon\"",
            "\"\"",
            "\"NaN\"",
            "\"inf\"",
            "true",
            "{}",
            "[60]",
        ] {
            let body = format!(r#"{{"access_token":"abc","token_type":"Bearer","expires_in":{given}}}"#);
            assert_eq!(outcome(&body), "abc 300s", "{given}");
        }
        assert_eq!(outcome(r#"{"access_token":"abc"}"#), "abc 300s");
    }

    #[test]
    fn the_type_may_be_missing_or_written_in_any_way_that_means_bearer() {
        for kind in [
            r#""bearer""#,
            r#""BEARER""#,
            r#"" Bearer ""#,
            r#""BearerToken""#,
            r#""""#,
            "null",
            "1",
        ] {
            let body = format!(r#"{{"access_token":"abc","token_type":{kind},"expires_in":60}}"#);
            assert_eq!(outcome(&body), "abc 60s", "{kind}");
        }
        assert_eq!(
            outcome("\u{feff} {\"access_token\":\"abc\",\"expires_in\":60}\r\n"),
            "abc 60s"
        );
    }

    #[test]
    fn every_answer_that_is_no_token_says_what_is_wrong() {
        let cases = [
            ("", "the answer is empty"),
            ("<html>s3cret login</html>", "not JSON: <html>[redacted] login"),
            (r#"{"token_type":"Bearer","expires_in":60}"#, "no `access_token`"),
            (
                r#"{"access_token":"abc","token_type":"mac","expires_in":60}"#,
                "`mac`, not `Bearer`",
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
