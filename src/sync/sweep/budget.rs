//! How many look-ups a sweep may make, and how fast: a share of the rate, for half of the time until the next full walk. So they neither
//! starve increments nor keep that walk from its lease.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Time;
use crate::sync::run_spec::Bounds;

/// The look-ups of one sweep.
#[derive(Debug, Clone, Copy)]
pub(in crate::sync) struct LookupBudget {
    most: u64,
    per_second: u32,
    began: Instant,
}

impl Default for LookupBudget {
    fn default() -> Self {
        Self {
            most: 0,
            per_second: 0,
            began: Instant::now(),
        }
    }
}

impl LookupBudget {
    /// The budget of a sweep that begins `now`. It is never below the bound that holds without a schedule, and without one nobody
    /// waits for the rest of the rate.
    pub(in crate::sync) fn of(bounds: &Bounds, now: Time, next_full_at: Option<Time>) -> Self {
        let time = next_full_at.and_then(|next| (next - now).to_std().ok());
        let seconds = time.unwrap_or_default().as_secs();
        Self {
            most: bounds
                .lookups
                .max(seconds / 2 * u64::from(bounds.lookups_per_second)),
            per_second: next_full_at.map_or(0, |_| bounds.lookups_per_second),
            ..Self::default()
        }
    }

    /// No bound but the share of the rate: for what is looked up outside of sweeps.
    pub(in crate::sync) fn at_the_rate(bounds: &Bounds) -> Self {
        Self {
            most: u64::MAX,
            per_second: bounds.lookups_per_second,
            ..Self::default()
        }
    }

    /// The most look-ups.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// How long to wait before the next look-ups, after `asked` of them.
    pub(in crate::sync) fn pause(&self, asked: u64) -> Duration {
        if self.per_second == 0 {
            return Duration::ZERO;
        }
        let due = Duration::from_secs(asked) / self.per_second;
        due.saturating_sub(self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::removals::RemovalBound;

    fn bounds(lookups: u64, lookups_per_second: u32) -> Bounds {
        Bounds {
            batch_bytes: 0,
            batch_elements: 0,
            lanes: 0,
            known_bytes: 0,
            full_window: None,
            lease_ttl: Duration::ZERO,
            removals: RemovalBound::Default,
            approved_removals: None,
            lookups,
            lookups_per_second,
            sample: 0,
            lookups_at_once: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_time_until_the_next_walk_goes_to_look_ups_within_the_rate() {
        let now = Time::UNIX_EPOCH;
        let day = Some(now + TimeDelta::days(1));
        let budget = LookupBudget::of(&bounds(10_000, 2), now, day);
        assert_eq!(budget.most(), 86_400);
        assert_eq!(budget.pause(0), Duration::ZERO);
        assert_eq!(budget.pause(200), Duration::from_secs(100));
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(budget.pause(200), Duration::from_secs(30));
        // A walk is due already, or none is planned, or nothing is known of the rate.
        for (next, rate) in [(Some(now - TimeDelta::hours(1)), 2), (None, 2), (day, 0)] {
            let budget = LookupBudget::of(&bounds(10_000, rate), now, next);
            assert_eq!(budget.most(), 10_000);
            assert_eq!(budget.pause(200).is_zero(), next.is_none() || rate == 0);
        }
    }
}
