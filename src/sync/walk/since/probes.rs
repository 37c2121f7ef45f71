//! Probes after an answer that brought nothing new. A tenant that applies the limit first and then leaves out events that
//! the run-as user must not see can answer with nothing although visible events follow. Requests from later bounds find
//! them, unless as many hidden events follow each of these bounds; that case cannot be detected.

use chrono::TimeDelta;

use crate::model::Time;

use super::milliseconds::millis;

/// A scan that continues from a watermark does not probe a range of at most this length. So a usual poll needs two requests;
/// the next polls start within the range anyway.
const SHORT: TimeDelta = TimeDelta::minutes(30);
/// The distance of the first probes from both ends of the range; it doubles with each probe.
const NEAREST: TimeDelta = TimeDelta::minutes(1);
/// The distance of the two bounds at which the search for the end of the hidden events stops.
const NARROW: TimeDelta = TimeDelta::seconds(1);
/// Probes of one scan. A series over 30 days takes 32 probes, and the search between two bounds at most 21.
pub(super) const PROBES: u32 = 120;

/// The state of the probing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// The scan has read up to this bound.
    pub(super) base: Time,
    /// The start of the range that is probed.
    start: Time,
    /// The latest bound that brought nothing new.
    low: Time,
    /// A later bound that brought new events; none so far.
    high: Option<Time>,
    /// Whether the base was requested again since then.
    verified: bool,
}

/// What follows from a probe.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProbeStep {
    /// Request the events after this bound.
    Ask(Time),
    /// The probes found nothing.
    Nothing,
    /// The base now brings what it did not bring before: read on with this page.
    ReadOn,
    /// Hidden events follow the base, and visible ones start before this bound: read on from it.
    Hidden(Time),
}

impl Probe {
    /// Starts after an answer from `base` that brought nothing new. Probes nothing before `low`.
    pub(super) fn begin(base: Time, low: Time) -> Self {
        Self {
            base,
            start: low.max(base),
            low: low.max(base),
            high: None,
            verified: false,
        }
    }

    /// The first bound. A scan that continues from a watermark (`goes_on`) probes long ranges only.
    pub(super) fn first(&self, through: Time, goes_on: bool) -> ProbeStep {
        if goes_on && through - self.start <= SHORT {
            return ProbeStep::Nothing;
        }
        self.next(through)
    }

    /// The next bound after the last one that brought nothing.
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

    /// Takes the answer to a probe from `bound`. `found`: it brought settled events after all that were met.
    pub(super) fn take(&mut self, bound: Time, found: bool, through: Time) -> ProbeStep {
        let Some(high) = self.high else {
            if found {
                // An event that showed up late looks the same, so the base is requested again.
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
