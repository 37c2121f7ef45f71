//! The client of one tenant. Every request passes throttle, token and retries here, up to the first bytes of its
//! answer. The meaning of the bytes is not known here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use serde_json::value::RawValue;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::blueconic::address::{self, Address};
use crate::blueconic::answer;
use crate::blueconic::auth::claim::wiped;
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::grant::Grant;
use crate::blueconic::auth::manager::Tokens;
use crate::blueconic::auth::seal::Seal;
use crate::blueconic::auth::token::Token;
use crate::blueconic::denials::Denials;
use crate::blueconic::elements::Elements;
use crate::blueconic::error::ClientError;
use crate::blueconic::http::Http;
use crate::blueconic::incoming::Incoming;
use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::page::{StreamedPage, Trace};
use crate::blueconic::redaction::Redaction;
use crate::blueconic::retry::{Budget, Retry};
use crate::blueconic::retry_budgets::RetryBudgets;
use crate::blueconic::status::{Patience, Presence, StatusClass};
use crate::blueconic::tenant_clock::TenantClock;
use crate::blueconic::throttle::{Permit, Throttle};
use crate::config::settings::{Access, Grant as GrantType, Settings};
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::metrics::Traffic;
use crate::model::page::{Lookup, Meter, Request, SMALLEST_PAGE};
use crate::model::ports::TokenStore;
use crate::model::ports::{Clock, Source};
use crate::model::spans;
use crate::model::tokens::TokenName;

mod examine;

/// The wait before a refused new token is sent again; it doubles each time.
const YOUNG_AGAIN: Duration = Duration::from_millis(250);

/// Reads from one tenant. Holds connections, the token, and what every request shares: rate, concurrency, retry quota.
pub struct Client<T> {
    http: Http,
    address: Address,
    tokens: Tokens<T>,
    throttle: Throttle,
    /// The pause of an outage that begins.
    first_pause: Duration,
    retry: Retry,
    monotonic: MonotonicClock,
    tenant_clock: TenantClock,
    largest: usize,
    retry_budgets: Arc<Mutex<RetryBudgets>>,
    denials: Denials,
}

impl<T: TokenStore> Client<T> {
    /// A client for the tenant of the settings, with its token state in `store`. Sends nothing yet.
    pub fn new(settings: &Settings, store: T, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        Self::counting(settings, store, clock, Arc::default())
    }

    /// The same; its requests are counted in `traffic`.
    pub fn counting(
        settings: &Settings,
        store: T,
        clock: Arc<dyn Clock>,
        traffic: Arc<Traffic>,
    ) -> Result<Self, ClientError> {
        let tenant = &settings.tenant;
        if tenant.grant == GrantType::AuthorizationCode && settings.key.is_none() {
            return Err(AuthorizationError::NoKey.into());
        }
        let access = tenant.access()?;
        let address = Address::new(tenant)?;
        let monotonic = MonotonicClock::new(clock);
        let http = Http::new(tenant, &settings.network, &address)?.counting(traffic);
        let name = token_name(&address, &access, tenant.grant);
        let seal = settings.key.as_ref().map(Seal::new).transpose()?;
        let tenant_clock = TenantClock::new(monotonic.clone());
        let grant = Grant::new(&http, address.token()?, access, tenant_clock.clone());
        let retry = || Retry::new(settings.retry, &settings.limits, monotonic.clone());
        Ok(Self {
            http,
            address,
            tokens: Tokens::new(store, name, seal, grant, retry(), monotonic.clone()),
            throttle: Throttle::new(&settings.limits, monotonic.clone()),
            first_pause: settings.retry.initial_delay,
            retry: retry(),
            monotonic,
            tenant_clock,
            largest: settings.limits.element_size,
            retry_budgets: Arc::new(Mutex::new(RetryBudgets::new(settings.retry.give_up_after))),
            denials: Denials::default(),
        })
    }

