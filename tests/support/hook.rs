//! The other side of a webhook and of a dead-man switch: it keeps what arrives, and may refuse it.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// A server that answers every request with one status.
pub(crate) struct Hook {
    pub(crate) url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    status: Arc<AtomicU16>,
    _serving: AbortOnDropHandle<()>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived: Arc<Mutex<Vec<Arrived>>> = Arc::default();
        let status = Arc::new(AtomicU16::new(200));
        let (log, answer) = (Arc::clone(&arrived), Arc::clone(&status));
        let app = Router::new().fallback(
            async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let content_type = headers.get("content-type").map_or("", |it| it.to_str().unwrap());
                log.lock().unwrap().push(Arrived {
                    method,
                    path: uri.path().to_owned(),
                    content_type: content_type.to_owned(),
                    body: body.to_vec(),
                });
                StatusCode::from_u16(answer.load(Ordering::Relaxed)).unwrap()
            },
        );
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            arrived,
            status,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Forgets what has arrived.
    pub(crate) fn forget(&self) {
        self.arrived.lock().unwrap().clear();
    }

    /// All requests so far.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// The events of all messages in the form `json`, each as `EVENT CONCERN RESOURCE/SCOPE AMOUNT`; one entry for each message.
    pub(crate) fn told(&self) -> Vec<Vec<String>> {
        let posts = self.arrived().into_iter().filter(|it| it.method == Method::POST);
        posts
            .map(|post| {
                let message: Value = serde_json::from_slice(&post.body).unwrap();
                let events = message["events"].as_array().unwrap();
                events
                    .iter()
                    .map(|event| {
                        let word = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
                        format!(
                            "{} {} {}/{} {}",
                            word("event"),
                            word("concern"),
                            word("resource"),
                            word("scope"),
                            event["amount"]
                        )
                    })
                    .collect()
            })
            .collect()
    }
}
