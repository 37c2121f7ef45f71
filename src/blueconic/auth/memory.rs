//! Token state in memory: for `check`, which does not use `sync.tokens`, and for tests. It follows the contract of the
//! table, claims included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Clock;
use crate::model::ports::TokenStore;
use crate::model::status::TokenStatus;
use crate::model::tokens::{ClaimOutcome, RefreshOutcome, Sealed, TokenName, TokenRow};

/// Token rows in memory. Clones share them, as replicas share a database.
#[derive(Clone)]
pub struct MemoryTokens {
    clock: Arc<dyn Clock>,
    rows: Arc<Mutex<HashMap<TokenName, Row>>>,
}

struct Row {
    version: i64,
    status: TokenStatus,
    issued_at: Option<Time>,
    expires_at: Option<Time>,
    last_error: Option<String>,
    sealed: Option<Sealed>,
    fence: i64,
    claims: u32,
    claimed_until: Option<Time>,
}

impl MemoryTokens {
    /// No token yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            rows: Arc::default(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<TokenName, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    const EMPTY: Self = Self {
        version: 0,
        status: TokenStatus::Failed,
        issued_at: None,
        expires_at: None,
        last_error: None,
        sealed: None,
        fence: 0,
        claims: 0,
        claimed_until: None,
    };

    fn show(&self, now: Time) -> TokenRow {
        let (key_id, ciphertext) = self.sealed.clone().unzip();
        TokenRow {
            version: self.version,
            status: self.status,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            last_error: self.last_error.clone(),
            key_id,
            ciphertext,
            now,
        }
    }

    fn let_go(&mut self) {
        self.claims = 0;
        self.claimed_until = None;
    }

    fn take(&mut self, now: Time, life: Duration, sealed: Option<Sealed>) {
        self.version += 1;
        self.status = TokenStatus::Valid;
        self.issued_at = Some(now);
        self.expires_at = Some(now + life);
        self.last_error = None;
        self.sealed = sealed;
    }
}

/// Whether the claim with this fence holds, or has lapsed without a successor.
fn is_held(row: &&mut Row, fence: i64) -> bool {
    row.fence == fence && row.claimed_until.is_some()
}

fn taken_over() -> Fault {
    Fault::new(
        Kind::Fenced,
        "another process has taken over the claim on the token",
    )
}

impl TokenStore for MemoryTokens {
    async fn read(&self, name: &TokenName) -> Outcome<Option<TokenRow>> {
        let now = self.clock.now();
        Ok(self.rows().get(name).map(|row| row.show(now)))
    }

    async fn claim(&self, name: &TokenName, seen: i64, hold: Duration) -> Outcome<ClaimOutcome> {
        let now = self.clock.now();
        let mut rows = self.rows();
        if seen == 0 {
            rows.entry(name.clone()).or_insert(Row::EMPTY);
        }
        let Some(row) = rows.get_mut(name).filter(|row| row.version == seen) else {
            return Ok(ClaimOutcome::Superseded);
        };
        if let Some(until) = row.claimed_until.filter(|until| *until > now) {
            return Ok(ClaimOutcome::Busy { until });
        }
        row.fence += 1;
        row.claims += 1;
        row.claimed_until = Some(now + hold);
        row.status = TokenStatus::Refreshing;
        Ok(ClaimOutcome::Claimed {
            fence: row.fence,
            previous_unfinished: row.claims > 1,
        })
    }

    async fn extend(&self, name: &TokenName, fence: i64, hold: Duration) -> Outcome<()> {
        let now = self.clock.now();
        let mut rows = self.rows();
        let row = rows.get_mut(name).filter(|row| is_held(row, fence));
        row.ok_or_else(taken_over)?.claimed_until = Some(now + hold);
        Ok(())
    }

    async fn finish_refresh(&self, name: &TokenName, fence: i64, with: RefreshOutcome) -> Outcome<TokenRow> {
        let now = self.clock.now();
        let mut rows = self.rows();
        let row = rows.get_mut(name).filter(|row| is_held(row, fence));
        let row = row.ok_or_else(taken_over)?;
        row.let_go();
        match with {
            RefreshOutcome::Token { life, sealed } => row.take(now, life, sealed),
            RefreshOutcome::Failed {
                error,
                reauth,
                sealed,
            } => {
                if sealed.is_some() {
                    row.take(now, Duration::ZERO, sealed);
                } else if reauth {
                    row.version += 1;
                }
                row.status = if reauth {
                    TokenStatus::ReauthRequired
                } else {
                    TokenStatus::Failed
                };
                row.last_error = Some(error);
            }
        }
        Ok(row.show(now))
    }

    async fn drop_version(&self, name: &TokenName, version: i64) -> Outcome<()> {
        let now = self.clock.now();
        if let Some(row) = self.rows().get_mut(name).filter(|row| row.version == version) {
            row.expires_at = row.expires_at.map(|at| at.min(now));
            if row.status == TokenStatus::Valid {
                row.status = TokenStatus::Failed;
            }
        }
        Ok(())
    }

    async fn grant(&self, name: &TokenName, life: Duration, sealed: Sealed) -> Outcome<TokenRow> {
        let now = self.clock.now();
        let mut rows = self.rows();
        let row = rows.entry(name.clone()).or_insert(Row::EMPTY);
        row.fence += 1;
        row.let_go();
        row.take(now, life, Some(sealed));
        Ok(row.show(now))
    }

    async fn remove(&self, name: &TokenName, fence: i64) -> Outcome<()> {
        let mut rows = self.rows();
        rows.get_mut(name)
            .filter(|row| is_held(row, fence))
            .ok_or_else(taken_over)?;
        rows.remove(name);
        Ok(())
    }

    async fn of_client(&self, tenant: &str, client_id: &str) -> Outcome<Vec<TokenName>> {
        let mut names: Vec<TokenName> = self
            .rows()
            .keys()
            .filter(|name| name.tenant == tenant && name.client_id == client_id)
            .cloned()
            .collect();
        names.sort_by(|left, right| left.grant_type.cmp(&right.grant_type));
        Ok(names)
    }
}
