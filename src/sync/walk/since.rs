//! The walk of a listing that is read by date: audit events, which have no id, no cursor, no upper bound and no known
//! order. It says what is covered, and what cannot be known becomes a gap.
//!
//! What it takes for granted: an answer holds the oldest events behind its bound if it goes from old to new, the newest
//! if it goes from new to old, and all of them if it is short. An event shows up within `settle` of its date; one that
//! comes later is found by the next scan that reaches back behind its date and covers it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Time;
use crate::model::batch::{Advance, GapReason, Span};
use crate::sync::task::EventOrder;

use order::order_of;
use spans::{add, minus, within};

use super::pressure::Pressure;

mod order;
mod spans;
#[cfg(test)]
mod tests;

/// The tenant's clean-up is not exact: keep so far away from the end of its retention.
const RETENTION_MARGIN: TimeDelta = TimeDelta::hours(1);
/// How far our clock may be off where the tenant tells no time: nothing is claimed that so much would change.
const CLOCK_DOUBT: TimeDelta = TimeDelta::hours(1);
/// `Date` counts in seconds.
const DATE_STEP: TimeDelta = TimeDelta::seconds(1);
const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

/// What a scan is bound by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Complete through, before the scan.
    pub(crate) watermark: Option<Time>,
    /// Where the scan begins instead, when a person says so.
    pub(crate) since: Option<Time>,
    /// How far the scan reaches back behind it.
    pub(crate) overlap: TimeDelta,
    /// How long events may take to show up.
    pub(crate) settle: TimeDelta,
    /// How long the tenant keeps events.
    pub(crate) retention: TimeDelta,
    /// The order, where the settings say it.
    pub(crate) order: Option<EventOrder>,
    /// Events asked for at once; a page with fewer is the last one.
    pub(crate) page_size: u64,
    /// Our time when the scan began.
    pub(crate) now: Time,
}

impl Frame {
    /// The lower bound (exclusive) of the first request: `max(W - overlap, now - retention + margin)`.
    pub(crate) fn first(&self) -> Time {
        let floor = self.kept_at(self.now);
        let behind = self.watermark.map_or(floor, |watermark| watermark - self.overlap);
        millis(self.since.unwrap_or(behind).max(floor))
    }

    /// From when on a tenant whose clock shows `now` surely has everything.
    fn kept_at(&self, now: Time) -> Time {
        millis(now - self.retention + RETENTION_MARGIN)
    }
}

/// A scan under way.
#[derive(Debug)]
pub(crate) struct SinceWalk {
    frame: Frame,
    /// The scan began before the tenant's clock stood here: what is newer belongs to the next one.
    began_before: Time,
    /// Nothing before it is called covered: the scan began here, or the tenant may have dropped what is older.
    known_from: Time,
    /// Complete through, after the scan: newer events may still show up.
    known_through: Time,
    /// The lower bound of the request under way.
    from: Time,
    /// Bounds of the bisection, once the order turned out to be none: a bound whose page is full, one whose is short.
    bisection: Option<(Time, Time)>,
    covered: Vec<Span>,
    gaps: Vec<(Span, GapReason)>,
}

/// What follows from a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask from this date on; what is known by now moves the cursor with the page.
    Read(Time, Advance),
    /// The scan is at its end.
    End(Advance),
    /// The page is full and says nothing about where to go on.
    Stuck,
}

impl SinceWalk {
    /// Begins a scan with its first answer, which `told` the tenant's time, or none. What the tenant has dropped since
    /// the watermark is a gap; so is what a person said to pass over.
    pub(crate) fn begin(frame: Frame, told: Option<Time>) -> Self {
        let doubt = told.map_or(CLOCK_DOUBT, |_| TimeDelta::zero());
        let now = told.unwrap_or(frame.now);
        let first = frame.first();
        let known_from = first.max(frame.kept_at(now) + doubt);
        let reason = if known_from == first && first > frame.kept_at(frame.now) {
            GapReason::Interrupted
        } else {
            GapReason::Retention
        };
        let passed = frame.watermark.filter(|watermark| *watermark < known_from);
        let passed = passed.map(|from| Span { from, to: known_from });
        Self {
            frame,
            began_before: now + doubt + DATE_STEP,
            known_from,
            known_through: millis(now - frame.settle - doubt),
            from: first,
            bisection: None,
            covered: Vec::new(),
            gaps: passed.map(|span| (span, reason)).into_iter().collect(),
        }
    }

    /// The lower bound (exclusive) of the next request.
    pub(crate) fn from(&self) -> Time {
        self.from
    }

