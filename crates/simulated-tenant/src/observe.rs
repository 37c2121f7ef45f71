//! The layer around every request: logs and counts it, waits for the tenant's latency, applies the fault that
//! was ordered for it, and adds the date.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, HttpBody};
use axum::extract::{Extension, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;

use crate::bodies::{self, gzip, holding, with_fault};
use crate::faults::{Kind, RetryAfter, Route};
use crate::inconsistent::inconsistent;
use crate::query::Query;
use crate::requests;
use crate::settings::{AbsentBody, DateHeader};
use crate::state::State;

/// The connection of a request.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Cancelled: the connection is reset at once.
    pub(crate) reset: CancellationToken,
}

/// The layer around all routes.
pub(crate) async fn observe(
    Shared(state): Shared<Arc<State>>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = Route::of(request.uri().path(), &state.settings.api_path);
    let under_way = state.requests.begin(entry(&state, route, &request));
    let fault = state.faults.draw(route, Query::of(request.uri()).one("cursor"));
    let from_cache = matches!(fault, Some((Kind::Stale, _)));
    *request.uri_mut() = state.requests.answering(route, request.uri(), from_cache);
    // Even a sleep of zero costs a tick of the timer.
    if !state.settings.latency.is_zero() {
        tokio::time::sleep(state.settings.latency).await;
    }
    let compress =
        state.settings.compress && accepts_gzip(request.headers()) && request.method() == Method::GET;
    let busy = state
        .settings
        .busy
        .filter(|busy| state.requests.under_way() > busy.at_once);
    let mut response = match (&fault, busy) {
        (Some((kind, turn)), _) => faulty(&state, &connection, kind, *turn, request, next).await,
        (None, Some(busy)) => refusal(&state, busy.status, busy.retry_after, 1),
        (None, None) => next.run(request).await,
    };
    if response.status() == StatusCode::NOT_FOUND && fault.is_none() {
        response = absent(state.settings.absent_body, response);
    }
    under_way.answered(response.status().as_u16());
    stamp(
        &state,
        response.headers_mut(),
        fault.as_ref().map(|(kind, _)| kind),
    );
    let (mut parts, body) = response.into_parts();
    let length = HttpBody::size_hint(&body).exact();
    let mut pieces = bodies::pieces(body);
    if compress {
        parts.headers.remove(header::CONTENT_LENGTH);
        parts
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        pieces = gzip(pieces);
    } else if let Some(length) = length {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if let Some((kind, _)) = &fault {
        if matches!(kind, Kind::EndAfter(_)) {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        pieces = with_fault(pieces, kind);
    }
    Response::from_parts(parts, Body::from_stream(holding(pieces, under_way)))
}

fn entry(state: &State, route: Route, request: &Request) -> requests::Request {
    requests::Request {
        route,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        at: state.clock.now(),
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("gzip"))
}

/// The faults before the body.
async fn faulty(
    state: &State,
    connection: &Connection,
    kind: &Kind,
    turn: u64,
    request: Request,
    next: Next,
) -> Response {
    match kind {
        Kind::Status { status, retry_after } => refusal(state, *status, *retry_after, turn),
        Kind::Html => html(StatusCode::OK),
        Kind::Foreign {
            status,
            content_type,
            body,
        } => foreign(*status, content_type, body),
        Kind::Inconsistent(inconsistency) => inconsistent(next.run(request).await, *inconsistency).await,
        Kind::Empty => StatusCode::OK.into_response(),
        Kind::TokensDie => {
            state.oauth.revoke_all();
            next.run(request).await
        }
        Kind::Delay(time) => {
            tokio::time::sleep(*time).await;
            next.run(request).await
        }
        Kind::Reset => {
            connection.reset.cancel();
            // The connection's task drops this future, which never ends.
            std::future::pending().await
        }
        Kind::CutAfter(_)
        | Kind::EndAfter(_)
        | Kind::Slow { .. }
        | Kind::Stall { .. }
        | Kind::Stale
        | Kind::Dated { .. } => next.run(request).await,
    }
}

fn refusal(state: &State, status: u16, retry_after: Option<RetryAfter>, turn: u64) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match turn % 3 {
        1 => {
            let kind = [(header::CONTENT_TYPE, "application/json;charset=UTF-8")];
            (
                status,
                kind,
                r#"{"code":0,"message":"Faulty as ordered","errors":[]}"#,
            )
                .into_response()
        }
        2 => html(status),
        _ => status.into_response(),
    };
    let value = retry_after.and_then(|retry_after| match retry_after {
        RetryAfter::Seconds(seconds) => Some(seconds.into()),
        RetryAfter::Date(ahead) => {
            let ahead = i64::try_from(ahead.as_secs()).unwrap_or(0);
            date(state.clock.now() / 1000 + ahead)
        }
    });
    if let Some(value) = value {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// A 404 with the body of the settings.
fn absent(body: AbsentBody, response: Response) -> Response {
    match body {
        AbsentBody::Json => response,
        AbsentBody::Empty => StatusCode::NOT_FOUND.into_response(),
        AbsentBody::Html => html(StatusCode::NOT_FOUND),
    }
}

fn foreign(status: u16, content_type: &'static str, body: &'static str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn html(status: StatusCode) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html")];
    (
        status,
        kind,
        "<html><head><title>Please wait</title></head><body><h1>Please wait</h1></body></html>",
    )
        .into_response()
}

fn stamp(state: &State, headers: &mut HeaderMap, fault: Option<&Kind>) {
    let mut off = match state.settings.date_header {
        DateHeader::True => 0,
        DateHeader::Off(seconds) => seconds,
        DateHeader::Absent => return,
    };
    if let Some(Kind::Dated { off: further, age }) = fault {
        off += further;
        headers.extend(age.map(|age| (header::AGE, age.into())));
    }
    if let Some(value) = date(state.clock.now() / 1000 + off) {
        headers.insert(header::DATE, value);
    }
}

/// An HTTP date from seconds since 1970.
fn date(seconds: i64) -> Option<HeaderValue> {
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?);
    HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
}