    /// What was counted of the requests of this client.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(self.http.traffic())
    }

    /// For a service, which asks for ever: while the tenant is away, one request at a time finds out whether it is back.
    pub fn watch_for_outages(&self) {
        self.throttle.watch_for_outages(self.first_pause);
    }

    /// Returns the expiry of the current token; requests a token if there is none.
    pub async fn sign_in(&self) -> Outcome<Time> {
        Ok(self.tokens.get().await?.expires_at())
    }

    /// Refreshes the token ahead of its expiry until the future is dropped.
    pub async fn keep_token(&self) {
        self.tokens.keep().await;
    }

    /// Waits until no token request is open, so that its result is stored. False if that takes longer than `patience`.
    pub async fn finish_token(&self, patience: Duration) -> bool {
        self.tokens.finish(patience).await
    }

    /// Like [`Self::finish_token`], and refuses to start another token request from then on.
    pub async fn close_token(&self, patience: Duration) -> bool {
        self.tokens.close(patience).await
    }

    /// Sends a request until the API answers or the retry budget is spent.
    async fn answer(
        &self,
        request: &Request,
        meter: &Meter,
        budget: &Mutex<Budget>,
    ) -> Result<(Incoming, Permit), ClientError> {
        loop {
            if self.throttle.is_outage() {
                self.retry.begin_waiting(budget);
            }
            let fault = match self.exchange(request, meter).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            // A request that is too large stays too large, unless it can be made smaller.
            if fault.is_too_large() || may_come_in_parts(&fault, request) {
                return Err(fault);
            }
            self.pause(budget, fault).await?;
            self.retried(meter);
        }
    }

    /// Reads the whole body of one object. A body that breaks off is requested again on the same retry budget.
    async fn object(&self, request: &Request, meter: &Meter) -> Result<Bytes, ClientError> {
        let budget = Mutex::new(self.retry.budget());
        let call = address::call(request);
        loop {
            let (body, permit) = self.answer(request, meter, &budget).await?;
            self.tenant_clock.hear(body.response().headers());
            let fault = match whole(body, &call, self.largest, meter).await {
                Ok(object) => {
                    self.http.prove();
                    return Ok(object);
                }
                Err(fault) => fault,
            };
            drop(permit);
            self.pause(&budget, fault).await?;
            self.retried(meter);
        }
    }

    /// One attempt: throttle first, then the token (which must not age in the queue), then the request.
    async fn exchange(&self, request: &Request, meter: &Meter) -> Result<(Incoming, Permit), ClientError> {
        let url = self.address.of(request)?;
        let permit = self.throttled(self.throttle.enter()).await;
        let answer = self.attempt(request, &url, meter, &permit).await;
        match answer
            .as_ref()
            .map_or_else(ClientError::presence, |_| Presence::Answers)
        {
            Presence::Answers => self.throttle.answered(),
            Presence::IsAway => self.throttle.unanswered(),
            Presence::Unknown => {}
        }
        Ok((answer?, permit))
    }

    /// The attempt under its permit.
    async fn attempt(
        &self,
        request: &Request,
        url: &url::Url,
        meter: &Meter,
        permit: &Permit,
    ) -> Result<Incoming, ClientError> {
        let (response, token) = self.authorized(request, url, meter).await?;
        if StatusClass::of(response.status().as_u16()) == StatusClass::Content {
            self.denials.forget(request.scope);
            let body = self.http.incoming(response);
            return look(body, request, &token, self.http.is_proven()).await;
        }
        let fault = answer::refusal(
            response,
            &self.http,
            request,
            token.expose(),
            self.monotonic.wall(),
        )
        .await;
        if fault.is_overload() {
            self.throttle.overloaded(permit, fault.retry_after());
        }
        Err(fault)
    }

    /// Sends a request with a token. A refused token is replaced once. A new token is first sent again for a few
    /// seconds, since the nodes of a tenant learn of it one after the other.
    async fn authorized(
        &self,
        request: &Request,
        url: &url::Url,
        meter: &Meter,
    ) -> Result<(Response, Token), ClientError> {
        let mut token = self.tokens.get().await?;
        let mut replaced = false;
        let mut wait = YOUNG_AGAIN;
        loop {
            let response = self.send(request, url.clone(), &token, meter).await?;
            let is_refused = response.status() == StatusCode::UNAUTHORIZED;
            let now = self.monotonic.now();
            if !is_refused
                || lacks_scope(&response)
                || self.denials.explains(request.scope, token.version, now)
            {
                return Ok((response, token));
            }
            let youth = token.youth_left(now);
            if youth.is_zero() && replaced {
                self.denials.note(request.scope, token.version, now);
                return Ok((response, token));
            }
            drop(response);
            if youth.is_zero() {
                self.tokens.reject(&token).await?;
                token = self.tokens.get().await?;
                replaced = true;
                wait = YOUNG_AGAIN;
            } else {
                self.monotonic.sleep(wait.min(youth)).await;
                wait *= 2;
            }
            self.throttled(self.throttle.pace()).await;
            self.retried(meter);
        }
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
            // A cached answer would show an earlier state.
            .header(CACHE_CONTROL, "no-cache")
            .header(AUTHORIZATION, bearer);
        let began = self.monotonic.now();
        let response = sending.send().await;
        let status = response.as_ref().ok().map(|response| response.status().as_u16());
        let took = self.monotonic.now().saturating_sub(began);
        self.http.traffic().answered(status, took);
        match response {
            Ok(response) => Ok(response),
            Err(error) => Err(self.http.unanswered(&call, error).await),
        }
    }

    /// Waits for the throttle, and counts the time.
    async fn throttled<W>(&self, wait: impl Future<Output = W>) -> W {
        let began = self.monotonic.now();
        let waited = wait.await;
        let took = self.monotonic.now().saturating_sub(began);
        self.http.traffic().throttled.add_time(took);
        waited
    }

    /// Waits after a fault of a request, in an outage until a request may be sent again.
    async fn pause(&self, budget: &Mutex<Budget>, fault: ClientError) -> Result<(), ClientError> {
        let least = self.throttle.outage_pause();
        self.retry.pause_at_least(least, budget, fault).await
    }

    /// Counts a request that repeats an earlier one.
    fn retried(&self, meter: &Meter) {
        meter.retry();
        self.http.traffic().retries.add(1);
    }

    fn retry_budgets(&self) -> MutexGuard<'_, RetryBudgets> {
        self.retry_budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(
        &self,
        request: &Request,
        key: &str,
        attempt: u32,
        meter: &Meter,
    ) -> Result<(Incoming, Permit), ClientError> {
        let budget = self.budget(request, key, attempt, meter).await?;
        self.answer(request, meter, &budget).await
    }

    /// The fault of a page. If the page can be made smaller, its retry budget is kept for the next attempt.
    fn unopened(&self, request: &Request, key: &str, fault: ClientError) -> Fault {
        if !may_come_in_parts(&fault, request) {
            self.retry_budgets().forget(key);
            return fault.into();
        }
        self.retry_budgets().note(key, fault.clone());
        Fault {
            kind: Kind::Strained,
            ..fault.into()
        }
    }

    /// The retry budget of a request: new at the first attempt, otherwise the rest of the earlier attempts.
    async fn budget(
        &self,
        request: &Request,
        key: &str,
        attempt: u32,
        meter: &Meter,
    ) -> Result<Arc<Mutex<Budget>>, ClientError> {
        let now = self.monotonic.now();
        if attempt == 0 {
            return Ok(self.retry_budgets().begin(key, self.retry.budget(), now));
        }
        let (budget, fault) = self.retry_budgets().resume(key, now, || {
            let mut budget = self.retry.budget();
            budget.skip(attempt - 1);
            budget
        });
        let fault = fault.unwrap_or_else(|| ClientError::Garbled {
            call: address::call(request),
            why: "its body could not be used".to_owned(),
        });
        self.pause(&budget, fault).await?;
        self.retried(meter);
        Ok(budget)
    }
}

