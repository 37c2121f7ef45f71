//! The times of a walk, compared with this process's and the database's clock: the time from which the walk claims
//! nothing, the time up to which it asks, and the advice when the clocks differ.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::clocks::{OwnClocks, TOLERANCE, later_by};
use crate::model::cursor::Standing;
use crate::model::fault::Outcome;
use crate::model::ports::{Clock, Store};
use crate::model::position::CursorPosition;

use super::progress::Progress;

/// Reads both own clocks.
pub(super) async fn own_clocks<T: Store>(clock: &dyn Clock, store: &T) -> Outcome<OwnClocks> {
    let database = store.now().await?;
    Ok(OwnClocks {
        process: clock.now(),
        database,
    })
}

/// How far a resource has come, and both own clocks at that moment.
pub(super) async fn standing<T: Store>(
    clock: &dyn Clock,
    store: &T,
    resource: &'static str,
) -> Outcome<(Standing, OwnClocks)> {
    let standing = store.standing(resource).await?;
    let own = OwnClocks {
        process: clock.now(),
        database: standing.now,
    };
    Ok((standing, own))
}

/// The times of a walk that begins now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WalkTimes {
    /// The walk claims to be complete up to this time; it becomes the watermark. The tenant's time, but never later
    /// than both own clocks; without the tenant's time, the earlier of the two.
    pub(super) claimed: Time,
    /// The upper bound of the requests: the latest of all clocks plus a tolerance. Asking too far costs nothing.
    pub(super) asked: Time,
}

impl WalkTimes {
    /// Computes both times from the tenant's time, if it is known, and the own clocks.
    pub(super) fn of(server_time: Option<Time>, own: OwnClocks) -> Self {
        let latest = server_time.map_or(own.later(), |server_time| server_time.max(own.later()));
        Self {
            claimed: server_time.map_or(own.earlier(), |server_time| server_time.min(own.later())),
            asked: later_by(latest, TOLERANCE),
        }
    }
}

/// Advises about clocks that differ by more than the tolerance.
pub(super) fn advise_on_clocks(progress: &Progress, server_time: Option<Time>, own: OwnClocks) {
    if let Some(apart) = own.difference() {
        let side = if apart > TimeDelta::zero() {
            "ahead of"
        } else {
            "behind"
        };
        progress.advise(&format!(
            "this machine's clock is {} {side} the database's: correct the wrong one",
            in_words(apart)
        ));
    }
    match server_time.and_then(|server_time| own.departure(server_time)) {
        Some(ahead) if ahead > TimeDelta::zero() => progress.advise(&format!(
            "the tenant's clock is {} ahead of this machine's and the database's: what is read counts as complete through \
             our own time only, and what the tenant dates later is read again",
            in_words(ahead)
        )),
        Some(behind) => progress.advise(&format!(
            "the tenant's clock is {} behind this machine's and the database's, or its answers come from a cache: what is \
             read counts as complete through the tenant's time only",
            in_words(behind)
        )),
        None => {}
    }
}

/// Advises about a walk that claims less than its start, unless there is advice already. The cause is a page from a
/// cache, or from a node whose clock is behind.
pub(super) fn advise_on_claim(progress: &Progress, walk: &CursorPosition) {
    let behind = walk.opened_at - walk.began_at;
    if behind > TOLERANCE && progress.advice().is_none() {
        progress.advise(&format!(
            "an answer of the tenant is dated {} before this walk began: what was read counts as complete through then \
             only; check whether a cache stands before the tenant",
            in_words(behind)
        ));
    }
}

/// A duration in words, without its sign.
pub(super) fn in_words(time: TimeDelta) -> String {
    let seconds = time.abs().num_seconds().unsigned_abs();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_700_000_000 + seconds, 0).unwrap_or_default()
    }

    #[test]
    fn a_walk_claims_what_no_clock_denies_and_asks_for_what_any_clock_allows() {
        let own = OwnClocks {
            process: at(0),
            database: at(300),
        };
        let times = |server_time: Option<i64>| {
            let times = WalkTimes::of(server_time.map(at), own);
            let seconds = |time: Time| time.timestamp() - 1_700_000_000;
            (seconds(times.claimed), seconds(times.asked))
        };
        assert_eq!(times(Some(100)), (100, 360), "as the tenant says");
        assert_eq!(times(Some(1_200)), (300, 1_260), "never past both own clocks");
        assert_eq!(times(Some(-7_200)), (-7_200, 360), "asks on all the same");
        assert_eq!(times(None), (0, 360), "the earlier of ours");
    }
}