    /// How near the page is to hiding events; none where nothing can be hidden. To be asked before the page is taken in,
    /// since only the scan's first page, which reaches back behind the watermark, tells.
    pub(crate) fn pressure(&self, dates: &[Time]) -> Option<Pressure> {
        let watermark = self.frame.watermark?;
        let (first, order) = (self.frame.first(), order_of(dates, self.frame.order));
        if self.from != first || watermark < first || order == Some(EventOrder::OldestFirst) {
            return None;
        }
        let newer: Vec<Time> = dates.iter().copied().filter(|date| *date > watermark).collect();
        let events = newer.len() as u64;
        // A page that is full of them tells nothing of what came before its oldest.
        let oldest = newer.into_iter().min().filter(|_| events >= self.frame.page_size);
        let since = oldest.unwrap_or(watermark);
        Some(Pressure::new(
            events,
            self.frame.page_size,
            self.frame.now - since,
        ))
    }

    /// Takes in a page: how many elements it held, and their dates in order of arrival.
    ///
    /// A scan ends: each full page of an oldest-first tenant moves the bound by a millisecond or more and to a date
    /// that an event has (or right before it), and never beyond the scan's own beginning in time; a bisection halves a
    /// stretch of at most retention and a day. So there are at most `2 * (distinct dates) + 34` requests.
    pub(crate) fn page(&mut self, elements: u64, dates: &[Time]) -> Step {
        if elements < self.frame.page_size {
            return self.short_page();
        }
        let (Some(oldest), Some(newest)) = (dates.iter().min(), dates.iter().max()) else {
            return Step::Stuck;
        };
        let (oldest, newest) = (millis(*oldest), millis(*newest));
        if newest <= self.from {
            // The tenant does not heed `fromDate`: going on would read the same page for ever.
            return Step::Stuck;
        }
        if self.bisection.is_some() {
            return self.bisect(self.from);
        }
        match order_of(dates, self.frame.order) {
            Some(EventOrder::OldestFirst) => self.oldest_first(newest),
            Some(EventOrder::NewestFirst) => self.newest_first(oldest),
            None => self.bisect(self.from),
        }
    }

    fn short_page(&mut self) -> Step {
        if let Some((full, _)) = self.bisection {
            self.bisection = Some((full, self.from));
            return self.halve();
        }
        self.cover(self.from, DateTime::<Utc>::MAX_UTC);
        self.end()
    }

    /// All up to the millisecond before the page's last date is covered; that millisecond may go on in the next page.
    fn oldest_first(&mut self, last: Time) -> Step {
        let before_last = last - MILLISECOND;
        if before_last > self.from {
            self.cover(self.from, before_last);
            self.from = before_last;
        } else {
            // One single millisecond fills the page: what does not fit cannot be reached.
            let span = Span {
                from: self.from,
                to: last,
            };
            self.gaps.push((span, GapReason::Saturated));
            self.from = last;
        }
        if self.from >= self.began_before {
            // What has come since belongs to the next scan: a tenant that writes faster than we read has no end.
            return self.end();
        }
        Step::Read(self.from, self.advance(self.from.min(self.known_through)))
    }

    /// Only what is newer than the page's oldest date is covered; the rest cannot be reached.
    fn newest_first(&mut self, oldest: Time) -> Step {
        self.cover(oldest, DateTime::<Utc>::MAX_UTC);
        self.end()
    }

    /// Without an order, the lowest bound that gives a short page covers all behind it.
    fn bisect(&mut self, full: Time) -> Step {
        let short = self.bisection.map_or_else(
            || millis(self.began_before) + TimeDelta::days(1),
            |(_, short)| short,
        );
        self.bisection = Some((full, short));
        self.halve()
    }

    fn halve(&mut self) -> Step {
        let Some((full, short)) = self.bisection else {
            return Step::Stuck;
        };
        if short - full <= MILLISECOND {
            self.cover(short, DateTime::<Utc>::MAX_UTC);
            return self.end();
        }
        self.from = millis(full + (short - full) / 2);
        Step::Read(self.from, Advance::default())
    }

    /// The gaps are what lies between the scan's start (or W, where the scan began before it) and now, minus what is
    /// covered; nothing before W is ever opened, but for milliseconds that turned out to be saturated.
    fn end(&mut self) -> Step {
        let whole = Span {
            from: self
                .known_from
                .max(self.frame.watermark.unwrap_or(self.known_from)),
            to: self.known_through,
        };
        let saturated: Vec<Span> = self.gaps.iter().map(|(span, _)| *span).collect();
        let left = minus(whole, self.covered.iter().chain(&saturated));
        let unreachable = left.into_iter().map(|span| (span, GapReason::Unreachable));
        self.gaps.extend(unreachable);
        Step::End(self.advance(self.known_through))
    }

    fn cover(&mut self, from: Time, to: Time) {
        add(&mut self.covered, Span { from, to });
    }

    /// All that is known by now, with the watermark that follows from it.
    fn advance(&self, watermark: Time) -> Advance {
        let known = Span {
            from: self.known_from,
            to: self.known_through,
        };
        Advance {
            position: None,
            watermark: Some(watermark),
            gaps: self.gaps.clone(),
            covered: within(known, &self.covered),
        }
    }
}

/// Down to the millisecond, in which the tenant counts.
fn millis(time: Time) -> Time {
    DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}
