//! The walk of a listing that is read by date: audit events, which have no id, no cursor, no upper bound and no known
//! order. The walk computes which time ranges are covered; a range that cannot be known becomes a gap.
//!
//! A page with fewer events than requested proves nothing. The tenant, or a gateway before it, may cap the events of an
//! answer, or may apply the limit first and then leave out events that the run-as user must not see. The walk assumes:
//! - A cut answer misses its newest events if it is ordered oldest first, its oldest events if it is ordered newest first,
//!   and any events if it has no order.
//! - A cap stays the same during a scan: an answer with fewer events than another one of the same scan is not cut.
//! - Hidden events do not follow each other in such numbers that every probe meets only hidden events
//!   (`since/probes.rs`). Of a tenant that answers newest first, this is not assumed.
//! - An event shows up within `settle` of its date. A later event is found by the next scan that covers its date.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Time;
use crate::model::batch::{Advance, GapReason, TimeRange};
use crate::sync::run_spec::EventOrder;

use milliseconds::{MILLISECOND, millis};
use page::{NewestMet, Page};
use probes::{PROBES, Probe};
use time_ranges::{add, minus, within};

use super::page_fill::PageFill;

pub(crate) use scan_parameters::ScanParameters;

mod milliseconds;
mod order;
mod page;
mod probes;
mod reading;
mod scan_parameters;
#[cfg(test)]
mod tests;
mod time_ranges;

/// The assumed error of our clock if the tenant sends no time. The scan claims nothing that this error could change.
const CLOCK_DOUBT: TimeDelta = TimeDelta::hours(1);
/// The resolution of the header `Date`.
const DATE_STEP: TimeDelta = TimeDelta::seconds(1);
/// The smallest cap that is believed where it would only raise an alarm.
const LEAST_LIMIT: u64 = 10;

/// A scan in progress.
#[derive(Debug)]
pub(crate) struct SinceWalk {
    parameters: ScanParameters,
    /// An upper bound of the scan's start by the tenant's clock. Newer events belong to the next scan.
    began_before: Time,
    /// From this time on the tenant certainly keeps all events.
    retained_from: Time,
    /// Nothing before this time counts as covered: the scan starts here, or the tenant may have dropped older events.
    known_from: Time,
    /// Through this time the scan can be complete. Newer events may still show up.
    known_through: Time,
    /// The lower bound of the current request.
    from: Time,
    /// The purpose of the current request.
    mode: Mode,
    /// The number of answers so far.
    answers: u64,
    /// The most elements of an answer of this scan. The tenant's cap is at least this.
    largest: u64,
    met: NewestMet,
    /// A millisecond whose events filled an answer as large as the largest, and the number of its events.
    suspect: Option<(TimeRange, u64)>,
    /// The number of elements of an answer that did not reach back far enough and was shorter than requested.
    doubt: Option<u64>,
    /// Whether no event came at all, which proves nothing.
    is_doubtful: bool,
    /// Whether the tenant answers only with events before the bound.
    is_unheeded: bool,
    probes_left: u32,
    covered: Vec<TimeRange>,
    gaps: Vec<(TimeRange, GapReason)>,
}

/// The purpose of a request.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Reads on from the last date.
    Forward,
    /// After a short page without an order: checks whether a later bound brings fewer. `looks` counts such requests.
    SecondLook { looks: u32, whole_from: Option<Time> },
    /// Bisects between a bound whose page is cut and a bound whose page is whole.
    Bisecting { cut: Time, whole: Time },
    /// Probes later bounds after an answer that brought nothing new.
    Probing(Probe),
}

/// What follows from a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Request the events after this date; the advance moves the cursor with the page.
    Read(Time, Advance),
    /// The scan has ended.
    End(Advance),
}

