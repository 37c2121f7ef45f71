//! Watermarks, held against our own clocks: what a walk may claim, what of a stored watermark is believed, and the words for
//! both. A watermark that lies ahead hides every change until its time has come, so that no clock from outside sets one.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::clocks::{OwnClocks, TOLERANCE, later_by};
use crate::model::fault::Outcome;
use crate::model::ports::{Clock, Source, Store};
use crate::model::position::{CursorPosition, Scope, Slot};

use super::engine::Context;
use super::progress::Progress;
use super::task::Task;

/// The longest overlap that is advised (a day, in seconds): the tenant's index is minutes behind, and each increment reads
/// the whole overlap again.
const LONGEST_OVERLAP: u64 = 24 * 3600;

/// Reads both own clocks.
pub(super) async fn own_clocks<T: Store>(clock: &dyn Clock, store: &T) -> Outcome<OwnClocks> {
    let database = store.now().await?;
    Ok(OwnClocks {
        process: clock.now(),
        database,
    })
}

/// The times of a walk that begins now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    /// From when on the walk claims nothing: its watermark, once it is complete. The tenant's time, but never later than
    /// our own clocks; without the tenant's time, the earlier of them.
    pub(super) claimed: Time,
    /// Up to when it asks: the latest of all clocks, and a little more. Asking further costs nothing.
    pub(super) asked: Time,
}

impl Beginning {
    /// What follows from the tenant's time, or none, and from our own clocks.
    pub(super) fn of(told: Option<Time>, own: OwnClocks) -> Self {
        let latest = told.map_or(own.later(), |told| told.max(own.later()));
        Self {
            claimed: told.map_or(own.earlier(), |told| told.min(own.later())),
            asked: later_by(latest, TOLERANCE),
        }
    }
}

/// Says by how much the clocks differ, where that is more than the tolerance.
pub(super) fn tell_of_clocks(progress: &Progress, told: Option<Time>, own: OwnClocks) {
    if let Some(apart) = own.difference() {
        let side = if apart > TimeDelta::zero() {
            "ahead of"
        } else {
            "behind"
        };
        progress.advise(&format!(
            "this machine's clock is {} {side} the database's: set the wrong one right",
            spelled(apart)
        ));
    }
    match told.and_then(|told| own.departure(told)) {
        Some(ahead) if ahead > TimeDelta::zero() => progress.advise(&format!(
            "the tenant's clock is {} ahead of this machine's and the database's: what is read counts as complete through \
             our own time only, and what the tenant dates later is read again",
            spelled(ahead)
        )),
        Some(behind) => progress.advise(&format!(
            "the tenant's clock is {} behind this machine's and the database's, or its answers come from a cache: what is \
             read counts as complete through the tenant's time only",
            spelled(behind)
        )),
        None => {}
    }
}

/// Says by how much a walk claims less than its start, where nobody has said so yet: a page of it came from a cache, or
/// from a node whose clock is behind.
pub(super) fn tell_of_claim(progress: &Progress, walk: &CursorPosition) {
    let behind = walk.opened_at - walk.began_at;
    if behind > TOLERANCE && progress.advice().is_none() {
        progress.advise(&format!(
            "an answer of the tenant speaks as of {} before this walk began: what was read counts as complete through then \
             only; look whether a cache stands before the tenant",
            spelled(behind)
        ));
    }
}

/// Says that a stored watermark is not believed, and what is done about it.
pub(super) fn tell_of_doubt(progress: &Progress, slot: Slot, stored: Time, own: OwnClocks, instead: &str) {
    progress.advise(&format!(
        "the watermark of {} lies {} ahead of this machine's clock and the database's, so it is not believed: {instead}; \
         `blueconic-sync reset {} --to TIME` moves a watermark back by hand",
        slot.resource,
        spelled(stored - own.later()),
        slot.resource
    ));
}

/// Says how many changes only this full walk brought although increments had passed their dates, and which overlap would
/// do; nothing where the overlap covers them.
pub(super) fn tell_of_late(progress: &Progress, overlap: Duration) {
    let counts = progress.read();
    let Some(worst) = counts.late_by.filter(|worst| *worst > overlap.as_secs()) else {
        return;
    };
    let behind = spelled(TimeDelta::seconds(
        i64::try_from(worst).unwrap_or(i64::MAX / 1000),
    ));
    let remedy = if worst <= LONGEST_OVERLAP {
        // Whole minutes, and five more.
        let minutes = worst / 60 + 5;
        format!("`resources.profiles.overlap = \"{minutes}m\"` would have done")
    } else {
        "no overlap makes up for that: look whether a clock was wrong, or walk fully more often".to_owned()
    };
    progress.advise(&format!(
        "{} profiles came only with this full walk, although increments had passed their dates, the worst by {behind}; {remedy}",
        counts.late
    ));
}

/// A stretch of time in words, without its sign.
pub(super) fn spelled(time: TimeDelta) -> String {
    let seconds = time.abs().num_seconds().unsigned_abs();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// Through when profiles are complete, as far as it can be true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// By the start of the last complete full walk.
    pub(super) full: Option<Time>,
    /// By the last complete increment.
    pub(super) increment: Option<Time>,
    /// The latest stored watermark that is not believed.
    pub(super) doubted: Option<Time>,
}

impl Marks {
    /// Reads both.
    pub(super) async fn read<T: Store>(store: &T, task: &Task, own: OwnClocks) -> Outcome<Self> {
        let full = store.cursor(task.slot(Scope::Full)).await?.watermark;
        let increment = store.cursor(task.slot(Scope::Increment)).await?.watermark;
        let believed = |mark: &Time| own.believe(*mark);
        Ok(Self {
            full: full.filter(believed),
            increment: increment.filter(believed),
            doubted: full.max(increment).filter(|mark| !own.believe(*mark)),
        })
    }

    /// The later of those that are believed.
    pub(super) fn latest(self) -> Option<Time> {
        self.full.max(self.increment)
    }
}

/// The same for a run.
pub(super) async fn of_run<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    own: OwnClocks,
) -> Outcome<Marks> {
    Marks::read(&context.engine.store, context.task, own).await
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
        let beginning = |told: Option<i64>| {
            let beginning = Beginning::of(told.map(at), own);
            let seconds = |time: Time| time.timestamp() - 1_700_000_000;
            (seconds(beginning.claimed), seconds(beginning.asked))
        };
        assert_eq!(beginning(Some(100)), (100, 360), "as told");
        assert_eq!(beginning(Some(1_200)), (300, 1_260), "never past both own clocks");
        assert_eq!(beginning(Some(-7_200)), (-7_200, 360), "asks on all the same");
        assert_eq!(beginning(None), (0, 360), "the earlier of ours");
    }
}
