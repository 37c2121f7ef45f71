//! Keeps one living access token: cached here, shared through `sync.tokens`, asked for once however many want it. It
//! refreshes ahead of the end while the old token still serves, and knows nothing of what the token is used for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::blueconic::auth::grant::{Grant, LONGEST_REQUEST};
use crate::blueconic::auth::seal::Seal;
use crate::blueconic::error::ClientError;
use crate::blueconic::retry::Retry;
use crate::blueconic::steady::Steady;
use crate::model::Time;
use crate::model::fault::Kind;
use crate::model::ports::{Claim, Settled, TokenName, TokenRow, TokenStore};

/// A claim outlives the longest token request, so that it lapses only when its holder is gone.
const HOLD: Duration = LONGEST_REQUEST.saturating_add(Duration::from_secs(10));
/// How long to wait before looking again whether another process has its token.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// For so long a final refusal is not asked about again: repeating a wrong secret locks an account out.
const REFUSAL_STANDS: Duration = Duration::from_mins(1);
/// After a refresh ahead of the end has failed, the next one waits so long.
const REFRESH_AGAIN: Duration = Duration::from_secs(30);
/// No refresh later than this before the end.
const MARGIN: Duration = Duration::from_mins(5);
/// A token that dies within this is not sent any more (or within a twentieth of its life, if that is shorter).
const LAST_SECONDS: Duration = Duration::from_secs(10);

/// An access token as it is sent.
#[derive(Clone)]
pub(in crate::blueconic) struct Token {
    /// Its version in `sync.tokens`.
    pub(in crate::blueconic) version: i64,
    secret: Arc<Zeroizing<String>>,
    expires_at: Time,
    refresh_at: Duration,
    dies_at: Duration,
}

impl Token {
    /// The token itself, for the one header that carries it.
    pub(in crate::blueconic) fn expose(&self) -> &str {
        &self.secret
    }

    /// When it dies, by the clock of the database.
    pub(in crate::blueconic) fn expires_at(&self) -> Time {
        self.expires_at
    }
}

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
    store: T,
    name: TokenName,
    seal: Option<Seal>,
    grant: Grant,
    retry: Retry,
    steady: Steady,
    /// One task at a time looks for a new token.
    turn: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    token: Option<Token>,
    /// Versions up to this one were refused by the API.
    dropped: i64,
    failure: Option<Failure>,
    /// A task refreshes ahead of the end.
    refreshing: bool,
    /// Such a task has failed: no other before then.
    refresh_not_before: Duration,
}

/// How the last look for a token failed: it holds for all who were waiting then, and a final one for a while.
#[derive(Clone)]
struct Failure {
    at: Duration,
    error: ClientError,
}

impl<T: TokenStore> Tokens<T> {
    pub(in crate::blueconic) fn new(
        store: T,
        name: TokenName,
        seal: Option<Seal>,
        grant: Grant,
        retry: Retry,
        steady: Steady,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                name,
                seal,
                grant,
                retry,
                steady,
                turn: tokio::sync::Mutex::new(()),
                memory: Mutex::default(),
            }),
        }
    }

    /// A token that lives. Waits only when there is none: ahead of the end, the old one serves while a task of its own
    /// fetches the next.
    pub(in crate::blueconic) async fn get(&self) -> Result<Token, ClientError> {
        let now = self.shared.steady.now();
        let living = self.shared.memory().living(now);
        let Some(token) = living else {
            return self.fetch(now).await;
        };
        if now >= token.refresh_at {
            self.refresh_in_background(now);
        }
        Ok(token)
    }

    /// The API refused this token: it is dropped here and for all replicas, unless a newer one is there already.
    pub(in crate::blueconic) async fn reject(&self, token: &Token) -> Result<(), ClientError> {
        let first = self.shared.memory().drop_version(token.version);
        if first {
            tracing::warn!(
                version = token.version,
                "the tenant no longer accepts the token; asking for a new one"
            );
            let dropping = self.shared.store.drop_version(&self.shared.name, token.version);
            dropping.await.map_err(ClientError::Store)?;
        }
        Ok(())
    }

    /// Fetches in a task of its own: a caller that goes away must not leave a claim behind that others wait for.
    async fn fetch(&self, since: Duration) -> Result<Token, ClientError> {
        let shared = Arc::clone(&self.shared);
        match tokio::spawn(async move { shared.fetch_in_turn(since).await }).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Token {
                why: "the task that asked for it was stopped".to_owned(),
            }),
        }
    }

    fn refresh_in_background(&self, now: Duration) {
        if !self.shared.memory().begin_refresh(now) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let outcome = shared.fetch_in_turn(now).await;
            if let Err(error) = &outcome {
                let why = error.why().unwrap_or_default();
                tracing::warn!(why, "the token could not be refreshed ahead of its end: {error}");
            }
            let now = shared.steady.now();
            shared.memory().end_refresh(outcome.is_ok(), now);
        });
    }
}

