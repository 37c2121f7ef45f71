//! The client of one tenant: every request goes through throttle, token and retries here, up to the first bytes of its
//! answer. What the bytes mean is not its business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::blueconic::address::{self, Address};
use crate::blueconic::answer;
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::grant::Grant;
use crate::blueconic::auth::manager::Tokens;
use crate::blueconic::auth::seal::Seal;
use crate::blueconic::auth::token::Token;
use crate::blueconic::auth::turn::wiped;
use crate::blueconic::elements::Elements;
use crate::blueconic::error::ClientError;
use crate::blueconic::page::{Body, StreamedPage, Trace};
use crate::blueconic::redaction::Redaction;
use crate::blueconic::repeats::Repeats;
use crate::blueconic::retry::{Budget, Retry};
use crate::blueconic::steady::Steady;
use crate::blueconic::tenant_clock::TenantClock;
use crate::blueconic::throttle::{Permit, Throttle};
use crate::config::settings::{Access, Grant as GrantType, Settings, Tenant};
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::{Lookup, Meter, Request, SMALLEST_PAGE};
use crate::model::ports::{Clock, Source};
use crate::model::tokens::{TokenName, TokenStore};

/// Headers of an answer: what stands before a tenant adds its own, and more than hyper's 100 are no reason to give up.
const MOST_HEADERS: usize = 1000;
/// What some servers put before a text, and JSON does not have.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads from one tenant. Holds connections, the token, and what every request shares: rate, concurrency, retry quota.
pub struct Client<T> {
    http: reqwest::Client,
    address: Address,
    tokens: Tokens<T>,
    throttle: Throttle,
    retry: Retry,
    steady: Steady,
    tenant_clock: TenantClock,
    largest: usize,
    repeats: Arc<Mutex<Repeats>>,
    /// For which scopes which token version was refused although it was fresh: it is the scope, not the token.
    denied: Mutex<HashMap<&'static str, i64>>,
}

impl<T: TokenStore> Client<T> {
    /// A client for the tenant of the settings, with its token state in `store`. Sends nothing yet.
    pub fn new(settings: &Settings, store: T, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let tenant = &settings.tenant;
        if tenant.grant == GrantType::AuthorizationCode && settings.key.is_none() {
            return Err(AuthorizationError::NoKey.into());
        }
        let access = tenant.access()?;
        let address = Address::new(tenant)?;
        let steady = Steady::new(clock);
        let http = http(tenant, &address)?;
        let name = token_name(&address, &access, tenant.grant);
        let seal = settings.key.as_ref().map(Seal::new).transpose()?;
        let tenant_clock = TenantClock::new(steady.clone());
        let grant = Grant::new(http.clone(), address.token()?, access, tenant_clock.clone());
        let retry = || Retry::new(settings.retry, &settings.limits, steady.clone());
        Ok(Self {
            http,
            address,
            tokens: Tokens::new(store, name, seal, grant, retry(), steady.clone()),
            throttle: Throttle::new(&settings.limits, steady.clone()),
            retry: retry(),
            steady,
            tenant_clock,
            largest: settings.limits.element_size,
            repeats: Arc::new(Mutex::new(Repeats::new(settings.retry.give_up_after))),
            denied: Mutex::default(),
        })
    }

    /// Gets a token, or uses the one that is there, and says until when it lives: what `check` asks first.
    pub async fn sign_in(&self) -> Outcome<Time> {
        Ok(self.tokens.get().await?.expires_at())
    }

    /// Sees to it, for as long as it is awaited, that there is a token before anybody wants one.
    pub async fn keep_token(&self) {
        self.tokens.keep().await;
    }

    /// Waits until no token is being asked for, so that none that is on its way is lost; false if that takes longer.
    pub async fn finish_token(&self, patience: Duration) -> bool {
        self.tokens.finish(patience).await
    }

