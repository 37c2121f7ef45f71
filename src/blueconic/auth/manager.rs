//! Keeps one valid access token. It is cached here, requested once however many callers wait, and refreshed before it
//! expires while the old one is still used. `refresh` requests tokens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::blueconic::auth::grant::Grant;
use crate::blueconic::auth::refresh::Refresher;
use crate::blueconic::auth::seal::Seal;
use crate::blueconic::auth::token::Token;
use crate::blueconic::error::ClientError;
use crate::blueconic::monotonic_clock::MonotonicClock;
use crate::blueconic::retry::Retry;
use crate::model::ports::TokenStore;
use crate::model::tokens::TokenName;

/// How long a final refusal is not repeated: repeating a wrong secret may lock the account. Each further refusal
/// doubles the time,
const REFUSAL_STANDS: Duration = Duration::from_mins(1);
/// up to this, so that a corrected secret is soon used.
const REFUSAL_STANDS_AT_MOST: Duration = Duration::from_mins(8);
/// The wait after a failed early refresh.
const REFRESH_AGAIN: Duration = Duration::from_secs(30);
/// The longest time between two checks: tokens are also dropped, and clocks are set.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);

/// The tokens of one application at one tenant. Clones share everything.
pub(in crate::blueconic) struct Tokens<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Tokens<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<T> {
    refresher: Refresher<T>,
    monotonic: MonotonicClock,
    /// One task at a time looks for a new token.
    refresh_lock: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    token: Option<Token>,
    /// Versions up to this one were refused by the API.
    dropped: i64,
    failure: Option<Failure>,
    /// The number of final refusals in a row.
    refusals: u32,
    /// Whether a task is refreshing the token ahead of its expiry.
    refreshing: bool,
    /// After such a task failed, no other starts before this time,
    refresh_not_before: Duration,
    /// and this warning was logged: a fault that stays is logged once.
    last_warning: Option<String>,
}

/// The last failure. It applies to all callers that were waiting; a final failure applies for a while longer.
#[derive(Clone)]
struct Failure {
    at: Duration,
    stands_until: Duration,
    error: ClientError,
}

impl<T: TokenStore> Tokens<T> {
    pub(in crate::blueconic) fn new(
        store: T,
        name: TokenName,
        seal: Option<Seal>,
        grant: Grant,
        retry: Retry,
        monotonic: MonotonicClock,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                refresher: Refresher::new(store, name, seal, grant, retry, monotonic.clone()),
                monotonic,
                refresh_lock: tokio::sync::Mutex::new(()),
                memory: Mutex::default(),
            }),
        }
    }

    /// A valid token. Waits only if there is none; before the old token expires, a background task fetches the next
    /// one.
    pub(in crate::blueconic) async fn get(&self) -> Result<Token, ClientError> {
        let now = self.shared.monotonic.now();
        let valid = self.shared.memory().valid(now);
        let Some(token) = valid else {
            return self.fetch(now).await;
        };
        if !token.is_fresh(now) {
            self.refresh_in_background(now);
        }
        Ok(token)
    }

    /// Drops a token that the API refused, here and for all replicas, unless a newer one exists.
    pub(in crate::blueconic) async fn reject(&self, token: &Token) -> Result<(), ClientError> {
        let first = self.shared.memory().drop_version(token.version);
        if first {
            tracing::warn!(
                version = token.version,
                "the tenant no longer accepts the token; asking for a new one"
            );
            self.shared.refresher.drop_version(token.version).await?;
        }
        Ok(())
    }

    /// Refreshes the token ahead of its expiry until the future is dropped.
    pub(in crate::blueconic) async fn keep(&self) {
        loop {
            let now = self.shared.monotonic.now();
            let fresh = self.shared.memory().fresh(now);
            let wait = match fresh {
                Some(token) => token.refresh_at().saturating_sub(now),
                None => self.refresh(now).await,
            };
            let wait = wait.clamp(Duration::from_millis(10), LOOK_AT_LEAST);
            self.shared.monotonic.sleep(wait).await;
        }
    }

    /// Waits until no token request is open, so that its result is stored. False if that takes longer than `patience`.
    pub(in crate::blueconic) async fn finish(&self, patience: Duration) -> bool {
        let lock = tokio::time::timeout(patience, self.shared.refresh_lock.lock());
        lock.await.is_ok()
    }

    /// Like [`Self::finish`], and later callers wait for ever.
    pub(in crate::blueconic) async fn close(&self, patience: Duration) -> bool {
        let lock = tokio::time::timeout(patience, self.shared.refresh_lock.lock());
        lock.await.map(std::mem::forget).is_ok()
    }

    /// Refreshes the token if it is due; returns the time until the next check.
    async fn refresh(&self, now: Duration) -> Duration {
        if !self.shared.memory().begin_refresh(now) {
            return REFRESH_AGAIN;
        }
        let outcome = self.fetch(now).await;
        self.shared.end_refresh(outcome)
    }

    /// Fetches in a separate task, so that a cancelled caller leaves no claim.
    async fn fetch(&self, since: Duration) -> Result<Token, ClientError> {
        let shared = Arc::clone(&self.shared);
        match tokio::spawn(async move { shared.fetch_locked(since).await }).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::unusable("the task that asked for it was stopped")),
        }
    }

    fn refresh_in_background(&self, now: Duration) {
        if !self.shared.memory().begin_refresh(now) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let outcome = shared.fetch_locked(now).await;
            shared.end_refresh(outcome);
        });
    }
}

