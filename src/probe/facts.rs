//! What earlier questions found and later ones use. Ids stay here: none reaches the report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::examined::{BodyForm, Encoding, Examined, RetryAfter};
use crate::model::segment::SegmentCount;

use super::watch::{Lateness, Watch};

/// The most samples of each kind that are kept.
const SAMPLES: usize = 200;
/// Bodies below this are often sent as they are, in bytes.
const WORTH_COMPRESSING: usize = 1024;

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The statuses for scopes that are missing.
    pub(super) denied: BTreeMap<&'static str, u16>,
    /// The answer to a look-up of an id that no tenant has.
    pub(super) absent: Option<Absent>,
    /// The segments with their counts; none before they were read.
    pub(super) segments: Option<Vec<SegmentCount>>,
    /// The segment that is walked.
    pub(super) walked: Option<Walked>,
    /// The first page of audit events.
    pub(super) events: Option<FirstEvents>,
    /// Cursors that were given out.
    pub(super) cursors: Vec<HeldCursor>,
    /// The most profiles of a page, whatever was asked for.
    pub(super) ceiling: Option<u64>,
    /// What pages of profiles held.
    pub(super) sample: Sample,
    /// The audit events that appear meanwhile.
    pub(super) audit_watch: Watch,
    /// Audit events of tokens that appeared, for the request of this probe.
    pub(super) token_events: BTreeSet<u64>,
    /// The changed profiles that appear meanwhile in the search index.
    pub(super) index_watch: Watch,
    /// How late changed profiles were that the store had and the index was asked for.
    pub(super) looked_for: Lateness,
    /// What the headers of answers said.
    pub(super) headers: Headers,
}

/// The answer to a look-up of an id that no tenant has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absent {
    pub(super) status: u16,
    pub(super) form: BodyForm,
    pub(super) is_own: bool,
}

/// The segment that is walked.
#[derive(Debug, Clone)]
pub(super) struct Walked {
    /// Its id.
    pub(super) id: String,
    /// The tenant's count of its profiles.
    pub(super) count: Option<u64>,
}

/// The first page of audit events.
#[derive(Debug, Clone)]
pub(super) struct FirstEvents {
    /// From when on they were asked for.
    pub(super) from: Time,
    /// How many were asked for.
    pub(super) asked: u64,
    /// The dates in the order in which they came.
    pub(super) dates: Vec<Time>,
}

/// A cursor that the tenant gave out.
#[derive(Debug, Clone)]
pub(super) struct HeldCursor {
    /// What the report calls its read path.
    pub(super) path: &'static str,
    /// The segment that it belongs to.
    pub(super) segment: String,
    /// The cursor.
    pub(super) cursor: String,
    /// How many profiles a page of it has.
    pub(super) count: u64,
    /// When it was given out.
    pub(super) given_at: Time,
}

/// What pages of profiles held.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// How many profiles with all of their properties.
    pub(super) profiles: u64,
    /// The ids of their properties.
    pub(super) properties: BTreeSet<String>,
    /// The ids of profiles that changed within a day, with the date.
    pub(super) recent: Vec<(String, Time)>,
    /// Profiles with the ids that were merged into them.
    pub(super) merged: Vec<(String, Vec<String>)>,
}

impl Sample {
    /// Keeps a profile that changed within a day.
    pub(super) fn keep_recent(&mut self, id: &str, modified: Time) {
        if self.recent.len() < SAMPLES {
            self.recent.push((id.to_owned(), modified));
        }
    }

    /// Keeps a profile that others were merged into.
    pub(super) fn keep_merged(&mut self, id: &str, replaces: &[String]) {
        if self.merged.len() < SAMPLES && !replaces.is_empty() {
            self.merged.push((id.to_owned(), replaces.to_vec()));
        }
    }
}

/// What the headers of answers said.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Answers so far.
    answers: u64,
    /// `Date` minus our clock.
    offsets: Vec<TimeDelta>,
    /// How bodies came that are worth compressing.
    pub(super) encodings: BTreeMap<&'static str, u64>,
    /// The refusals of a busy tenant: how often each status came, and the header of the last one.
    pub(super) refusals: BTreeMap<u16, (u64, Option<RetryAfter>)>,
}

impl Headers {
    /// Takes an answer.
    pub(super) fn hear(&mut self, answer: &Examined) {
        self.answers += 1;
        if let Some(date) = answer.date {
            self.offsets.push(date - answer.answered_at);
        }
        if answer.status == 200 && answer.body.len() >= WORTH_COMPRESSING {
            *self.encodings.entry(answer.encoding.as_str()).or_default() += 1;
        }
        if is_refusal(answer.status) {
            let refusals = self.refusals.entry(answer.status).or_default();
            refusals.0 += 1;
            refusals.1 = answer.retry_after.or(refusals.1);
        }
    }

    /// The tenant's clock minus ours by the median of the answers; none if none had a `Date`.
    pub(super) fn offset(&self) -> Option<TimeDelta> {
        let mut sorted = self.offsets.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }

    /// Answers, and how many of them had a `Date`.
    pub(super) fn dated(&self) -> (u64, usize) {
        (self.answers, self.offsets.len())
    }

    /// Whether bodies came compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.encodings
            .keys()
            .any(|name| *name != Encoding::Plain.as_str())
    }
}

/// Whether a status says that the tenant is busy.
pub(super) const fn is_refusal(status: u16) -> bool {
    matches!(status, 408 | 420 | 425 | 429 | 500..)
}

/// A wait that a busy tenant asked for; a probe waits no longer than this.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);
