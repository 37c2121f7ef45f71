//! The walk of a listing that is read by date: audit events, which have no id, no cursor, no upper bound and no known
//! order. It says what is covered, and what cannot be known becomes a gap.
//!
//! A page that holds fewer events than were asked for proves nothing: the tenant, or a gateway before it, may give no
//! more at a time, or may leave out what the run-as user must not see after it took its limit. What the walk takes for
//! granted:
//! - An answer is cut at its newer end if it goes from old to new, at its older end if it goes from new to old, anywhere
//!   if it has no order.
//! - Whoever gives at most so many at a time does so throughout a scan: an answer that holds fewer than another one of
//!   the same scan is not cut.
//! - Events that are left out after the limit do not follow so many on each other that every probe meets nothing else
//!   (`since/probes.rs`); of a tenant that goes from new to old nothing of that kind is assumed.
//! - An event shows up within `settle` of its date; one that comes later is found by the next scan that reaches back
//!   behind its date and covers it.

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

/// How far our clock may be off where the tenant tells no time: nothing is claimed that so much would change.
const CLOCK_DOUBT: TimeDelta = TimeDelta::hours(1);
/// `Date` counts in seconds.
const DATE_STEP: TimeDelta = TimeDelta::seconds(1);
/// Nobody is thought to give fewer events than this at a time, where that would only raise an alarm.
const LEAST_LIMIT: u64 = 10;

/// A scan under way.
#[derive(Debug)]
pub(crate) struct SinceWalk {
    parameters: ScanParameters,
    /// The scan began before the tenant's clock stood here: what is newer belongs to the next one.
    began_before: Time,
    /// From when on the tenant surely keeps everything.
    retained_from: Time,
    /// Nothing before it is called covered: the scan began here, or the tenant may have dropped what is older.
    known_from: Time,
    /// Complete through, after the scan: newer events may still show up.
    known_through: Time,
    /// The lower bound of the request under way.
    from: Time,
    /// What the request under way is for.
    mode: Mode,
    /// Answers taken in.
    answers: u64,
    /// The most elements that one answer of this scan held: the tenant gives at least so many at a time.
    largest: u64,
    met: NewestMet,
    /// A millisecond that filled an answer as large as the largest, with its events.
    suspect: Option<(TimeRange, u64)>,
    /// Elements of an answer that did not reach back far enough and was shorter than asked for.
    doubt: Option<u64>,
    /// No event came at all, which proves nothing.
    is_doubtful: bool,
    /// The tenant answers with nothing but events before the bound.
    is_unheeded: bool,
    probes_left: u32,
    covered: Vec<TimeRange>,
    gaps: Vec<(TimeRange, GapReason)>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Reading on from the last date.
    Forward,
    /// A page without an order was short: whether a later bound brings fewer. So many such looks were taken.
    SecondLook { looks: u32, whole_from: Option<Time> },
    /// Between a bound whose page is cut and one whose page is not.
    Bisecting { cut: Time, whole: Time },
    /// Behind an answer that brought nothing new.
    Probing(Probe),
}

/// What follows from a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask from this date on; what is known by now moves the cursor with the page.
    Read(Time, Advance),
    /// The scan is at its end.
    End(Advance),
}

impl SinceWalk {
    /// Begins a scan with its first answer, which carried the tenant's time, or none. What the tenant has dropped since
    /// the watermark is a gap; so is what a person said to pass over.
    pub(crate) fn begin(parameters: ScanParameters, server_time: Option<Time>) -> Self {
        let doubt = server_time.map_or(CLOCK_DOUBT, |_| TimeDelta::zero());
        let now = server_time.unwrap_or(parameters.now);
        let first = parameters.first();
        // What it claims is bound by our own clocks as well; what the tenant has dropped, by its own.
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

    /// The most elements that one answer held, where it shows that an answer in doubt was not cut by a cap.
    pub(crate) fn disproves(&self) -> Option<u64> {
        let doubt = self.parameters.scan_evidence.doubt?;
        Some(self.largest).filter(|largest| *largest > doubt)
    }

    /// Whether a full page held nothing that is newer than its bound: the tenant does not heed `fromDate`.
    pub(crate) fn is_unheeded(&self) -> bool {
        self.is_unheeded
    }

    /// How near the page is to hiding events; none where nothing can be hidden. To be asked before the page is taken in,
    /// since only the scan's first page, which reaches back behind the watermark, tells.
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
        // A page that is full of them tells nothing of what came before its oldest.
        let oldest = newer.into_iter().min().filter(|_| events >= at_once);
        let since = oldest.unwrap_or(watermark);
        // By the clock that is furthest ahead: the tenant's may be, whatever is claimed of it.
        let now = self.parameters.latest;
        Some(PageFill::new(events, at_once, now - since))
    }

    /// How many events the tenant gives at a time, as far as is known: a page that goes from new to old and does not
    /// reach back shows it; so does one that left a gap before, until a longer one comes.
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

    /// Takes in a page: how many elements it held, and their dates in order of arrival.
    ///
    /// A scan ends: reading on moves the bound by a millisecond or more and to a date that an event has (or right before
    /// it), and never beyond the scan's own beginning in time; a bisection halves a stretch of at most retention and a
    /// day; further looks and probes are counted. So there are at most `2 * (distinct dates) + 170` requests.
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

    /// Without an order, the lowest bound that gives fewer than another covers all behind it.
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

    /// Asks without knowing more than before.
    fn ask(&mut self, from: Time) -> Step {
        self.from = from;
        Step::Read(from, Advance::default())
    }

    /// From when on the scan has to account for everything: nothing before it is opened as a gap, but for milliseconds
    /// that turned out to be saturated.
    fn owed_from(&self) -> Time {
        self.known_from
            .max(self.parameters.watermark.unwrap_or(self.known_from))
    }

    /// The gaps are what lies between the scan's start (or W, where the scan began before it) and now, minus what is
    /// covered.
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

    /// All that is known by now, with the watermark that follows from it: it never passes a stretch that is neither covered
    /// nor a gap yet, since the scan may die before it is.
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
            gaps: self.gaps.clone(),
            disproves: None,
            covered: within(known, &self.covered),
        }
    }
}
