//! Reads watermarks and decides whether to trust them. A watermark that lies in the future hides changes until that
//! time has come, so no outside clock sets one.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::clocks::OwnClocks;
use crate::model::cursor::Standing;
use crate::model::fault::Outcome;
use crate::model::ports::{Source, Store, Walkable};
use crate::model::position::Slot;

use super::clocks::in_words;
use super::progress::Progress;
use super::run::Context;

/// The longest overlap that is advised, in seconds (a day). The tenant's index is minutes behind, and each increment
/// reads the whole overlap again.
const LONGEST_OVERLAP: u64 = 24 * 3600;

/// Advises about a stored watermark that is ignored, and about what happens instead.
pub(super) fn advise_on_ignored_watermark(
    progress: &Progress,
    slot: Slot,
    stored: Time,
    own: OwnClocks,
    instead: &str,
) {
    progress.advise(&format!(
        "the watermark of {} lies {} ahead of this machine's clock and the database's, so it is ignored: {instead}; \
         `blueconic-sync reset {} --to TIME` moves a watermark back by hand",
        slot.resource,
        in_words(stored - own.later()),
        slot.resource
    ));
}

/// Advises about changes that only the full walk found although increments had passed their dates, with the overlap
/// that would have found them. Says nothing if the overlap covers them.
pub(super) fn advise_on_late_changes(progress: &Progress, overlap: Duration) {
    let counts = progress.read();
    let Some(worst) = counts.late_by.filter(|worst| *worst > overlap.as_secs()) else {
        return;
    };
    let behind = in_words(TimeDelta::seconds(
        i64::try_from(worst).unwrap_or(i64::MAX / 1000),
    ));
    let remedy = if worst <= LONGEST_OVERLAP {
        // Whole minutes, and five more.
        let minutes = worst / 60 + 5;
        format!("`resources.profiles.overlap = \"{minutes}m\"` would have been enough")
    } else {
        "no overlap covers that: check the clocks, or run full walks more often".to_owned()
    };
    progress.advise(&format!(
        "{} profiles came only with this full walk, although increments had passed their dates, the worst by {behind}; {remedy}",
        counts.late
    ));
}

/// The time up to which profiles are complete, without watermarks that lie in the future.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Watermarks {
    /// By the start of the last complete full walk.
    pub(super) full: Option<Time>,
    /// By the last complete increment.
    pub(super) increment: Option<Time>,
    /// The latest stored watermark that is ignored because it lies in the future.
    pub(super) doubted: Option<Time>,
}

impl Watermarks {
    /// The watermarks of both cursors.
    pub(super) fn of(standing: &Standing, own: OwnClocks) -> Self {
        let (full, increment) = (standing.full.watermark, standing.increment.watermark);
        let believed = |time: &Time| own.believe(*time);
        Self {
            full: full.filter(believed),
            increment: increment.filter(believed),
            doubted: full.max(increment).filter(|time| !own.believe(*time)),
        }
    }

    /// The later one of the believed watermarks.
    pub(super) fn latest(self) -> Option<Time> {
        self.full.max(self.increment)
    }
}

/// The time up to which profiles are complete: by an increment, or by the start of a full walk.
pub(super) async fn watermark<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
) -> Outcome<Option<Time>> {
    let (standing, own) = context.standing().await?;
    Ok(Watermarks::of(&standing, own).latest())
}