impl<T: TokenStore> Shared<T> {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_in_turn(&self, since: Duration) -> Result<Token, ClientError> {
        let _turn = self.turn.lock().await;
        let now = self.steady.now();
        if let Some(outcome) = self.memory().settled(since, now) {
            return outcome;
        }
        let outcome = self.fetch().await;
        let mut memory = self.memory();
        match &outcome {
            Ok(token) => {
                memory.token = Some(token.clone());
                memory.failure = None;
            }
            Err(error) => {
                memory.failure = Some(Failure {
                    at: self.steady.now(),
                    error: error.clone(),
                });
            }
        }
        outcome
    }

    /// Reads, claims and asks, until there is a token.
    async fn fetch(&self) -> Result<Token, ClientError> {
        let budget = Mutex::new(self.retry.budget());
        loop {
            let row = self.store.read(&self.name).await.map_err(ClientError::Store)?;
            if let Some(token) = row.as_ref().and_then(|row| self.adopt(row)) {
                return Ok(token);
            }
            let seen = row.as_ref().map_or(0, |row| row.version);
            let claim = self.store.claim(&self.name, seen, HOLD).await;
            match claim.map_err(ClientError::Store)? {
                Claim::Newer => {}
                Claim::Busy { .. } => self.steady.sleep(LOOK_AGAIN).await,
                Claim::Yours { version } => match self.ask(version).await {
                    Ok(Some(token)) => return Ok(token),
                    Ok(None) => {}
                    Err(fault) => self.retry.pause(&budget, fault).await?,
                },
            }
        }
    }

    /// Asks the tenant under a claim and settles it; none when the claim was lost meanwhile.
    async fn ask(&self, version: i64) -> Result<Option<Token>, ClientError> {
        let asked_at = self.steady.now();
        let granted = match self.grant.ask(self.steady.wall()).await {
            Ok(granted) => granted,
            Err(error) => {
                self.note_failure(version, &error).await?;
                return Err(error);
            }
        };
        // Its life may have begun as early as when it was asked for.
        let took = self.steady.now().saturating_sub(asked_at);
        let life = granted.life.saturating_sub(took).max(Duration::from_secs(1));
        let settled = Settled::Token {
            life,
            sealed: self.sealed(&granted.token),
        };
        match self.store.settle(&self.name, version, settled).await {
            Ok(row) => Ok(Some(self.token(&row, life, life, granted.token))),
            Err(fault) if fault.kind == Kind::Fenced => Ok(None),
            Err(fault) => Err(ClientError::Store(fault)),
        }
    }

    async fn note_failure(&self, version: i64, error: &ClientError) -> Result<(), ClientError> {
        let why = error.why().map(|why| format!(": {why}")).unwrap_or_default();
        let failed = Settled::Failed {
            error: format!("{error}{why}"),
            reauth: false,
        };
        match self.store.settle(&self.name, version, failed).await {
            Err(fault) if fault.kind != Kind::Fenced => Err(ClientError::Store(fault)),
            _ => Ok(()),
        }
    }

    fn sealed(&self, token: &str) -> Option<(String, Vec<u8>)> {
        let seal = self.seal.as_ref()?;
        match seal.close(token, &self.name) {
            Ok(sealed) => Some((seal.id().to_owned(), sealed)),
            Err(error) => {
                tracing::warn!("the token cannot be sealed and stays in memory: {error}");
                None
            }
        }
    }

