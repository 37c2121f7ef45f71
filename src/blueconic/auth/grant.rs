//! Asks the token endpoint, once: the form that is sent, and what each of its answers means. Whether to ask again is
//! decided elsewhere.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use crate::blueconic::answer;
use crate::blueconic::error::ClientError;
use crate::config::settings::Access;
use crate::model::Time;

/// How a call of the token endpoint is named in messages.
pub(in crate::blueconic) const CALL: &str = "POST /oauth/token";
/// A token request takes no longer: the claim on it is held a little longer than that.
pub(in crate::blueconic) const LONGEST_REQUEST: Duration = Duration::from_secs(30);
/// A life above this (a year) is a misunderstanding of units.
const LONGEST_LIFE: u64 = 365 * 24 * 3600;
/// An answer above this is no token, in bytes.
const LARGEST_ANSWER: usize = 256 * 1024;

/// A token as it was given.
pub(in crate::blueconic) struct Granted {
    pub(in crate::blueconic) token: Zeroizing<String>,
    /// From the moment of the answer.
    pub(in crate::blueconic) life: Duration,
}

/// The client-credentials grant of one application.
pub(in crate::blueconic) struct Grant {
    http: reqwest::Client,
    url: Url,
    access: Access,
}

impl Grant {
    pub(in crate::blueconic) fn new(http: reqwest::Client, url: Url, access: Access) -> Self {
        Self { http, url, access }
    }

    /// Asks for a token.
    pub(in crate::blueconic) async fn ask(&self, wall: Time) -> Result<Granted, ClientError> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.access.client_id)
            .append_pair("client_secret", self.access.client_secret.expose())
            .finish();
        let sending = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .timeout(LONGEST_REQUEST)
            .body(form);
        let response = sending
            .send()
            .await
            .map_err(|error| ClientError::transport(CALL, error))?;
        self.read(response, wall).await
    }

    async fn read(&self, response: Response, wall: Time) -> Result<Granted, ClientError> {
        let status = response.status();
        if status.is_redirection() {
            return Err(answer::redirected(&response, CALL.to_owned()));
        }
        let retry_after = answer::retry_after(&response, wall);
        let content_type = answer::content_type(&response);
        if status == StatusCode::OK {
            let body = bounded(response).await?;
            return parse(&body, &content_type, self.access.client_secret.expose());
        }
        let body = answer::read_some(response).await;
        Err(self.refusal(status, &body, retry_after))
    }

    /// RFC 6749, section 5.2; other shapes are shown as they are.
    fn refusal(&self, status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> ClientError {
        #[derive(Deserialize)]
        struct OAuthError {
            error: String,
            error_description: Option<String>,
        }
        let shown =
            |text: &str| answer::redact(&answer::clean(text, 300), self.access.client_secret.expose());
        let passing = matches!(status.as_u16(), 408 | 429) || status.is_server_error();
        let oauth = serde_json::from_slice::<OAuthError>(body).ok();
        // `temporarily_unavailable` and the like come as 400 from some servers.
        let passing = passing
            || oauth
                .as_ref()
                .is_some_and(|oauth| matches!(&*oauth.error, "temporarily_unavailable" | "server_error"));
        if passing {
            return ClientError::Status {
                call: CALL.to_owned(),
                status: if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
                    status.as_u16()
                } else {
                    503
                },
                message: shown(&answer::words(body)),
                retry_after,
            };
        }
        match oauth {
            Some(oauth) => ClientError::Refused {
                status: status.as_u16(),
                error: shown(&oauth.error),
                description: oauth.error_description.as_deref().map(shown).unwrap_or_default(),
            },
            None if matches!(status.as_u16(), 400 | 401 | 403) => ClientError::Refused {
                status: status.as_u16(),
                error: "no reason given".to_owned(),
                description: shown(&answer::words(body)),
            },
            None => ClientError::Status {
                call: CALL.to_owned(),
                status: status.as_u16(),
                message: shown(&answer::words(body)),
                retry_after,
            },
        }
    }
}

async fn bounded(mut response: Response) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let mut body = Zeroizing::new(Vec::with_capacity(8 * 1024));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ClientError::transport(CALL, error))?
    {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(unusable("it is larger than any token"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unusable(why: &str) -> ClientError {
    ClientError::Token { why: why.to_owned() }
}

fn parse(body: &[u8], content_type: &str, secret: &str) -> Result<Granted, ClientError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Option<String>,
        token_type: Option<String>,
        expires_in: Option<serde_json::Value>,
    }
    let foreign = |why: String| ClientError::Foreign {
        call: CALL.to_owned(),
        why,
        settled: false,
    };
    if body.trim_ascii().is_empty() {
        return Err(foreign("the answer is empty".to_owned()));
    }
    // Only what cannot be a token is shown: a JSON answer of another shape might hold one.
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        if body.trim_ascii_start().starts_with(b"{") {
            return unusable(&format!(
                "it does not read as a token ({:?} error)",
                error.classify()
            ));
        }
        let start = answer::redact(&answer::clean(&String::from_utf8_lossy(body), 120), secret);
        foreign(format!("the answer ({content_type}) is not JSON: {start}"))
    })?;
    let token = answer
        .access_token
        .map(Zeroizing::new)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| unusable("it has no `access_token`"))?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(
            "its `access_token` holds characters that no header can carry",
        ));
    }
    match answer.token_type {
        Some(kind) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(kind) => {
            let kind = answer::clean(&kind, 40);
            return Err(unusable(&format!("its `token_type` is `{kind}`, not `Bearer`")));
        }
        None => return Err(unusable("it has no `token_type`")),
    }
    Ok(Granted {
        token,
        life: life(answer.expires_in.as_ref())?,
    })
}

/// `expires_in` as it is, believed within reason; 3600 is never assumed.
fn life(given: Option<&serde_json::Value>) -> Result<Duration, ClientError> {
    let seconds = match given {
        None | Some(serde_json::Value::Null) => return Err(unusable("it has no `expires_in`")),
        Some(serde_json::Value::String(text)) => text.trim().parse().ok(),
        Some(number) => number.as_u64(),
    };
    match seconds {
        Some(seconds @ 1..=LONGEST_LIFE) => Ok(Duration::from_secs(seconds)),
        _ => Err(unusable(
            "its `expires_in` is no number of seconds between 1 and a year",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str) -> String {
        match parse(body.as_bytes(), "text/html", "s3cret") {
            Ok(granted) => format!("{} {:?}", *granted.token, granted.life),
            Err(error) => format!("{error}: {}", error.why().unwrap_or_default()),
        }
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
