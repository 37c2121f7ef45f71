//! Reads unexpected answers of a server: statuses, error bodies of any shape, and texts, which are cleaned before they
//! are shown.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};

use crate::blueconic::address;
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::incoming::Incoming;
use crate::blueconic::redaction::Redaction;
use crate::blueconic::retry;
use crate::blueconic::status::{Patience, StatusClass};
use crate::model::Time;
use crate::model::page::Request;
use crate::model::sanitize;

/// How much of an error body is read, in bytes.
const ERROR_BODY: usize = 16 * 1024;
/// How long reading an error body may take; only a message needs it.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);
/// The longest text of a server that is shown, in characters.
const SHOWN: usize = 300;

/// Cleans a foreign text for one line: deceptive characters and runs of whitespace become one space.
pub(super) fn clean(text: &str, longest: usize) -> String {
    let mut words = String::new();
    let mut shown = 0;
    for character in text.chars() {
        let blank = character.is_whitespace() || sanitize::is_deceptive(character);
        if blank && (words.is_empty() || words.ends_with(' ')) {
            continue;
        }
        if shown == longest {
            words.push('…');
            break;
        }
        words.push(if blank { ' ' } else { character });
        shown += 1;
    }
    words.truncate(words.trim_end().len());
    words
}

/// The media type of an answer, without its parameters.
pub(super) fn content_type(response: &Response) -> String {
    let header = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = header.and_then(|value| value.split(';').next()).unwrap_or("none");
    clean(&media.to_ascii_lowercase(), 80)
}

/// The error for a status without a usable body. `secret`: the token that the request carried.
pub(super) async fn refusal(
    response: Response,
    http: &Http,
    request: &Request,
    secret: &str,
    wall: Time,
) -> ClientError {
    let call = address::call(request);
    let status = response.status().as_u16();
    let meaning = StatusClass::of(status);
    let shown = |text: &str| {
        let text = Redaction::of([secret]).apply(text);
        clean(&address::without_id(request, &text), SHOWN)
    };
    // A sweep continues without the answer to one look-up.
    let is_waited_out = http.is_proven() && !request.arrays.is_empty();
    if meaning == StatusClass::Redirect {
        return redirected(&response, call, shown, is_waited_out);
    }
    let retry_after = retry_after(&response, wall);
    let signature = Signature::of(&response);
    let body = read_some(http.incoming(response), &call).await;
    // An unexpected success comes from something in front of the tenant; its body is no error message.
    let message = match meaning {
        StatusClass::Unexpected | StatusClass::Content => String::new(),
        _ => shown(&words(&body)),
    };
    let blocked = |message, patience| ClientError::Blocked {
        call: call.clone(),
        status,
        message,
        retry_after,
        patience,
    };
    let own = signature.allows(&body);
    let once = Patience::once(is_waited_out);
    let denied = if request.arrays.is_empty() {
        Patience::Few
    } else {
        Patience::Budget
    };
    match meaning {
        StatusClass::Denied if own.in_json => ClientError::Denied {
            call,
            scope: request.scope,
            status,
            message,
        },
        // A firewall that counts or inspects requests refuses for a while; the refusal may pass.
        StatusClass::Denied => blocked(message, denied),
        StatusClass::Absent if own.at_all => ClientError::Absent { call, message },
        StatusClass::Refused if carries_cursor(request) => ClientError::CursorRefused { call, message },
        // A request that a gateway calls malformed will be malformed the next time, too.
        StatusClass::Refused if !own.at_all => blocked(message, Patience::Few),
        StatusClass::Absent | StatusClass::Final if !own.at_all => blocked(message, once),
        StatusClass::Unexpected | StatusClass::Content => blocked(message, once),
        _ => ClientError::Status {
            call,
            status,
            message,
            retry_after,
        },
    }
}

/// Whether an answer may come from the API itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The answer has a JSON object, as the API's answers do.
    pub(super) in_json: bool,
    /// The answer has a JSON object or no body.
    pub(super) at_all: bool,
}

/// What the headers of an error show about its sender.
pub(super) struct Signature {
    is_anothers: bool,
}

impl Signature {
    /// The API answers with JSON or without a body. A page or a plain text (`default backend - 404`) comes from something in front
    /// of the API and says nothing about the requested resource. Some firewalls answer with JSON if a client accepts it; they are
    /// recognized by `application/problem+json`, or by their own headers.
    pub(super) fn of(response: &Response) -> Self {
        let media = content_type(response);
        let headers = response.headers();
        let marked = ["cf-mitigated", "x-amzn-waf-action", "x-sucuri-block", "x-iinfo"];
        Self {
            is_anothers: media.contains("html")
                || media.contains("problem+json")
                || marked.iter().any(|name| headers.contains_key(*name)),
        }
    }