    /// The same at the end, when no request is to follow: from then on none gets a token that is not there.
    pub async fn close_token(&self, patience: Duration) -> bool {
        self.tokens.close(patience).await
    }

    /// Sends until there is an answer that can be the API's, or the budget is used up.
    async fn answer(
        &self,
        request: &Request,
        meter: &Meter,
        budget: &Mutex<Budget>,
    ) -> Result<(Body, Permit), ClientError> {
        loop {
            let fault = match self.exchange(request, meter).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            // What is too large for one try is so for the next, unless it is asked for in smaller parts.
            if fault.is_too_large() || may_come_in_parts(&fault, request) {
                return Err(fault);
            }
            self.retry.pause(budget, fault).await?;
            meter.retry();
        }
    }

    /// The whole body of one object; one that breaks off is asked for again on the same budget.
    async fn object(&self, request: &Request, meter: &Meter) -> Result<Bytes, ClientError> {
        let budget = Mutex::new(self.retry.budget());
        let call = address::call(request);
        loop {
            let (body, permit) = self.answer(request, meter, &budget).await?;
            self.tenant_clock.hear(body.response.headers());
            let fault = match whole(body, &call, self.largest, meter).await {
                Ok(object) => return Ok(object),
                Err(fault) => fault,
            };
            drop(permit);
            self.retry.pause(&budget, fault).await?;
            meter.retry();
        }
    }

    /// One try: throttle, then token (it must not age in the queue), then the request; a 401 gets one new token.
    async fn exchange(&self, request: &Request, meter: &Meter) -> Result<(Body, Permit), ClientError> {
        let url = self.address.of(request)?;
        let permit = self.throttle.enter().await;
        let mut token = self.tokens.get().await?;
        let mut response = self.send(request, url.clone(), &token, meter).await?;
        if response.status() == StatusCode::UNAUTHORIZED && !self.is_denied(request.scope, &token) {
            drop(response);
            self.tokens.reject(&token).await?;
            token = self.tokens.get().await?;
            self.throttle.pace().await;
            meter.retry();
            response = self.send(request, url, &token, meter).await?;
            self.note_denied(request.scope, &token, response.status());
        }
        let call = address::call(request);
        if response.status() == StatusCode::OK {
            return Ok((look(response, request, &token).await?, permit));
        }
        let fault = answer::refusal(response, call, request, token.expose(), self.steady.wall()).await;
        if fault.is_overload() {
            self.throttle.overloaded(&permit, fault.retry_after());
        }
        Err(fault)
    }

    async fn send(
        &self,
        request: &Request,
        url: url::Url,
        token: &Token,
        meter: &Meter,
    ) -> Result<Response, ClientError> {
        let call = address::call(request);
        let text = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::from_maybe_shared(wiped(text))
            .map_err(|_| ClientError::unusable("no header can carry it"))?;
        bearer.set_sensitive(true);
        meter.request();
        self.retry.earn();
        let sending = self
            .http
            .get(url)
            .header(ACCEPT, "application/json")
            // What a cache kept speaks of another time.
            .header(CACHE_CONTROL, "no-cache")
            .header(AUTHORIZATION, bearer);
        let response = sending.send().await;
        response.map_err(|error| ClientError::transport(&call, error))
    }

    /// A scope that a fresh token did not open is not asked a second time with that same token.
    fn is_denied(&self, scope: &'static str, token: &Token) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(scope).is_some_and(|version| *version == token.version)
    }

