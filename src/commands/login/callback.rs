//! The callback server: listens on the loopback address to which the browser is redirected, passes the query on, and
//! shows the result. The meaning of the query is not known here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::model::fault::{Fault, Outcome};
use crate::web::connections;

use super::page;

/// How long the last page may take to reach the browser.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// An answer to a sign-in.
pub(super) struct Callback {
    /// The query, or whatever was pasted. It holds a code: never shown.
    pub(super) query: String,
    reply: Option<oneshot::Sender<SignInResult>>,
}

/// The result of the sign-in, for the page.
pub(super) struct SignInResult(pub(super) Result<(), Fault>);

impl SignInResult {
    pub(super) fn of<T>(outcome: &Outcome<T>) -> Self {
        Self(outcome.as_ref().map(|_| ()).map_err(Clone::clone))
    }
}

impl Callback {
    pub(super) fn pasted(query: String) -> Self {
        Self { query, reply: None }
    }

    /// A browser that went away needs no page.
    pub(super) fn tell(self, answer: SignInResult) {
        if let Some(reply) = self.reply {
            let _gone = reply.send(answer);
        }
    }
}

/// A server that listens until it is closed.
pub(super) struct CallbackServer {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl CallbackServer {
    /// Listens on the redirect URL's address; `localhost` is 127.0.0.1. Listens on this machine only.
    pub(super) async fn open(url: &Url, callbacks: mpsc::Sender<Callback>) -> io::Result<Self> {
        let host = match url.host() {
            Some(Host::Ipv4(host)) => IpAddr::V4(host),
            Some(Host::Ipv6(host)) => IpAddr::V6(host),
            _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let listener =
            TcpListener::bind(SocketAddr::new(host, url.port_or_known_default().unwrap_or(80))).await?;
        let path: Arc<str> = url.path().into();
        let router = Router::new().fallback(callback).with_state((path, callbacks));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(connections::serve(listener, router, stopped));
        Ok(Self { stop, serving })
    }

    /// Closes after the last page was sent.
    pub(super) async fn close(self) {
        self.stop.cancel();
        // An open connection of the browser does not delay the end of the command.
        let _closed = tokio::time::timeout(CLOSING_TIME, self.serving).await;
    }
}

/// Browsers also request icons, which are not found.
async fn callback(
    State((path, callbacks)): State<(Arc<str>, mpsc::Sender<Callback>)>,
    method: Method,
    uri: Uri,
) -> Response {
    if uri.path() != &*path || method != Method::GET {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (reply, answer) = oneshot::channel();
    let callback = Callback {
        query: uri.query().unwrap_or_default().to_owned(),
        reply: Some(reply),
    };
    if callbacks.send(callback).await.is_err() {
        return shown(StatusCode::GONE, page::over());
    }
    match answer.await {
        Ok(SignInResult(Ok(()))) => shown(StatusCode::OK, page::done()),
        Ok(SignInResult(Err(fault))) => shown(StatusCode::BAD_REQUEST, page::failed(&fault)),
        Err(_) => shown(StatusCode::GONE, page::over()),
    }
}

/// The address of the page contains the code, so nothing may cache or forward it.
fn shown(status: StatusCode, page: String) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::CONNECTION, "close"),
    ];
    (status, headers, Html(page)).into_response()
}
