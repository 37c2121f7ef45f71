//! An access token in memory: until when it is sent, and when it is refreshed.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::model::Time;

/// The latest refresh, before the expiry.
const MARGIN: Duration = Duration::from_mins(5);
/// A token is not sent within this time before its expiry (or within a twentieth of its life, if that is shorter).
const LAST_SECONDS: Duration = Duration::from_secs(10);

/// The time in which all nodes of a tenant learn of a new token.
const YOUTH: Duration = Duration::from_secs(5);

/// An access token as it is sent.
#[derive(Clone)]
pub(in crate::blueconic) struct Token {
    /// Its version in `sync.tokens`.
    pub(in crate::blueconic) version: i64,
    secret: Arc<Zeroizing<String>>,
    expires_at: Time,
    refresh_at: Duration,
    dies_at: Duration,
    young_until: Duration,
}

impl Token {
    /// A token with the rest of its life at `now`.
    pub(super) fn new(
        version: i64,
        secret: Zeroizing<String>,
        expires_at: Time,
        (life, left): (Duration, Duration),
        now: Duration,
    ) -> Self {
        let passed = life.saturating_sub(left);
        let refresh_after = refresh_after(life, rand::random()).saturating_sub(passed);
        let unsent = LAST_SECONDS.min(life / 20);
        Self {
            version,
            secret: Arc::new(secret),
            expires_at,
            refresh_at: now + refresh_after,
            dies_at: now + left.saturating_sub(unsent),
            young_until: now + YOUTH.saturating_sub(passed),
        }
    }

    /// The token itself, for the one header that carries it.
    pub(in crate::blueconic) fn expose(&self) -> &str {
        &self.secret
    }

    /// The expiry, by the database's clock.
    pub(in crate::blueconic) fn expires_at(&self) -> Time {
        self.expires_at
    }

    /// The time of the refresh.
    pub(super) fn refresh_at(&self) -> Duration {
        self.refresh_at
    }

    /// The rest of the time in which some node may not know the token yet.
    pub(in crate::blueconic) fn youth_left(&self, now: Duration) -> Duration {
        self.young_until.saturating_sub(now)
    }

    /// Whether it may still be sent.
    pub(super) fn is_valid(&self, now: Duration) -> bool {
        now < self.dies_at
    }

    /// Whether it is too early to ask for the next one.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now < self.refresh_at
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