impl<T: TokenStore> Source for Client<T> {
    type Page = StreamedPage;

    /// A page holds one of the `limits.concurrent_requests` until it is dropped. A task that holds a page and opens
    /// another one may wait for ever.
    async fn open(&self, request: &Request, attempt: u32, meter: &Meter) -> Outcome<StreamedPage> {
        let key = RetryBudgets::key(request);
        let call = address::call(request);
        let span = spans::page(&call);
        let opened = self.begin(request, &key, attempt, meter);
        let (body, permit) = opened.instrument(span.clone()).await.map_err(|fault| {
            spans::page_failed(&span);
            self.unopened(request, &key, fault)
        })?;
        self.retry_budgets().body_started(&key, self.monotonic.now());
        let server_time = self.tenant_clock.answered(body.response().headers());
        let elements = Elements::new(request.arrays, self.largest, server_time);
        let trace = Trace {
            call,
            key,
            retry_budgets: Arc::clone(&self.retry_budgets),
            http: self.http.clone(),
            span,
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

/// Whether the page may be too large, and the request can be made smaller.
fn may_come_in_parts(fault: &ClientError, request: &Request) -> bool {
    fault.may_be_size() && request.count().is_some_and(|count| count > SMALLEST_PAGE)
}

/// Whether a 401 says itself that the token is good and its scopes are not enough (RFC 6750, 3.1).
fn lacks_scope(response: &Response) -> bool {
    let challenges = response.headers().get_all(WWW_AUTHENTICATE);
    let mut challenges = challenges.iter().filter_map(|value| value.to_str().ok());
    challenges.any(|challenge| challenge.contains("insufficient_scope"))
}

/// Waits for the first bytes and checks that they may come from the API. A web page with status 200 is requested again.
async fn look(
    mut body: Incoming,
    request: &Request,
    token: &Token,
    proven: bool,
) -> Result<Incoming, ClientError> {
    let call = address::call(request);
    // A body of endless whitespace is no answer.
    let first = body.look(&call, 1024 * 1024).await?;
    if first.trim_ascii_start().starts_with(b"{") {
        return Ok(body);
    }
    let content_type = answer::content_type(body.response());
    // Secrets are removed before the text is shortened, so that no half of a token is shown.
    let words = Redaction::of([token.expose()]).apply(&String::from_utf8_lossy(&first));
    let words = address::without_id(request, &words);
    let shown = answer::clean(&words, 120);
    let why = if shown.is_empty() {
        "the answer is empty".to_owned()
    } else {
        format!("the answer ({content_type}) is not a JSON object: {shown}")
    };
    Err(ClientError::Foreign {
        call,
        why,
        // A look-up is one of many, and its sweep continues without it.
        patience: Patience::once(proven && !request.arrays.is_empty()),
    })
}

/// The whole body of one object.
async fn whole(mut body: Incoming, call: &str, limit: usize, meter: &Meter) -> Result<Bytes, ClientError> {
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

/// The name of the tokens in `sync.tokens`.
pub(super) fn token_name(address: &Address, access: &Access, grant: GrantType) -> TokenName {
    TokenName {
        tenant: address.name(),
        client_id: access.client_id.clone(),
        grant_type: grant.as_str().to_owned(),
    }
}