    fn note_denied(&self, scope: &'static str, token: &Token, status: StatusCode) {
        if status == StatusCode::UNAUTHORIZED {
            let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
            denied.insert(scope, token.version);
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(
        &self,
        request: &Request,
        key: &str,
        attempt: u32,
        meter: &Meter,
    ) -> Result<(Body, Permit), ClientError> {
        let budget = self.budget(request, key, attempt, meter).await?;
        self.answer(request, meter, &budget).await
    }

    /// A page that may come in smaller parts is handed back, and its budget is kept for them; anything else has failed.
    fn unopened(&self, request: &Request, key: &str, fault: ClientError) -> Fault {
        if !may_come_in_parts(&fault, request) {
            self.repeats().forget(key);
            return fault.into();
        }
        self.repeats().note(key, fault.clone());
        Fault {
            kind: Kind::Strained,
            ..fault.into()
        }
    }

    /// The budget of a request: a new one for its first try, else what its earlier tries have left.
    async fn budget(
        &self,
        request: &Request,
        key: &str,
        attempt: u32,
        meter: &Meter,
    ) -> Result<Arc<Mutex<Budget>>, ClientError> {
        let now = self.steady.now();
        if attempt == 0 {
            return Ok(self.repeats().begin(key, self.retry.budget(), now));
        }
        let (budget, fault) = self.repeats().go_on(key, now, || {
            let mut budget = self.retry.budget();
            budget.skip(attempt - 1);
            budget
        });
        let fault = fault.unwrap_or_else(|| ClientError::Garbled {
            call: address::call(request),
            why: "its body could not be used".to_owned(),
        });
        self.retry.pause(&budget, fault).await?;
        meter.retry();
        Ok(budget)
    }
}

impl<T: TokenStore> Source for Client<T> {
    type Page = StreamedPage;

    /// A page holds one of the `limits.concurrent_requests` until it is dropped: who holds one and waits for another in
    /// the same task may wait forever.
    async fn open(&self, request: &Request, attempt: u32, meter: &Meter) -> Outcome<StreamedPage> {
        let key = Repeats::key(request);
        let (body, permit) = self
            .begin(request, &key, attempt, meter)
            .await
            .map_err(|fault| self.unopened(request, &key, fault))?;
        self.repeats().touch(&key, self.steady.now());
        let server_time = self.tenant_clock.answered(body.response.headers());
        let elements = Elements::new(request.array, self.largest, server_time);
        let trace = Trace {
            call: address::call(request),
            key,
            repeats: Arc::clone(&self.repeats),
        };
        Ok(StreamedPage::new(body, elements, trace, meter.clone(), permit))
    }

    async fn one(&self, request: &Request, meter: &Meter) -> Lookup {
        match self.object(request, meter).await {
            Ok(body) => Lookup::Found(body),
            Err(ClientError::Absent { .. }) => Lookup::Gone,
            Err(error) => Lookup::Unclear(Fault::from(error)),
        }
    }
}

/// Whether a fault may be one of size, and the request can be made smaller.
fn may_come_in_parts(fault: &ClientError, request: &Request) -> bool {
    fault.may_be_size() && request.count().is_some_and(|count| count > SMALLEST_PAGE)
}

/// Waits for the first bytes and makes sure that they can be the API's: a web page under a 200 is repeated here.
async fn look(mut response: Response, request: &Request, token: &Token) -> Result<Body, ClientError> {
    let call = address::call(request);
    let mut first = BytesMut::new();
    // Whitespace without end is no answer either.
    while unmarked(&first).trim_ascii().is_empty() && first.len() <= 1024 * 1024 {
        let chunk = response.chunk().await;
        match chunk.map_err(|error| ClientError::transport(&call, error))? {
            Some(chunk) => first.extend_from_slice(&chunk),
            None => break,
        }
    }
    let mark = first.len() - unmarked(&first).len();
    if first[mark..].trim_ascii_start().starts_with(b"{") {
        return Ok(Body {
            response,
            first: Some(first.split_off(mark).freeze()),
        });
    }
    Err(foreign(&response, &first, request, token))
}

/// What follows a byte order mark, which may have come in part.
fn unmarked(start: &[u8]) -> &[u8] {
    if BYTE_ORDER_MARK.starts_with(start) {
        return &[];
    }
    start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start)
}

fn foreign(response: &Response, start: &[u8], request: &Request, token: &Token) -> ClientError {
    let content_type = answer::content_type(response);
    // Before it is cut to size: half a token or an id is one, too.
    let words = Redaction::of([token.expose()]).apply(&String::from_utf8_lossy(start));
    let words = address::without_id(request, &words);
    let shown = answer::clean(&words, 120);
    let why = if shown.is_empty() {
        "the answer is empty".to_owned()
    } else {
        format!("the answer ({content_type}) is not a JSON object: {shown}")
    };
    ClientError::Foreign {
        call: address::call(request),
        why,
        settled: false,
    }
}

/// The whole body of one object.
async fn whole(mut body: Body, call: &str, limit: usize, meter: &Meter) -> Result<Bytes, ClientError> {
    let mut object = BytesMut::new();
    while let Some(chunk) = body.chunk(call).await? {
        meter.bytes(chunk.len() as u64);
        if object.len() + chunk.len() > limit {
            return Err(ClientError::TooLarge {
                call: call.to_owned(),
                limit,
            });
        }
        object.extend_from_slice(&chunk);
    }
    match serde_json::from_slice::<&RawValue>(&object) {
        Ok(_) => Ok(object.freeze()),
        Err(error) => Err(ClientError::Garbled {
            call: call.to_owned(),
            why: error.to_string(),
        }),
    }
}

/// Whose tokens they are.
pub(super) fn token_name(address: &Address, access: &Access, grant: GrantType) -> TokenName {
    TokenName {
        tenant: address.name(),
        client_id: access.client_id.clone(),
        grant_type: grant.as_str().to_owned(),
    }
}

pub(super) fn http(tenant: &Tenant, address: &Address) -> Result<reqwest::Client, ClientError> {
    let local = address.is_loopback();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("blueconic-sync/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(tenant.connect_timeout)
        .read_timeout(tenant.read_timeout)
        .https_only(!local)
        .http1_max_headers(MOST_HEADERS)
        // Repeats are counted and bounded here, not behind our back.
        .retry(reqwest::retry::never());
    if local {
        // Compressing costs on one machine what it saves on a network.
        builder = builder.no_proxy().no_gzip().no_brotli().no_zstd();
    }
    builder.build().map_err(|error| ClientError::Setup {
        source: Arc::new(error),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The bytes of `{"profiles":[{"id":"1"}]}`, compressed with gzip -9n.
    const GZIP: [u8; 45] = [
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x2a, 0x28, 0xca, 0x4f, 0xcb,
        0xcc, 0x49, 0x2d, 0x56, 0xb2, 0x8a, 0xae, 0x56, 0xca, 0x4c, 0x51, 0xb2, 0x52, 0x32, 0x54, 0xaa, 0x8d,
        0xad, 0x05, 0x00, 0x77, 0xa7, 0x9a, 0xfa, 0x19, 0x00, 0x00, 0x00,
    ];

    /// A server that sends one compressed body to whoever comes.
    async fn serve(body: Vec<u8>) -> url::Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(&body).await.unwrap();
        });
        format!("http://{address}/").parse().unwrap()
    }

    /// What a client that takes compressed bodies makes of one.
    async fn decoded(body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        let url = serve(body).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut response = http.get(url).send().await.unwrap();
        let mut all = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => return Ok(all),
                Err(error) => return Err(ClientError::transport("GET /p", error)),
            }
        }
    }

    #[tokio::test]
    async fn a_compressed_body_that_is_cut_is_a_fault_that_passes() {
        assert_eq!(
            decoded(GZIP.to_vec()).await.unwrap(),
            br#"{"profiles":[{"id":"1"}]}"#
        );
        for end in 1..GZIP.len() {
            let outcome = decoded(GZIP[..end].to_vec()).await;
            assert!(
                matches!(&outcome, Err(error @ ClientError::Broken { .. }) if error.is_repeatable()),
                "{end} bytes: {outcome:?}"
            );
        }
    }
}
