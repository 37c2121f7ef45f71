//! Reads the tenant's own description of its API: `GET /openapi.json`, which needs no token. One attempt, of bounded size; the
//! caller decides when to try again. The meaning of the document is not known here.

use std::sync::Arc;

use bytes::BytesMut;
use reqwest::header::ACCEPT;
use serde_json::Value;

use crate::blueconic::address::{self, Address};
use crate::blueconic::answer;
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::incoming::Incoming;
use crate::blueconic::status::{Patience, StatusClass};
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::Request;
use crate::model::ports::Clock;

/// The path below the API.
const PATH: &str = "/openapi.json";
/// The largest document that is read, in bytes: eight times today's. As a tree in memory it takes some times more.
const LARGEST: usize = 4 * 1024 * 1024;
/// How much of a foreign answer a message shows, in characters.
const SHOWN: usize = 120;

/// Reads the document.
///
/// # Errors
/// [`Kind::Absent`] if the tenant has no such document, a transient fault if it cannot be reached, and a final one if something
/// else answers: a web page, or a body that is no JSON or too large.
pub async fn read(settings: &Settings, clock: &Arc<dyn Clock>) -> Outcome<Value> {
    let tenant = &settings.tenant;
    let address = Address::new(tenant)?;
    let http = Http::new(tenant, &settings.network, &address)?;
    let request = Request {
        path: PATH.to_owned(),
        query: Vec::new(),
        // Like that of a listing, the path may stand in messages: it holds no id.
        arrays: &["paths"],
        scope: "",
    };
    let read = fetch(&http, &address, &request, clock).await;
    read.map_err(|error| fault(error, &request))
}

async fn fetch(
    http: &Http,
    address: &Address,
    request: &Request,
    clock: &Arc<dyn Clock>,
) -> Result<Value, ClientError> {
    let call = address::call(request);
    let sending = http.get(address.of(request)?).header(ACCEPT, "application/json");
    let response = match sending.send().await {
        Ok(response) => response,
        Err(error) => return Err(http.unanswered(&call, error).await),
    };
    if StatusClass::of(response.status().as_u16()) != StatusClass::Content {
        return Err(answer::refusal(response, http, request, "", clock.now()).await);
    }
    parse(http.incoming(response), &call).await
}

async fn parse(mut body: Incoming, call: &str) -> Result<Value, ClientError> {
    let content_type = answer::content_type(body.response());
    let mut text = BytesMut::new();
    while let Some(chunk) = body.chunk(call).await? {
        if text.len() + chunk.len() > LARGEST {
            return Err(foreign(
                call,
                format!("the answer is larger than {} MiB", LARGEST / 1024 / 1024),
            ));
        }
        text.extend_from_slice(&chunk);
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|error| {
        let shown = answer::clean(
            &String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN)]),
            SHOWN,
        );
        foreign(
            call,
            format!("the answer ({content_type}) is no JSON ({error}): {shown}"),
        )
    })
}

fn foreign(call: &str, why: String) -> ClientError {
    ClientError::Foreign {
        call: call.to_owned(),
        why,
        patience: Patience::Over,
    }
}

/// No scope is missing where the document is denied, and no page is too large.
fn fault(error: ClientError, request: &Request) -> Fault {
    let call = address::call(request);
    match &error {
        ClientError::Denied { status, .. } => Fault::new(
            Kind::Final,
            format!("{call}: the tenant denies it (HTTP {status}), although its document needs no token"),
        )
        .hint("ask BlueConic's support whether the tenant serves its document; everything else works without it"),
        ClientError::Absent { .. } => Fault::new(Kind::Absent, format!("{call}: the tenant has no such document"))
            .hint("nothing: everything else works without it; `tenant.api_path` may be wrong if that does not"),
        ClientError::Foreign { .. } | ClientError::Blocked { .. } => {
            let fault = Fault::from(error);
            Fault {
                kind: Kind::Final,
                ..fault
            }
        }
        _ => error.into(),
    }
}
