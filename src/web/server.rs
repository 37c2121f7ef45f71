//! The web server: routes, headers, access, and a shutdown that is bounded in time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::access::Access;
use super::connections;
use super::days::SlotDays;
use super::error::WebError;
use super::exposition::Format;
use super::hosts::Hosts;
use super::metrics::{self, Measured, Process};
use super::view::View;
use super::{frame, page, port_owner, run_page, run_query, runs_page};
use crate::clock::SystemClock;
use crate::config::settings::Web;
use crate::model::Time;
use crate::model::concern::Goals;
use crate::model::description::Registry;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::liveness::Liveness;
use crate::model::overview::Overview;
use crate::model::ports::{Clock, Observer, RunHistory};
use crate::model::sanitize;
use crate::model::status::Status;

/// How long a page waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// The answer where a run is not there.
const UNKNOWN_RUN: &str = "there is no such run: it may be older than `retention.runs` keeps\n";

/// What the pages read.
pub trait PageSource: Observer + RunHistory {}

impl<O: Observer + RunHistory> PageSource for O {}

/// When the process counts as alive.
#[derive(Debug, Clone)]
pub struct Health {
    liveness: Liveness,
    longest: Duration,
}

impl Health {
    /// The process is alive while rounds of the schedule follow within six heartbeats. A minute is always allowed, since a round
    /// waits for an unreachable database as long as its pool does.
    pub fn new(liveness: Liveness, heartbeat: Duration) -> Self {
        Self {
            liveness,
            longest: (heartbeat * 6).max(Duration::from_mins(1)),
        }
    }

    /// How old the last round of the schedule may be.
    pub fn longest_silence(&self) -> Duration {
        self.longest
    }
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct WebServer {
    listener: TcpListener,
    access: Access,
    hosts: Hosts,
    address: SocketAddr,
    measured: Measured,
}

/// Listens and serves until `shutdown`.
pub async fn serve<O: PageSource>(
    settings: &Web,
    observer: Arc<O>,
    registry: Registry,
    health: Health,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), WebError> {
    WebServer::open(settings)
        .await?
        .serve(observer, registry, health, shutdown)
        .await
}

impl WebServer {
    /// Reads the token and listens on the address. Separate from `serve`, so that a wrong address ends a start early.
    pub async fn open(settings: &Web) -> Result<Self, WebError> {
        let access = Access::of(settings)?;
        let refused = |source: std::io::Error| WebError::Bind {
            address: settings.bind,
            by: (source.kind() == std::io::ErrorKind::AddrInUse)
                .then(|| port_owner::of(settings.bind))
                .flatten(),
            source,
        };
        let listener = TcpListener::bind(settings.bind).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self {
            listener,
            access,
            hosts: Hosts::of(&settings.hosts),
            address,
            measured: Measured::default(),
        })
    }

    /// Shows what this process measures among the metrics.
    #[must_use]
    pub fn measuring(mut self, measured: Measured) -> Self {
        self.measured = measured;
        self
    }

    /// The address, with the port that the system chose for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; current responses have two more seconds.
    pub async fn serve<O: PageSource>(
        self,
        observer: Arc<O>,
        registry: Registry,
        health: Health,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), WebError> {
        let state = Arc::new(PageState {
            observer,
            registry,
            health,
            started_at: SystemClock.now(),
            measured: self.measured,
        });
        connections::serve(self.listener, router(state, self.access, self.hosts), shutdown).await;
        Ok(())
    }
}

struct PageState<O> {
    observer: Arc<O>,
    /// The registry with the names of the resources.
    registry: Registry,
    health: Health,
    started_at: Time,
    measured: Measured,
}

impl<O: PageSource> PageState<O> {
    async fn status(&self) -> Outcome<Status> {
        in_time(self.observer.status()).await
    }

    async fn overview(&self) -> Outcome<Overview> {
        in_time(self.observer.overview()).await
    }

    fn view<'a>(&self, goals: &'a Goals, now: Time) -> View<'a> {
        View {
            registry: self.registry,
            goals,
            now,
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
        let what = format!("the database did not answer within {} s", PATIENCE.as_secs());
        Err(Fault::new(Kind::Transient, what).hint("check whether it is overloaded or cannot be reached"))
    })
}

/// The routes. The health checks answer to any host, since probes use other addresses and the answers reveal nothing.
fn router<O: PageSource>(state: Arc<PageState<O>>, access: Access, hosts: Hosts) -> Router {
    let guarded = Router::new()
        .route("/", get(index::<O>))
        .route("/runs", get(runs::<O>))
        .route("/runs/{id}", get(run::<O>))
        .route("/status.json", get(status::<O>))
        .route("/metrics", get(metrics::<O>))
        .layer(middleware::from_fn_with_state(access, guard))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page\n") })
        .layer(middleware::from_fn_with_state(Arc::new(hosts), check_host));
    Router::new()
        .route("/healthz", get(healthz::<O>))
        .route("/readyz", get(readyz::<O>))
        .merge(guarded)
        .layer(middleware::from_fn_with_state(policy(), add_headers))
        .with_state(state)
}

// ---------------------------------------------------------------------------------------------- around each page

async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    if access.allows(request.headers()) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"blueconic-sync\"")];
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        "the token of `web.token_file` is expected as `Authorization: Bearer …`\n",
    )
        .into_response()
}