    /// Takes over the token of the row, if it is one that another process got and that still has time.
    fn adopt(&self, row: &TokenRow) -> Option<Token> {
        let seal = self.seal.as_ref()?;
        let usable = matches!(&*row.status, "valid" | "refreshing") && row.version > self.memory().dropped;
        let sealed = row.ciphertext.as_ref().filter(|_| usable)?;
        let left = (row.expires_at? - row.now).to_std().ok()?;
        let life = (row.expires_at? - row.issued_at?).to_std().ok()?;
        match seal.open(sealed, &self.name) {
            Ok(secret) => {
                let token = self.token(row, life, left, secret);
                (self.steady.now() < token.refresh_at).then_some(token)
            }
            Err(error) => {
                let (stored, own) = (row.key_id.as_deref().unwrap_or("none"), seal.id());
                tracing::warn!(
                    stored,
                    own,
                    "{error} (key {stored}, ours is {own}); asking for a new token"
                );
                None
            }
        }
    }

    fn token(&self, row: &TokenRow, life: Duration, left: Duration, secret: Zeroizing<String>) -> Token {
        let now = self.steady.now();
        let passed = life.saturating_sub(left);
        let refresh_after = refresh_after(life, rand::random()).saturating_sub(passed);
        let unsent = LAST_SECONDS.min(life / 20);
        Token {
            version: row.version,
            secret: Arc::new(secret),
            expires_at: row.expires_at.unwrap_or(row.now),
            refresh_at: now + refresh_after,
            dies_at: now + left.saturating_sub(unsent),
        }
    }
}

impl Memory {
    fn living(&self, now: Duration) -> Option<Token> {
        self.token.clone().filter(|token| now < token.dies_at)
    }

    /// What came of it while the caller waited for its turn.
    fn settled(&self, since: Duration, now: Duration) -> Option<Result<Token, ClientError>> {
        if let Some(token) = self.living(now).filter(|token| now < token.refresh_at) {
            return Some(Ok(token));
        }
        let failure = self.failure.as_ref()?;
        let stands = match failure.error {
            ClientError::Refused { .. } => now < failure.at + REFUSAL_STANDS,
            _ => failure.at > since,
        };
        stands.then(|| Err(failure.error.clone()))
    }

    /// Whether a task may refresh ahead of the end: one at a time, and not again right after a failure.
    fn begin_refresh(&mut self, now: Duration) -> bool {
        let free = !self.refreshing && now >= self.refresh_not_before;
        self.refreshing |= free;
        free
    }

    fn end_refresh(&mut self, succeeded: bool, now: Duration) {
        self.refreshing = false;
        if !succeeded {
            self.refresh_not_before = now + REFRESH_AGAIN;
        }
    }

    /// Forgets a version; false when that has been done.
    fn drop_version(&mut self, version: i64) -> bool {
        if self.token.as_ref().is_some_and(|token| token.version <= version) {
            self.token = None;
        }
        let first = version > self.dropped;
        self.dropped = self.dropped.max(version);
        first
    }
}

/// How long after its issue a token is refreshed: at 80% of its life and up to 10% more (so that replicas do not all
/// come at once), but never within the last five minutes, or within the last fifth of a short life.
fn refresh_after(life: Duration, jitter: f64) -> Duration {
    let planned = life.mul_f64(0.8 + 0.1 * jitter.clamp(0.0, 1.0));
    planned.min(life.saturating_sub(MARGIN.min(life / 5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_lies_ahead_of_the_end() {
        let minutes = Duration::from_mins;
        for (life, earliest, latest) in [
            (minutes(60), minutes(48), minutes(54)),
            (minutes(30), minutes(24), minutes(25)),
            (minutes(10), minutes(8), minutes(8)),
            (
                Duration::from_secs(5),
                Duration::from_secs(4),
                Duration::from_secs(4),
            ),
        ] {
            assert_eq!(refresh_after(life, 0.0), earliest);
            assert_eq!(refresh_after(life, 1.0), latest);
        }
    }
}
