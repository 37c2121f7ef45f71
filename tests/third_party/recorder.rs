//! A reverse proxy on the loopback address that remembers every request that passes through it, and changes nothing.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request that passed.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Still encoded.
    pub(crate) path: String,
    /// Still encoded, without the question mark.
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
    /// The first word of `Authorization`.
    pub(crate) scheme: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) status: u16,
}

/// A running recorder. Dropping it ends it.
pub(crate) struct Recorder {
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Recorded>>>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Passage {
    upstream: String,
    client: reqwest::Client,
    log: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// Stands before `upstream`.
    pub(crate) async fn before(upstream: &str) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let passage = Passage {
            upstream: upstream.to_owned(),
            client: plain_client(),
            log: Arc::clone(&log),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(passage);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, log, task }
    }

    /// All requests of operations so far, in the order of their answers' heads. The document is none of its own operations; it is asked
    /// for without a token.
    pub(crate) fn all(&self) -> Vec<Recorded> {
        let (documents, operations): (Vec<Recorded>, Vec<Recorded>) = self
            .log
            .lock()
            .unwrap()
            .iter()
            .cloned()
            .partition(|request| request.path.ends_with("/openapi.json"));
        for request in documents {
            assert_eq!(
                (request.method.as_str(), request.scheme.as_deref()),
                ("GET", None)
            );
        }
        operations
    }

    /// Method and path of all requests so far, sorted and counted.
    pub(crate) fn counts(&self) -> std::collections::BTreeMap<String, usize> {
        let mut counts = std::collections::BTreeMap::new();
        for request in self.all() {
            *counts
                .entry(format!("{} {}", request.method, request.path))
                .or_insert(0) += 1;
        }
        counts
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that follows nothing, decodes nothing and knows no proxy.
pub(crate) fn plain_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn pass(State(passage): State<Passage>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let target = parts.uri.path_and_query().unwrap();
    let mut headers = parts.headers.clone();
    headers.remove(header::HOST);
    // A mock follows no filter: it answers with the example that this header names.
    if parts
        .uri
        .query()
        .is_some_and(|query| query.contains("groupTypeId="))
    {
        let example = HeaderValue::from_static("example=\"Response body (group properties)\"");
        headers.insert("prefer", example);
    }
    let answer = passage
        .client
        .request(parts.method.clone(), format!("{}{target}", passage.upstream))
        .headers(headers)
        .body(body.clone())
        .send()
        .await;
    let (status, response) = match answer {
        Ok(answer) => (answer.status(), forward(answer)),
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            (StatusCode::BAD_GATEWAY, response)
        }
    };
    passage.log.lock().unwrap().push(Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: text(&parts.headers, header::CONTENT_TYPE),
        accept: text(&parts.headers, header::ACCEPT),
        scheme: text(&parts.headers, header::AUTHORIZATION)
            .and_then(|value| value.split(' ').next().map(str::to_owned)),
        body,
        status: status.as_u16(),
    });
    response
}

fn forward(answer: reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    // The frames of this hop are its own.
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response.headers_mut().remove(header::CONNECTION);
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
