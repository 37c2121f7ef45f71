//! Remembers when all open sessions became unusable (after a failover, for example), so that the pools replace them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time at which the open sessions became unusable, in milliseconds since the first session; zero for never.
static STALE_BEFORE: AtomicU64 = AtomicU64::new(0);
static FIRST_SESSION: LazyLock<Instant> = LazyLock::new(Instant::now);

fn milliseconds_since_first_session() -> u64 {
    u64::try_from(FIRST_SESSION.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Marks all open sessions as unusable, after one met an error that stays with its session (it is read-only, or its prepared
/// statements are gone).
pub(crate) fn mark_open_sessions() {
    STALE_BEFORE.store(
        milliseconds_since_first_session().saturating_add(1),
        Ordering::Relaxed,
    );
}

/// Whether a session of this age was opened after the last mark.
pub(crate) fn is_valid(age: Duration) -> bool {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    milliseconds_since_first_session().saturating_sub(age) >= STALE_BEFORE.load(Ordering::Relaxed)
}
