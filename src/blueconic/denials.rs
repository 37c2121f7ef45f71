//! Which scopes a token lacks. A 401 may mean a token that has died or a scope that is missing, and the answer rarely says which: the
//! token is replaced, and a scope that is refused again is missing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a replacement in vain speaks for other scopes: an application that lacks one scope often lacks several, and each
/// replacement takes a token request and some seconds. Later the token may have died.
const SPEAKS_FOR: Duration = Duration::from_mins(1);

/// The scopes that were refused.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<Refused>);

#[derive(Debug, Default)]
struct Refused {
    /// The token version that was refused per scope although it was fresh.
    scopes: HashMap<&'static str, i64>,
    /// The token version of the last replacement in vain, and when that was.
    in_vain: Option<(i64, Duration)>,
}

impl Denials {
    /// Whether a refusal of this scope means that the scope is missing: it was refused with this same token before, or another scope
    /// was a moment ago.
    pub(super) fn explains(&self, scope: &'static str, version: i64, now: Duration) -> bool {
        let refused = self.refused();
        let same = refused.scopes.get(scope).is_some_and(|known| *known == version);
        let recent = refused
            .in_vain
            .is_some_and(|(of, at)| of == version && now.saturating_sub(at) < SPEAKS_FOR);
        same || recent
    }

    /// Notes that a new token was refused, too.
    pub(super) fn note(&self, scope: &'static str, version: i64, now: Duration) {
        let mut refused = self.refused();
        refused.scopes.insert(scope, version);
        refused.in_vain = Some((version, now));
    }

    /// The scope is granted: a later refusal is a new one.
    pub(super) fn forget(&self, scope: &'static str) {
        self.refused().scopes.remove(scope);
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_in_vain_speaks_for_other_scopes_for_a_while() {
        let denials = Denials::default();
        let at = Duration::from_secs;
        assert!(!denials.explains("a", 2, at(0)));
        denials.note("a", 2, at(100));
        assert!(denials.explains("a", 2, at(10_000)), "the same scope and token");
        assert!(denials.explains("b", 2, at(159)));
        assert!(!denials.explains("b", 2, at(160)), "the token may have died");
        assert!(!denials.explains("b", 3, at(101)), "another token");
        denials.forget("a");
        assert!(!denials.explains("a", 2, at(160)));
    }
}
