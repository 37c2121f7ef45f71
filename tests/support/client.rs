//! A small tenant with scripted answers, and a clock that moves only when a task sleeps.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as Incoming, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::Time;
use blueconic_sync::model::fault::{Kind, Outcome};
use blueconic_sync::model::page::{Meter, PageEnd, Request};
use blueconic_sync::model::ports::{Clock, Page, Source};
use blueconic_sync::resources::registry::RESOURCES;
use futures_util::StreamExt;

pub(crate) const SECRET: &str = "canary-secret-7f3a";

type Answer = Box<dyn FnOnce(&HeaderMap) -> Response + Send>;
type Always = Arc<dyn Fn(&HeaderMap) -> Response + Send + Sync>;
type TokenAnswer = Arc<dyn Fn(u64) -> Response + Send + Sync>;

/// The requests that the server received, and its next answers.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) seen: Mutex<Vec<(String, HeaderMap)>>,
    pub(crate) token_requests: AtomicU64,
    /// The requests to the token endpoint.
    pub(crate) forms: Mutex<Vec<(HeaderMap, String)>>,
    answers: Mutex<VecDeque<Answer>>,
    always: Mutex<Option<Always>>,
    token_answer: Mutex<Option<TokenAnswer>>,
}

pub(crate) struct Tenant {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Script>,
}

impl Tenant {
    pub(crate) async fn start() -> Self {
        let script = Arc::new(Script::default());
        let router = Router::new()
            .route("/rest/v2/oauth/token", post(token))
            .fallback(any(answer))
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, script }
    }

    /// The next answer; without one, an empty page.
    pub(crate) fn then(&self, answer: impl FnOnce(&HeaderMap) -> Response + Send + 'static) -> &Self {
        self.script.answers.lock().unwrap().push_back(Box::new(answer));
        self
    }

    pub(crate) fn always(&self, answer: impl Fn(&HeaderMap) -> Response + Send + Sync + 'static) -> &Self {
        *self.script.always.lock().unwrap() = Some(Arc::new(answer));
        self
    }

    /// The token endpoint's answer to its n-th request, from 1.
    pub(crate) fn tokens(&self, answer: impl Fn(u64) -> Response + Send + Sync + 'static) -> &Self {
        *self.script.token_answer.lock().unwrap() = Some(Arc::new(answer));
        self
    }

    pub(crate) fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let mut variables: Variables = [
            ("BLUECONIC_URL", format!("http://{}", self.address)),
            ("BLUECONIC_CLIENT_ID", "app".to_owned()),
            ("BLUECONIC_CLIENT_SECRET", SECRET.to_owned()),
            ("BLUECONIC_SYNC__LIMITS__REQUESTS_PER_SECOND", "10000".to_owned()),
            ("BLUECONIC_SYNC__LIMITS__BURST", "10000".to_owned()),
            ("BLUECONIC_SYNC__TENANT__READ_TIMEOUT", "500ms".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
        for (name, value) in more {
            variables.insert((*name).to_owned(), (*value).into());
        }
        load(None, &variables, RESOURCES).unwrap()
    }

    pub(crate) fn client(&self, clock: &Arc<TestClock>, more: &[(&str, &str)]) -> Client<MemoryTokens> {
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        let store = MemoryTokens::new(Arc::clone(&clock));
        Client::new(&self.settings(more), store, clock).unwrap()
    }

    pub(crate) fn requests(&self) -> usize {
        self.script.seen.lock().unwrap().len()
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.script.token_requests.load(Ordering::SeqCst)
    }
}

async fn token(State(script): State<Arc<Script>>, headers: HeaderMap, body: String) -> Response {
    script.forms.lock().unwrap().push((headers, body));
    let number = script.token_requests.fetch_add(1, Ordering::SeqCst) + 1;
    let answer = script.token_answer.lock().unwrap().clone();
    // Long enough for all callers to ask at once.
    tokio::time::sleep(Duration::from_millis(20)).await;
    match answer {
        Some(answer) => answer(number),
        None => granted(number, 3600),
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Incoming) -> Response {
    let target = request.uri().to_string();
    let headers = request.headers().clone();
    script.seen.lock().unwrap().push((target, headers.clone()));
    let next = script.answers.lock().unwrap().pop_front();
    let always = script.always.lock().unwrap().clone();
    match (next, always) {
        (Some(answer), _) => answer(&headers),
        (None, Some(answer)) => answer(&headers),
        (None, None) => json(r#"{"totalResults":0,"profiles":[]}"#),
    }
}

pub(crate) fn bearer(headers: &HeaderMap) -> String {
    headers["authorization"].to_str().unwrap().to_owned()
}

pub(crate) fn granted(number: u64, expires_in: u64) -> Response {
    json(&format!(
        r#"{{"access_token":"canary-token-{number}","token_type":"Bearer","expires_in":{expires_in}}}"#
    ))
}

pub(crate) fn json(body: &str) -> Response {
    ([("content-type", "application/json")], body.to_owned()).into_response()
}

pub(crate) fn status(code: u16, body: &str) -> Response {
    let mut response = json(body);
    *response.status_mut() = axum::http::StatusCode::from_u16(code).unwrap();
    response
}

pub(crate) fn html(code: u16) -> Response {
    let mut response = status(code, "<html><body>Be right back</body></html>");
    let media = axum::http::HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert("content-type", media);
    response
}

pub(crate) fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

/// A chunked body that breaks off after these bytes were sent.
pub(crate) fn cut(body: &'static str) -> Response {
    let start = futures_util::stream::iter([Ok(body)]);
    let end = futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err(std::io::Error::other("cut"))
    });
    Body::from_stream(start.chain(end)).into_response()
}

pub(crate) fn listing(path: &str, cursor: &str) -> Request {
    Request {
        path: path.to_owned(),
        query: vec![("cursor", cursor.to_owned()), ("count", "1000".to_owned())],
        arrays: &["profiles"],
        scope: "read:profiles",
    }
}

/// Reads a page to its end.
pub(crate) async fn read<P: Page>(mut page: P) -> Outcome<(Vec<String>, PageEnd)> {
    let mut elements = Vec::new();
    while let Some(block) = page.next().await? {
        for range in &block.elements {
            let element = &block.bytes[range.clone()];
            elements.push(String::from_utf8(element.to_vec()).unwrap());
        }
    }
    Ok((elements, page.finish().await?))
}

/// Opens and reads a page as the engine does: a body that breaks off is another attempt.
pub(crate) async fn read_on(
    client: &impl Source,
    request: &Request,
    meter: &Meter,
) -> Outcome<(Vec<String>, PageEnd)> {
    for attempt in 0.. {
        let page = match client.open(request, attempt, meter).await {
            Err(fault) if fault.kind == Kind::Strained => continue,
            opened => opened?,
        };
        match read(page).await {
            Err(fault) if fault.is_transient() => {}
            outcome => return outcome,
        }
    }
    unreachable!()
}

/// A clock that moves when a task sleeps, and records the durations.
pub(crate) struct TestClock {
    now: Mutex<Time>,
    pub(crate) slept: Mutex<Vec<Duration>>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(SystemClock.now()),
            slept: Mutex::default(),
        })
    }

    pub(crate) fn advance(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    pub(crate) fn slept(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.advance(time);
        self.slept.lock().unwrap().push(time);
        Box::pin(tokio::task::yield_now())
    }
}