    pub(super) fn allows(&self, body: &[u8]) -> Origin {
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        // A body that was too long to be read whole is judged by its beginning.
        let whole = body.len() < ERROR_BODY;
        let is_object = text.starts_with(b"{")
            && (!whole || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok());
        Origin {
            in_json: is_object && !self.is_anothers,
            at_all: (is_object || text.is_empty()) && !self.is_anothers,
        }
    }
}

/// The error for a redirect. `shown` cleans the address.
pub(super) fn redirected(
    response: &Response,
    call: String,
    shown: impl Fn(&str) -> String,
    proven: bool,
) -> ClientError {
    ClientError::Redirected {
        call,
        status: response.status().as_u16(),
        location: shown(&location(response)),
        patience: if proven { Patience::Budget } else { Patience::Over },
    }
}

/// The target of a redirect, without parts that may repeat a secret: the query, and a path with escapes.
fn location(response: &Response) -> String {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    location
        .and_then(|text| response.url().join(text).ok())
        .map_or_else(
            || "nowhere".to_owned(),
            |mut url| {
                url.set_query(None);
                url.set_fragment(None);
                let _ = url.set_username("");
                let _ = url.set_password(None);
                if url.path().contains('%') {
                    return format!("{}/…", url.origin().ascii_serialization());
                }
                url.into()
            },
        )
}

/// The wait that `Retry-After` asks for.
pub(super) fn retry_after(response: &Response, wall: Time) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry::parse_retry_after(header, wall)
}

fn carries_cursor(request: &Request) -> bool {
    request
        .query
        .iter()
        .any(|(key, value)| *key == "cursor" && value != "*")
}

/// Reads the beginning of an error body; a failure to read it is ignored.
pub(super) async fn read_some(mut incoming: Incoming, call: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = incoming.chunk(call).await {
            let room = ERROR_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ERROR_BODY {
                break;
            }
        }
    };
    // After a time-out, the bytes that were read are used.
    let _ = tokio::time::timeout(ERROR_BODY_TIME, reading).await;
    body
}

/// The text of an error body: the vendor's JSON, OAuth's JSON, a web page, or plain text. It is not shortened here,
/// since secrets have to be removed first.
pub(super) fn words(body: &[u8]) -> String {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body)
        && let Some(message) = message(&json)
    {
        return message;
    }
    if text.trim_start().starts_with('<') {
        return without_tags(&text);
    }
    text.into_owned()
}

fn message(json: &serde_json::Value) -> Option<String> {
    let named = [
        "error_description",
        "message",
        "detail",
        "title",
        "error",
        "errors",
    ];
    named.iter().find_map(|key| match json.get(key)? {
        serde_json::Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        serde_json::Value::Array(all) => all
            .first()
            .and_then(|first| first.as_str().map(str::to_owned).or_else(|| message(first))),
        object @ serde_json::Value::Object(_) => message(object),
        _ => None,
    })
}

/// The text of a web page, without its tags, styles and scripts.
fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        text.push(' ');
        let tag = &rest[open..];
        let close = ["script", "style"].iter().find_map(|name| {
            let starts = tag
                .get(1..=name.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(name));
            starts.then(|| tag.to_ascii_lowercase().find(&format!("</{name}")))?
        });
        let tag = &tag[close.unwrap_or(0)..];
        rest = tag.find('>').map_or("", |end| &tag[end + 1..]);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_of_every_shape_give_their_sentence() {
        let cases = [
            (r#"{"code":4,"message":"Too busy","errors":[]}"#, "Too busy"),
            (
                r#"{"error":"invalid_client","error_description":"Bad secret"}"#,
                "Bad secret",
            ),
            (
                r#"{"errors":[{"message":"first"},{"message":"second"}]}"#,
                "first",
            ),
            (
                "<html><style>p{}</style><body><h1>502\n Bad</h1> gateway</body>",
                "502 Bad gateway",
            ),
            ("plain \u{7} text\n", "plain text"),
            ("", ""),
        ];
        for (body, sentence) in cases {
            assert_eq!(clean(&words(body.as_bytes()), SHOWN), sentence);
        }
    }

    #[test]
    fn only_json_or_nothing_is_the_apis_own_word() {
        for (body, in_json, at_all) in [
            ("", false, true),
            (" \r\n", false, true),
            (r#"{"code":4}"#, true, true),
            ("\u{feff}{}", true, true),
            ("{{ .Message }}", false, false),
            ("default backend - 404", false, false),
            ("<html>", false, false),
            ("[]", false, false),
        ] {
            for is_anothers in [false, true] {
                let own = Signature { is_anothers }.allows(body.as_bytes());
                let expected = (in_json && !is_anothers, at_all && !is_anothers);
                assert_eq!((own.in_json, own.at_all), expected, "{body}");
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(clean("äöü äöü", 5), "äöü ä…");
        assert_eq!(clean("äöü", 3), "äöü");
    }
}