impl SinceWalk {
    /// Starts a scan with the tenant's time from its first answer, if it had one. The range after the watermark that the tenant
    /// has dropped is a gap, and so is a range that a person decided to skip.
    pub(crate) fn begin(parameters: ScanParameters, server_time: Option<Time>) -> Self {
        let doubt = server_time.map_or(CLOCK_DOUBT, |_| TimeDelta::zero());
        let now = server_time.unwrap_or(parameters.now);
        let first = parameters.first();
        // What the scan claims is bounded by our own clocks as well; what the tenant has dropped depends on its clock.
        let retained_from = parameters
            .retained_since(server_time.map_or(now, |server_time| server_time.max(parameters.latest)))
            + doubt;
        let known_from = first.max(retained_from);
        let reason = if known_from == first && first > parameters.retained_since(parameters.now) {
            GapReason::Interrupted
        } else {
            GapReason::Retention
        };
        let passed = parameters.watermark.filter(|watermark| *watermark < known_from);
        let passed = passed.map(|from| TimeRange { from, to: known_from });
        Self {
            parameters,
            began_before: now.max(parameters.latest) + doubt + DATE_STEP,
            retained_from,
            known_from,
            known_through: millis(now - parameters.settle - doubt),
            from: parameters.asked(),
            mode: Mode::Forward,
            answers: 0,
            largest: 0,
            met: NewestMet::default(),
            suspect: None,
            doubt: None,
            is_doubtful: false,
            is_unheeded: false,
            probes_left: PROBES,
            covered: Vec::new(),
            gaps: passed.map(|span| (span, reason)).into_iter().collect(),
        }
    }

    /// The lower bound (exclusive) of the next request.
    pub(crate) fn from(&self) -> Time {
        self.from
    }

    /// The most elements of an answer, if they prove that an earlier doubtful answer was not cut by a cap.
    pub(crate) fn disproves(&self) -> Option<u64> {
        let doubt = self.parameters.scan_evidence.doubt?;
        Some(self.largest).filter(|largest| *largest > doubt)
    }

    /// Whether a full page held no event after its bound, so that the tenant ignores `fromDate`.
    pub(crate) fn is_unheeded(&self) -> bool {
        self.is_unheeded
    }

    /// The page fill; none if the page cannot hide events. Call it before [`Self::page`]: only the scan's first page, which
    /// reaches back before the watermark, shows the fill.
    pub(crate) fn page_fill(&self, elements: u64, dates: &[Time]) -> Option<PageFill> {
        let watermark = self.parameters.watermark?;
        let page = Page::of(elements, dates, self.parameters.order, self.known_through);
        if self.answers > 0
            || watermark < self.parameters.first()
            || page.order == Some(EventOrder::OldestFirst)
        {
            return None;
        }
        let newer: Vec<Time> = dates.iter().copied().filter(|date| *date > watermark).collect();
        let events = newer.len() as u64;
        let at_once = self.at_once(&page);
        // A page full of newer events shows nothing of the time before its oldest event.
        let oldest = newer.into_iter().min().filter(|_| events >= at_once);
        let since = oldest.unwrap_or(watermark);
        // The latest of all clocks, since the tenant dates events by its own.
        let now = self.parameters.latest;
        Some(PageFill::new(events, at_once, now - since))
    }

    /// The tenant's cap on the events of an answer, as far as it is known: from a page that is ordered newest first and does
    /// not reach back far enough, or from an earlier page that left a gap, until a longer page comes.
    fn at_once(&self, page: &Page) -> u64 {
        let is_cut = page.elements >= LEAST_LIMIT
            && page.order == Some(EventOrder::NewestFirst)
            && page.bounds.is_some_and(|bounds| bounds.oldest > self.owed_from());
        let doubt = self.parameters.scan_evidence.doubt;
        let known = if is_cut {
            Some(page.elements)
        } else {
            doubt.filter(|elements| *elements >= page.elements.max(LEAST_LIMIT))
        };
        known.unwrap_or(u64::MAX).min(self.parameters.page_size).max(1)
    }

