//! Stands between the program and the tenant: notes every secret that passes, gives tokens characters that have to be
//! encoded, and where it is told to, answers by itself with all that was sent to it, as careless proxies and error pages do.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::form_urlencoded::{self, Serializer};
use uuid::Uuid;

use super::searcher::hex_of;

/// Which requests are answered with what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Token,
    Revoke,
    Api,
}

/// How they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A web page.
    Page(u16),
    /// The vendor's or OAuth's error object.
    Error(u16),
    /// A redirect to an address that holds it.
    Redirect,
    /// New tokens, as a form and not as JSON.
    FormOfTokens,
    /// New tokens under a status that is not 200.
    Created,
    /// New tokens in JSON that breaks off.
    HalfOfTokens,
    /// The token stands where its type should.
    Swapped,
}

/// A name for what a secret is, and the secret.
pub(super) type Secrets = BTreeMap<String, &'static str>;

#[derive(Default)]
struct Seen {
    secrets: Secrets,
    /// The tenant's own token behind each that the program knows.
    tokens: HashMap<String, String>,
    careless: Option<(At, Answer)>,
    answers: usize,
}

struct Shared {
    tenant: String,
    client: reqwest::Client,
    seen: Mutex<Seen>,
}

/// The front; dropping it ends it.
pub(super) struct Front {
    pub(super) url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Front {
    pub(super) async fn start(tenant: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let shared = Arc::new(Shared {
            tenant: tenant.to_owned(),
            client,
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// From now on, until told otherwise.
    pub(super) fn answer(&self, careless: Option<(At, Answer)>) {
        let mut seen = self.shared.seen.lock().unwrap();
        seen.careless = careless;
        seen.answers = 0;
    }

    /// How often it has answered so since it was told.
    pub(super) fn answers(&self) -> usize {
        self.shared.seen.lock().unwrap().answers
    }

    /// All that has passed.
    pub(super) fn secrets(&self) -> Secrets {
        self.shared.seen.lock().unwrap().secrets.clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn note(&mut self, kind: &str, secret: &str) {
        // What is sent where something else was ordered (`bearer`) is too short to be one.
        if secret.len() >= 20 {
            self.secrets.entry(secret.to_owned()).or_insert(kind_of(kind));
        }
    }

    /// The name under which the program knows a token of the tenant.
    fn rename(&mut self, kind: &str, token: &str) -> String {
        let name = format!("{}.+/~{token}=", Uuid::new_v4().simple());
        self.tokens.insert(name.clone(), token.to_owned());
        self.note(kind, &name);
        name
    }

    fn original(&self, token: &str) -> String {
        self.tokens
            .get(token)
            .cloned()
            .unwrap_or_else(|| token.to_owned())
    }
}

fn kind_of(field: &str) -> &'static str {
    match field {
        "access_token" => "access token",
        "refresh_token" => "refresh token",
        "token" => "token to revoke",
        "client_secret" => "client secret",
        "code" => "authorization code",
        "code_verifier" => "code verifier",
        "basic" => "credentials of HTTP Basic",
        other => panic!("{other}"),
    }
}

const SECRET_FIELDS: [&str; 5] = ["client_secret", "code", "code_verifier", "refresh_token", "token"];

async fn pass(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    let at = match path {
        _ if path.ends_with("/oauth/token") => Some(At::Token),
        _ if path.ends_with("/oauth/revoke") => Some(At::Revoke),
        _ if path.contains("/oauth/") => None,
        _ => Some(At::Api),
    };
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let authorization = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap());
    let careless = {
        let mut seen = shared.seen.lock().unwrap();
        for (name, value) in &form {
            if SECRET_FIELDS.contains(&&**name) {
                seen.note(name, value);
            }
        }
        match authorization.and_then(|value| value.split_once(' ')) {
            Some(("Basic", credentials)) => seen.note("basic", credentials),
            Some(("Bearer", token)) => seen.note("access_token", token),
            _ => {}
        }
        let careless = seen.careless.filter(|(where_, _)| at == Some(*where_));
        seen.answers += usize::from(careless.is_some());
        careless.map(|(_, answer)| (answer, seen.answers))
    };
    if let Some((answer, count)) = careless {
        let sent = sent(authorization, &form, &body, count);
        return careless_answer(&shared, answer, &sent);
    }
    forward(&shared, method, &uri, &headers, &form, at == Some(At::Token)).await
}

/// All secrets of a request, each as it was sent and encoded, in another order each time: a message shows the beginning
/// of a text, cut somewhere.
fn sent(authorization: Option<&str>, form: &[(String, String)], body: &[u8], count: usize) -> String {
    let mut secrets: Vec<String> = form
        .iter()
        .filter(|(name, _)| SECRET_FIELDS.contains(&&**name))
        .map(|(_, value)| value.clone())
        .collect();
    let header = authorization.unwrap_or_default();
    secrets.extend(header.split_once(' ').map(|(_, value)| value.to_owned()));
    let mut shown = vec![String::from_utf8_lossy(body).into_owned(), header.to_owned()];
    for secret in &secrets {
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let hex = hex_of(secret.as_bytes());
        shown.extend([
            secret.clone(),
            in_lower_hex(&encoded),
            encoded,
            STANDARD.encode(secret),
            STANDARD.encode(format!("x{secret}")),
            STANDARD.encode(format!("xy{secret}")),
            hex.to_uppercase(),
            hex,
        ]);
    }
    shown.retain(|text| !text.is_empty());
    // Seven is prime to the numbers of forms, so that all come first some time.
    let first = count * 7 % shown.len().max(1);
    shown.rotate_left(first);
    // The cut of 120 or 300 characters falls into the first one, or behind it.
    let padding = [0, 2, 13, 55, 100, 110, 140, 145][count % 8];
    format!("{}{}", "- ".repeat(padding), shown.join(" "))
}

/// `%2F` as `%2f`, as some servers encode.
fn in_lower_hex(encoded: &str) -> String {
    let parts = encoded.split('%').enumerate().map(|(at, part)| {
        let (digits, rest) = part.split_at(if at == 0 { 0 } else { 2 });
        format!("{}{rest}", digits.to_lowercase())
    });
    parts.collect::<Vec<_>>().join("%")
}

fn careless_answer(shared: &Shared, answer: Answer, sent: &str) -> Response {
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    let json = |code, body: Value| (status(code), axum::Json(body)).into_response();
    let new = |kind| shared.seen.lock().unwrap().rename(kind, "never-to-be-used");
    let tokens = || {
        json!({
            "access_token": new("access_token"), "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": new("refresh_token"),
        })
    };
    match answer {
        Answer::Page(code) => {
            let page = format!("<html><title>{code}</title><body><p>You sent: {sent}</p></body></html>");
            (status(code), [(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        Answer::Error(code) => json(
            code,
            json!({ "error": "invalid_client", "error_description": sent, "message": sent }),
        ),
        Answer::Redirect => {
            let to: String = form_urlencoded::byte_serialize(sent.as_bytes()).collect();
            let to = format!("/{to}?sent={to}");
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
        Answer::FormOfTokens => {
            let tokens = tokens();
            let mut form = Serializer::new(String::new());
            for (name, value) in tokens.as_object().unwrap() {
                form.append_pair(name, value.as_str().unwrap_or("3600"));
            }
            form.finish().into_response()
        }
        Answer::Created => json(201, tokens()),
        Answer::HalfOfTokens => {
            let whole = tokens().to_string();
            whole[..whole.len() - 5].to_owned().into_response()
        }
        Answer::Swapped => {
            let token = new("access_token");
            json(
                200,
                json!({ "access_token": "short", "token_type": token, "expires_in": token }),
            )
        }
    }
}

async fn forward(
    shared: &Shared,
    method: Method,
    uri: &Uri,
    headers: &HeaderMap,
    form: &[(String, String)],
    gives_tokens: bool,
) -> Response {
    let target = format!("{}{}", shared.tenant, uri.path_and_query().unwrap());
    let mut sending = shared.client.request(method, target);
    for name in [header::ACCEPT, header::CONTENT_TYPE, header::COOKIE] {
        if let Some(value) = headers.get(&name) {
            sending = sending.header(name, value);
        }
    }
    let authorization = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap());
    {
        let seen = shared.seen.lock().unwrap();
        if let Some(value) = authorization {
            let value = match value.split_once(' ') {
                Some(("Bearer", token)) => format!("Bearer {}", seen.original(token)),
                _ => value.to_owned(),
            };
            sending = sending.header(header::AUTHORIZATION, value);
        }
        if !form.is_empty() {
            let mut body = Serializer::new(String::new());
            for (name, value) in form {
                body.append_pair(name, &seen.original(value));
            }
            sending = sending.body(body.finish());
        }
    }
    let answer = sending.send().await.unwrap();
    let (status, head) = (answer.status(), answer.headers().clone());
    let mut body = answer.bytes().await.unwrap();
    if gives_tokens
        && status == StatusCode::OK
        && let Ok(mut given) = serde_json::from_slice::<Value>(&body)
    {
        let mut seen = shared.seen.lock().unwrap();
        for kind in ["access_token", "refresh_token"] {
            if let Some(token) = given[kind].as_str().map(str::to_owned) {
                given[kind] = seen.rename(kind, &token).into();
            }
        }
        body = given.to_string().into();
    }
    let mut response = Response::builder().status(status);
    for name in [
        header::CONTENT_TYPE,
        header::LOCATION,
        header::SET_COOKIE,
        header::RETRY_AFTER,
    ] {
        for value in head.get_all(&name) {
            response = response.header(&name, value);
        }
    }
    response.body(Body::from(body)).unwrap()
}