impl<T: TokenStore> Shared<T> {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_locked(&self, since: Duration) -> Result<Token, ClientError> {
        let _lock = self.refresh_lock.lock().await;
        let now = self.monotonic.now();
        if let Some(outcome) = self.memory().settled(since, now) {
            return outcome;
        }
        let dropped = self.memory().dropped;
        let outcome = self.refresher.fetch(dropped).await;
        self.memory().learn(&outcome, self.monotonic.now());
        outcome
    }

    fn end_refresh(&self, outcome: Result<Token, ClientError>) -> Duration {
        let now = self.monotonic.now();
        let mut memory = self.memory();
        memory.refreshing = false;
        let Err(error) = outcome else {
            memory.last_warning = None;
            return Duration::ZERO;
        };
        let why = error.why().unwrap_or_default();
        let warning = format!("{error}: {why}");
        if memory.last_warning.as_ref() != Some(&warning) {
            let hint = error.hint().unwrap_or_default();
            tracing::warn!(
                why,
                hint,
                "the token could not be refreshed ahead of its end: {error}"
            );
        }
        memory.last_warning = Some(warning);
        let stands = memory
            .failure
            .as_ref()
            .map_or(now, |failure| failure.stands_until);
        memory.refresh_not_before = stands.max(now + REFRESH_AGAIN);
        memory.refresh_not_before.saturating_sub(now)
    }
}

impl Memory {
    fn valid(&self, now: Duration) -> Option<Token> {
        self.token.clone().filter(|token| token.is_valid(now))
    }

    fn fresh(&self, now: Duration) -> Option<Token> {
        self.valid(now).filter(|token| token.is_fresh(now))
    }

    /// The result of another caller's refresh while this one waited for the lock.
    fn settled(&self, since: Duration, now: Duration) -> Option<Result<Token, ClientError>> {
        if let Some(token) = self.fresh(now) {
            return Some(Ok(token));
        }
        let failure = self.failure.as_ref()?;
        let stands = now < failure.stands_until || failure.at > since;
        stands.then(|| Err(failure.error.clone()))
    }

    fn learn(&mut self, outcome: &Result<Token, ClientError>, now: Duration) {
        match outcome {
            Ok(token) => {
                // A new row counts versions from one again.
                if token.version < self.dropped {
                    self.dropped = 0;
                }
                self.token = Some(token.clone());
                self.failure = None;
                self.refusals = 0;
            }
            Err(error) => {
                let stands = match error {
                    ClientError::Refused { .. } | ClientError::Token { .. } => {
                        let doubled = REFUSAL_STANDS * 2_u32.saturating_pow(self.refusals.min(8));
                        self.refusals += 1;
                        doubled.min(REFUSAL_STANDS_AT_MOST)
                    }
                    _ => Duration::ZERO,
                };
                self.failure = Some(Failure {
                    at: now,
                    stands_until: now + stands,
                    error: error.clone(),
                });
            }
        }
    }

    /// Whether a task may refresh ahead of the expiry: one at a time, and not right after a failure.
    fn begin_refresh(&mut self, now: Duration) -> bool {
        let free = !self.refreshing && now >= self.refresh_not_before;
        self.refreshing |= free;
        free
    }

    /// Forgets a version; false when that has been done.
    fn drop_version(&mut self, version: i64) -> bool {
        let held = self.token.as_ref().is_some_and(|token| token.version <= version);
        if held {
            self.token = None;
        }
        let first = held || version > self.dropped;
        self.dropped = self.dropped.max(version);
        first
    }
}
