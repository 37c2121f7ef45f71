//! Looking behind an answer that brought nothing new. A tenant that takes its limit first and then leaves out what
//! the run-as user may not see can answer with nothing although visible events come later. Requests from later bounds
//! find them, unless as many invisible ones follow each of these bounds; that much cannot be known.

use chrono::TimeDelta;

use crate::model::Time;

use super::milliseconds::millis;

/// A stretch that is no longer than this is not probed by a scan that goes on from a watermark: a usual poll stays within two
/// requests, and the next polls begin within the stretch anyway.
const SHORT: TimeDelta = TimeDelta::minutes(30);
/// Probes lie so far from both ends of the stretch, then twice as far, and so on.
const NEAREST: TimeDelta = TimeDelta::minutes(1);
/// How near the two bounds lie between which hidden events begin.
const NARROW: TimeDelta = TimeDelta::seconds(1);
/// Probes of one scan. One series over 30 days takes 32, and narrowing one down at most 21.
pub(super) const PROBES: u32 = 120;

/// Where probing stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// Up to here the scan has read on.
    pub(super) base: Time,
    /// Where the stretch in question begins.
    start: Time,
    /// The last bound that brought nothing new.
    low: Time,
    /// A later bound that did, once there is one.
    high: Option<Time>,
    /// Whether the base was asked again since.
    verified: bool,
}

/// What follows from a probe.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProbeStep {
    /// Ask from here.
    Ask(Time),
    /// Nothing came to light.
    Nothing,
    /// What the base did not bring before it brings now: read on with this very page.
    ReadOn,
    /// Events are hidden behind the base and begin before this bound: read on from it.
    Hidden(Time),
}

impl Probe {
    /// Begins behind an answer from `base` that brought nothing new. Nothing before `low` is in question.
    pub(super) fn begin(base: Time, low: Time) -> Self {
        Self {
            base,
            start: low.max(base),
            low: low.max(base),
            high: None,
            verified: false,
        }
    }

    /// The first bound; of a scan that `goes_on` from a watermark only where the stretch is long.
    pub(super) fn first(&self, through: Time, goes_on: bool) -> ProbeStep {
        if goes_on && through - self.start <= SHORT {
            return ProbeStep::Nothing;
        }
        self.next(through)
    }

    /// The next bound behind the last one that brought nothing.
    fn next(&self, through: Time) -> ProbeStep {
        let mut nearest: Option<Time> = None;
        let mut far = NEAREST;
        while far < through - self.start {
            for bound in [millis(self.start + far), millis(through - far)] {
                if bound > self.low {
                    nearest = Some(nearest.map_or(bound, |known| known.min(bound)));
                }
            }
            far = far * 2;
        }
        nearest.map_or(ProbeStep::Nothing, ProbeStep::Ask)
    }

    /// Takes in the answer to a probe from `bound`; `found`: it brought settled events behind all that were met.
    pub(super) fn take(&mut self, bound: Time, found: bool, through: Time) -> ProbeStep {
        let Some(high) = self.high else {
            if found {
                // An event that came late looks the same: ask again.
                self.high = Some(bound);
                return ProbeStep::Ask(self.base);
            }
            self.low = bound;
            return self.next(through);
        };
        if !self.verified {
            self.verified = true;
            if found {
                return ProbeStep::ReadOn;
            }
        } else if found {
            self.high = Some(bound);
        } else {
            self.low = bound;
        }
        let high = if found { bound.min(high) } else { high };
        if high - self.low <= NARROW {
            return ProbeStep::Hidden(high);
        }
        ProbeStep::Ask(millis(self.low + (high - self.low) / 2))
    }
}