    /// Takes a page: the number of its elements, and their dates in order of arrival. Returns the next step.
    ///
    /// Every scan ends. Reading on moves the bound by at least a millisecond, to the date of an event or right before it, and
    /// never beyond the scan's start. A bisection halves a range of at most the retention and a day. Second looks and probes
    /// are limited. So a scan sends at most `2 * (distinct dates) + 170` requests.
    pub(crate) fn page(&mut self, elements: u64, dates: &[Time]) -> Step {
        let page = Page::of(elements, dates, self.parameters.order, self.known_through);
        let longest = self.largest;
        self.largest = longest.max(elements);
        self.answers += 1;
        self.settle_suspect(elements);
        match self.mode {
            Mode::Forward => self.forward(&page, longest),
            Mode::SecondLook { looks, whole_from } => self.second_look(&page, longest, looks, whole_from),
            Mode::Bisecting { cut, whole } => self.bisecting(elements, longest, cut, whole),
            Mode::Probing(probe) => self.probed(&page, longest, probe),
        }
    }

    /// Without an order, the lowest bound that brings fewer events than another bound covers everything after it.
    fn bisect(&mut self) -> Step {
        self.doubt = None;
        self.halve(self.from, millis(self.began_before) + TimeDelta::days(1))
    }

    fn bisecting(&mut self, elements: u64, longest: u64, cut: Time, whole: Time) -> Step {
        if elements < longest.min(self.parameters.page_size) {
            self.halve(cut, self.from)
        } else {
            self.halve(self.from, whole)
        }
    }

    fn halve(&mut self, cut: Time, whole: Time) -> Step {
        if whole - cut <= MILLISECOND {
            self.cover(whole, DateTime::<Utc>::MAX_UTC);
            return self.end();
        }
        self.mode = Mode::Bisecting { cut, whole };
        self.ask(millis(cut + (whole - cut) / 2))
    }

    /// Requests the events after `from`; the cursor does not move.
    fn ask(&mut self, from: Time) -> Step {
        self.from = from;
        Step::Read(from, Advance::default())
    }

    /// From this time on the scan must account for everything. Before it, only saturated milliseconds become gaps.
    fn owed_from(&self) -> Time {
        self.known_from
            .max(self.parameters.watermark.unwrap_or(self.known_from))
    }

    /// Ends the scan. The gaps are the range from the scan's start, or from a later watermark, to now, minus what is covered.
    fn end(&mut self) -> Step {
        let whole = TimeRange {
            from: self.owed_from(),
            to: self.known_through,
        };
        let known: Vec<TimeRange> = self.gaps.iter().map(|(span, _)| *span).collect();
        let left = minus(whole, self.covered.iter().chain(&known));
        let reason = self.doubt.map_or(GapReason::Unreachable, GapReason::Doubtful);
        self.gaps.extend(left.into_iter().map(|span| (span, reason)));
        Step::End(self.advance(self.known_through))
    }

    fn cover(&mut self, from: Time, to: Time) {
        add(&mut self.covered, TimeRange { from, to });
    }

    /// What is known so far, and the watermark that follows from it. The watermark never passes a range that is neither covered
    /// nor a gap, since the process may end before the range becomes one of the two.
    fn advance(&self, watermark: Time) -> Advance {
        let known = TimeRange {
            from: self.known_from,
            to: self.known_through,
        };
        let claimed = TimeRange {
            from: self.owed_from(),
            to: watermark,
        };
        let gaps: Vec<TimeRange> = self.gaps.iter().map(|(span, _)| *span).collect();
        let open = minus(claimed, self.covered.iter().chain(&gaps));
        let watermark = open.first().map_or(watermark, |open| open.from);
        Advance {
            position: None,
            watermark: Some(watermark),
            segment: None,
            timelines: false,
            gaps: self.gaps.clone(),
            disproves: None,
            covered: within(known, &self.covered),
        }
    }
}
