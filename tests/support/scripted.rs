//! A tenant that a test scripts page by page: for listings that the simulated tenant cannot give.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

/// A request: the path below the API, and the query.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    query: BTreeMap<String, String>,
}

impl Asked {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> usize {
        self.text(name).parse().unwrap_or(0)
    }
}

/// A status and a body.
pub(crate) type Answer = (u16, Value);

/// The tenant, and the requests that it received.
pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    /// The requests whose paths have this ending.
    pub(crate) fn asked(&self, end: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|asked| asked.path.ends_with(end))
            .cloned()
            .collect()
    }
}

/// Starts a tenant. It gives a token to every client.
pub(crate) async fn scripted(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let log = Arc::clone(&asked);
    let answer = Arc::new(answer);
    let app = Router::new().fallback(move |uri: Uri| {
        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
        async move {
            let path = uri.path().trim_start_matches("/rest/v2").to_owned();
            let query = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
            let query = query.into_owned().collect();
            let asked = Asked { path, query };
            let (status, body) = if asked.path == "/oauth/token" {
                (
                    200,
                    json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}),
                )
            } else {
                log.lock().unwrap().push(asked.clone());
                answer(&asked)
            };
            let status = StatusCode::from_u16(status).unwrap();
            (
                status,
                [(header::CONTENT_TYPE, "application/json")],
                body.to_string(),
            )
                .into_response()
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Scripted { url, asked }
}

/// A profile in the segment of everybody.
pub(crate) fn profile(number: usize) -> Value {
    json!({
        "id": format!("p{number:07}"),
        "properties": [{"id": "lastmodifieddate", "values": ["1700000000000"]}],
        "segments": [{"id": "allvisitors"}],
    })
}

/// A page of a list from the requested `startIndex` on, at most `most` elements, with a total if there is one.
pub(crate) fn list(name: &str, asked: &Asked, of: &[Value], most: usize, total: &Value) -> Answer {
    let (start, count) = (asked.number("startIndex"), asked.number("count").min(most));
    let page: Vec<&Value> = of.iter().skip(start).take(count).collect();
    (200, json!({"totalResults": total, name: page}))
}

/// The list of segments with the one of everybody.
pub(crate) fn segments(asked: &Asked) -> Answer {
    list(
        "segments",
        asked,
        &[json!({"id": "allvisitors", "profileCount": 10})],
        1000,
        &1.into(),
    )
}

/// The profiles of a tenant, whose pages go on by number.
#[derive(Default)]
pub(crate) struct Profiles {
    /// Those of its segment.
    pub(crate) listed: BTreeMap<String, Value>,
    /// Answers to look-ups of ids that it does not list.
    pub(crate) unlisted: BTreeMap<String, Value>,
}

impl Profiles {
    pub(crate) fn put(&mut self, profile: Value) {
        let id = profile["id"].as_str().unwrap().to_owned();
        self.listed.insert(id, profile);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.listed.remove(id).unwrap();
    }

    /// Answers a request for the segments, for a page or for one profile. `expanded` leaves out what the request did not ask for.
    pub(crate) fn answer(&self, asked: &Asked, expanded: impl Fn(Value) -> Value) -> Answer {
        if asked.path == "/segments" {
            return segments(asked);
        }
        if let Some(id) = asked.path.strip_prefix("/profiles/") {
            let found = self.listed.get(id).or_else(|| self.unlisted.get(id)).cloned();
            return found.map_or((404, json!({})), |profile| (200, expanded(profile)));
        }
        let start: usize = asked.text("cursor").parse().unwrap_or(0);
        let end = (start + asked.number("count")).min(self.listed.len());
        let page = self.listed.values().skip(start).take(end - start).cloned();
        let page: Vec<Value> = page.map(expanded).collect();
        let next = (end < self.listed.len()).then(|| end.to_string());
        (
            200,
            json!({"totalResults": self.listed.len(), "profiles": page, "nextCursor": next}),
        )
    }
}
