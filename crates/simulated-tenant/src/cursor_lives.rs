//! When cursors were given out, for a tenant that forgets them after a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::milliseconds;

/// The cursors that were given out.
#[derive(Debug)]
pub(crate) struct CursorLives {
    /// None: cursors live for ever, and none is kept.
    life: Option<i64>,
    given_at: Mutex<HashMap<String, i64>>,
}

impl CursorLives {
    pub(crate) fn new(life: Option<Duration>) -> Self {
        Self {
            life: life.map(milliseconds),
            given_at: Mutex::default(),
        }
    }

    /// A cursor is given out, as if for the first time.
    pub(crate) fn give(&self, cursor: Option<&String>, now: i64) {
        if let (Some(cursor), true) = (cursor, self.life.is_some()) {
            let mut given_at = self.given_at.lock().unwrap_or_else(PoisonError::into_inner);
            given_at.insert(cursor.clone(), now);
        }
    }

    /// Whether a cursor is too old.
    pub(crate) fn is_over(&self, cursor: &str, now: i64) -> bool {
        let Some(life) = self.life else {
            return false;
        };
        let given_at = self.given_at.lock().unwrap_or_else(PoisonError::into_inner);
        given_at.get(cursor).is_some_and(|at| now - at > life)
    }
}