/// Refuses requests for other hosts before any token is checked.
async fn check_host(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let arrived = request.extensions().get().copied();
    if hosts.allow(request.uri(), request.headers(), arrived) {
        return next.run(request).await;
    }
    let message = "this service does not answer to that host: name it in `web.hosts` if it is meant\n";
    (StatusCode::MISDIRECTED_REQUEST, message).into_response()
}

/// Nothing may be loaded, run, framed or sent; the one stylesheet is allowed by its hash.
fn policy() -> HeaderValue {
    let hash = STANDARD.encode(Sha256::digest(frame::STYLE));
    let text = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

async fn add_headers(State(policy): State<HeaderValue>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

// ---------------------------------------------------------------------------------------------- the pages

async fn healthz<O: PageSource>(State(state): State<Arc<PageState<O>>>) -> Response {
    let age = state.health.liveness.age();
    if age <= state.health.longest {
        return "ok\n".into_response();
    }
    let reason = format!("the schedule has not come round for {} s\n", age.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

async fn readyz<O: PageSource>(State(state): State<Arc<PageState<O>>>) -> Response {
    match in_time(state.observer.ready()).await {
        Ok(()) => "ready\n".into_response(),
        Err(fault) => {
            let reason = fault.sentence().split_whitespace().collect::<Vec<_>>().join(" ");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{}\n", sanitize::line(&reason)),
            )
                .into_response()
        }
    }
}

async fn status<O: PageSource>(State(state): State<Arc<PageState<O>>>) -> Response {
    match state.status().await {
        Ok(status) => json(StatusCode::OK, &status),
        Err(fault) => {
            let message = json!({ "error": fault.sentence(), "hint": fault.hint });
            json(StatusCode::SERVICE_UNAVAILABLE, &message)
        }
    }
}

/// JSON with sorted keys, escaped so that it is safe on a terminal.
fn json(code: StatusCode, document: &impl Serialize) -> Response {
    let Ok(document) = serde_json::to_value(document) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let document = sanitize::json(&document.to_string()).into_owned();
    (code, [(header::CONTENT_TYPE, "application/json")], document).into_response()
}

async fn metrics<O: PageSource>(State(state): State<Arc<PageState<O>>>, headers: HeaderMap) -> Response {
    let status = state.status().await.ok();
    let process = Process {
        started_at: state.started_at,
        heartbeat_age_seconds: state.health.liveness.age().as_secs_f64(),
    };
    let format = Format::wanted(&headers);
    let text = metrics::render(format, process, &state.measured, status.as_ref());
    ([(header::CONTENT_TYPE, format.media_type())], text).into_response()
}

async fn index<O: PageSource>(State(state): State<Arc<PageState<O>>>, RawQuery(query): RawQuery) -> Response {
    let reloads = query.is_some_and(|query| query == page::RELOADING);
    // One after the other: a page takes one connection of the few that the schedule uses, too.
    let status = state.status().await;
    let (now, goals) = (SystemClock.now(), state.measured.goals.get());
    match status {
        Ok(status) => {
            let overview = state.overview().await;
            html(
                StatusCode::OK,
                page::render(&status, &overview, reloads, state.view(&goals, now)),
            )
        }
        Err(fault) => html(
            StatusCode::SERVICE_UNAVAILABLE,
            page::unreadable(&fault, reloads, now),
        ),
    }
}

/// The list of runs. What is asked for and is not there is 404, with words.
async fn runs<O: PageSource>(State(state): State<Arc<PageState<O>>>, RawQuery(query): RawQuery) -> Response {
    let now = SystemClock.now();
    let query = match run_query::of(query.as_deref().unwrap_or_default(), state.registry) {
        Ok(query) => query,
        Err(refused) => return refused.into_response(),
    };
    let list = match in_time(state.observer.run_list(&query)).await {
        Ok(Some(list)) => list,
        Ok(None) => return (StatusCode::NOT_FOUND, UNKNOWN_RUN).into_response(),
        Err(fault) => return unavailable(&fault, now),
    };
    let goals = state.measured.goals.get();
    let slot = query.resource.as_deref().zip(query.scope);
    let Some((resource, scope)) = slot else {
        return html(
            StatusCode::OK,
            runs_page::render(&query, &list, None, state.view(&goals, now)),
        );
    };
    match state.overview().await {
        Ok(overview) => {
            let days = SlotDays::of(&overview.days, resource, scope, state.view(&goals, now));
            html(
                StatusCode::OK,
                runs_page::render(&query, &list, Some(&days), state.view(&goals, now)),
            )
        }
        Err(fault) => unavailable(&fault, now),
    }
}

async fn run<O: PageSource>(State(state): State<Arc<PageState<O>>>, Path(id): Path<String>) -> Response {
    let (now, goals) = (SystemClock.now(), state.measured.goals.get());
    let id = match run_query::id(&id) {
        Ok(id) => id,
        Err(refused) => return refused.into_response(),
    };
    match in_time(state.observer.run_detail(id)).await {
        Ok(Some(detail)) => html(StatusCode::OK, run_page::render(&detail, state.view(&goals, now))),
        Ok(None) => (StatusCode::NOT_FOUND, UNKNOWN_RUN).into_response(),
        Err(fault) => unavailable(&fault, now),
    }
}

/// The page when the database cannot be asked.
fn unavailable(fault: &Fault, now: Time) -> Response {
    html(
        StatusCode::SERVICE_UNAVAILABLE,
        page::unreadable(fault, false, now),
    )
}

fn html(code: StatusCode, html: String) -> Response {
    (code, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}
