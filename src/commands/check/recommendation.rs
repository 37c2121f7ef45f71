//! How often full walks over profiles should come: as often as their time, the limits and their traffic allow. A walk each night is right for
//! a small tenant; for 50 million profiles it would be gigabytes and hours each night, for rows that increments bring anyway.

use serde::Serialize;

use crate::model::format;
use crate::model::usage::{Budget, WARN_PERCENT};

use super::cost::{Cost, DAYS, whole};

/// The traffic of full walks in 30 days up to which they may come without a limit of the settings, in bytes.
const TRAFFIC: f64 = 50.0 * 1024.0 * 1024.0 * 1024.0;
/// A walk may take this part of the time until the next one, so that a slow night or a retry does not run into it.
const PART: f64 = 0.25;
const DAY: f64 = 86_400.0;

/// A full walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// How often it comes in 30 days by the settings.
    pub(super) runs: f64,
    pub(super) cost: Cost,
    /// How long it takes.
    pub(super) seconds: f64,
}

/// What `check` recommends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Recommendation {
    /// `nightly`, `weekly` or `monthly`.
    pub(super) pace: &'static str,
    /// The value of `resources.profiles.full_schedule`.
    pub(super) full_schedule: &'static str,
    /// Whether the schedule of the settings comes no more often.
    pub(super) is_kept: bool,
    /// Why not more often; none for the most frequent pace.
    pub(super) why: Option<String>,
}

/// Name, cron expression, runs in 30 days.
const PACES: [(&str, &str, f64); 3] = [
    ("nightly", "30 2 * * *", DAYS),
    ("weekly", "30 2 * * 0", DAYS / 7.0),
    ("monthly", "30 2 1 * *", 1.0),
];

/// The most frequent pace that nothing speaks against; the least frequent one if something speaks against each. `others`: what the other jobs
/// cost in 30 days.
pub(super) fn recommend(walk: Walk, others: Cost, budget: Budget) -> Recommendation {
    let mut why = None;
    let (mut chosen, last) = (PACES[0], PACES.len() - 1);
    for (place, pace) in PACES.into_iter().enumerate() {
        chosen = pace;
        match against(walk, pace.2, others, budget) {
            None => break,
            Some(reason) if place < last => why = Some(format!("{}: {reason}", pace.0)),
            Some(reason) => why = Some(format!("even {}: {reason}", pace.0)),
        }
    }
    let (pace, full_schedule, runs) = chosen;
    Recommendation {
        pace,
        full_schedule,
        // Months and weeks have no whole number of each other.
        is_kept: walk.runs <= runs + 1.0,
        why,
    }
}

/// What speaks against so many walks in 30 days.
fn against(walk: Walk, runs: f64, others: Cost, budget: Budget) -> Option<String> {
    let pause = DAYS * DAY / runs;
    if walk.seconds > pause * PART {
        return Some(format!(
            "a walk takes about {}, more than a quarter of the time until the next one",
            format::precise(walk.seconds)
        ));
    }
    let beyond = |of: fn(Cost) -> f64, limit: Option<u64>| {
        let limit = limit.map(allowed)?;
        (of(walk.cost) * runs + of(others) > limit).then_some(())
    };
    if beyond(|cost| cost.requests, budget.requests).is_some() {
        return Some(format!(
            "the requests would be more than {WARN_PERCENT}% of `limits.requests_per_month`"
        ));
    }
    if beyond(|cost| cost.bytes, budget.bytes).is_some() {
        return Some(format!(
            "the traffic would be more than {WARN_PERCENT}% of `limits.traffic_per_month`"
        ));
    }
    let traffic = walk.cost.bytes * runs;
    (budget.bytes.is_none() && traffic > TRAFFIC).then(|| {
        format!(
            "full walks would take {} of traffic in 30 days",
            format::bytes(whole(traffic))
        )
    })
}

#[expect(clippy::cast_precision_loss, reason = "a limit needs no last digit")]
fn allowed(limit: u64) -> f64 {
    limit as f64 * WARN_PERCENT as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk over so many profiles of 1 KiB on the wire, in pages of 10,000, at 5,000 profiles a second.
    fn walk(profiles: f64, runs: f64) -> Walk {
        Walk {
            runs,
            cost: Cost {
                requests: 1.0 + profiles / 10_000.0,
                bytes: profiles * 1024.0,
            },
            seconds: profiles / 5000.0,
        }
    }

    fn pace(profiles: f64, others: f64, budget: Budget) -> (&'static str, bool) {
        let others = Cost {
            requests: others,
            bytes: others * 2048.0,
        };
        let found = recommend(walk(profiles, 30.0), others, budget);
        (found.pace, found.is_kept)
    }

    #[test]
    fn the_larger_the_tenant_the_rarer_its_full_walks() {
        let none = Budget::default();
        for (profiles, wanted) in [
            (10_000.0, ("nightly", true)),
            (1e6, ("nightly", true)),
            (5e6, ("weekly", false)),
            (50e6, ("monthly", false)),
        ] {
            assert_eq!(pace(profiles, 10_000.0, none), wanted, "{profiles}");
        }
    }

    #[test]
    fn limits_and_time_make_them_rarer() {
        let requests = |limit| Budget {
            requests: Some(limit),
            bytes: None,
        };
        // 101 requests a walk.
        assert_eq!(pace(1e6, 0.0, requests(4000)).0, "nightly");
        assert_eq!(pace(1e6, 0.0, requests(3000)).0, "weekly");
        assert_eq!(pace(1e6, 2000.0, requests(3000)).0, "monthly");
        let bytes = Budget {
            requests: None,
            bytes: Some(10 << 30),
        };
        assert_eq!(pace(1e6, 0.0, bytes).0, "weekly");
        let slow = Walk {
            seconds: 8.0 * 3600.0,
            ..walk(1e6, 30.0)
        };
        let found = recommend(slow, Cost::default(), Budget::default());
        assert_eq!(found.pace, "weekly");
        assert_eq!(
            found.why.as_deref(),
            Some("nightly: a walk takes about 8 h 0 min, more than a quarter of the time until the next one")
        );
        let hopeless = recommend(walk(1e6, 30.0), Cost::default(), requests(10));
        assert_eq!(hopeless.pace, "monthly");
        assert!(
            hopeless
                .why
                .is_some_and(|why| why.starts_with("even monthly: the requests"))
        );
    }
}
