//! Token state that lives in this process only: for `check`, which neither reads nor writes `sync.tokens`, and for tests.
//! It keeps the contract of the table, claims and all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Claim, Clock, Settled, TokenName, TokenRow, TokenStore};

/// Token rows in memory. Clones share them, as replicas share a database.
#[derive(Clone)]
pub struct MemoryTokens {
    clock: Arc<dyn Clock>,
    rows: Arc<Mutex<HashMap<TokenName, Row>>>,
}

struct Row {
    version: i64,
    status: &'static str,
    issued_at: Option<Time>,
    expires_at: Option<Time>,
    sealed: Option<(String, Vec<u8>)>,
    claim: Option<(i64, Time)>,
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
        status: "failed",
        issued_at: None,
        expires_at: None,
        sealed: None,
        claim: None,
    };

    fn show(&self, now: Time) -> TokenRow {
        let (key_id, ciphertext) = self.sealed.clone().unzip();
        TokenRow {
            version: self.version,
            status: self.status.to_owned(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            key_id,
            ciphertext,
            now,
        }
    }
}

impl TokenStore for MemoryTokens {
    async fn read(&self, name: &TokenName) -> Outcome<Option<TokenRow>> {
        let now = self.clock.now();
        Ok(self.rows().get(name).map(|row| row.show(now)))
    }

    async fn claim(&self, name: &TokenName, seen: i64, hold: Duration) -> Outcome<Claim> {
        let now = self.clock.now();
        let mut rows = self.rows();
        let row = rows.entry(name.clone()).or_insert(Row::EMPTY);
        if row.version > seen {
            return Ok(Claim::Newer);
        }
        if let Some((_, until)) = row.claim.filter(|(_, until)| *until > now) {
            return Ok(Claim::Busy { until });
        }
        // A lapsed claim's version is not given out again: its holder may still come back with it.
        let version = row.claim.map_or(row.version, |(version, _)| version) + 1;
        row.claim = Some((version, now + hold));
        row.status = "refreshing";
        Ok(Claim::Yours { version })
    }

    async fn settle(&self, name: &TokenName, version: i64, with: Settled) -> Outcome<TokenRow> {
        let now = self.clock.now();
        let mut rows = self.rows();
        let row = rows.entry(name.clone()).or_insert(Row::EMPTY);
        if row.claim.is_none_or(|(claimed, _)| claimed != version) {
            return Err(Fault::new(
                Kind::Fenced,
                "another process has taken over the claim on the token",
            ));
        }
        row.claim = None;
        match with {
            Settled::Token { life, sealed } => {
                row.version = version;
                row.status = "valid";
                row.issued_at = Some(now);
                row.expires_at = Some(now + life);
                row.sealed = sealed;
            }
            Settled::Failed { reauth, .. } => {
                row.status = if reauth { "reauth_required" } else { "failed" };
            }
        }
        Ok(row.show(now))
    }

    async fn drop_version(&self, name: &TokenName, version: i64) -> Outcome<()> {
        let now = self.clock.now();
        if let Some(row) = self.rows().get_mut(name).filter(|row| row.version <= version) {
            row.status = "failed";
            row.expires_at = Some(now);
            row.sealed = None;
        }
        Ok(())
    }
}
