//! A page of events as the walk sees it: how many elements, between which dates, in which order.

use std::collections::BTreeMap;

use crate::model::Time;
use crate::sync::run_spec::EventOrder;

use super::milliseconds::{MILLISECOND, millis};
use super::order::order_of;

/// What a page tells.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// Elements in it, those without a readable date included.
    pub(super) elements: u64,
    /// Its order, where it shows one.
    pub(super) order: Option<EventOrder>,
    /// Between which dates its events lie; none without a readable date.
    pub(super) bounds: Option<DateRange>,
    /// Events in the millisecond of the newest.
    pub(super) in_newest: u64,
    /// The newest date among those that should have shown up before the scan began.
    pub(super) settled: Option<Time>,
    /// Those by millisecond.
    counts: BTreeMap<Time, u64>,
}

/// The dates of a page in milliseconds, in which `fromDate` counts; dates may be finer.
#[derive(Debug, Clone, Copy)]
pub(super) struct DateRange {
    /// The oldest date, up to the next millisecond: a bound here leaves its event out.
    pub(super) oldest: Time,
    /// The newest date, down to the millisecond.
    pub(super) newest: Time,
    /// The newest date, up to the next millisecond.
    pub(super) last: Time,
}

impl Page {
    /// Reads a page: its elements, their dates in order of arrival, the order of the settings, and up to which date
    /// events should have shown up.
    pub(super) fn of(elements: u64, dates: &[Time], known: Option<EventOrder>, through: Time) -> Self {
        let mut page = Self {
            elements,
            order: order_of(dates, known),
            bounds: None,
            in_newest: 0,
            settled: None,
            counts: BTreeMap::new(),
        };
        for date in dates {
            let (floor, ceiling) = (millis(*date), up(*date));
            let bounds = page.bounds.get_or_insert(DateRange {
                oldest: ceiling,
                newest: floor,
                last: ceiling,
            });
            if floor > bounds.newest {
                page.in_newest = 0;
            }
            page.in_newest += u64::from(floor >= bounds.newest);
            bounds.oldest = bounds.oldest.min(ceiling);
            bounds.newest = bounds.newest.max(floor);
            bounds.last = bounds.last.max(ceiling);
            if floor <= through {
                page.settled = page.settled.max(Some(floor));
                *page.counts.entry(floor).or_default() += 1;
            }
        }
        page
    }
}

/// The newest millisecond of which a scan has met events, and how many in it.
#[derive(Debug, Clone, Default)]
pub(super) struct NewestMet {
    newest: Option<Time>,
    events: u64,
    /// Of pages without an order: events by millisecond.
    counts: BTreeMap<Time, u64>,
}

impl NewestMet {
    /// Takes a page in; true when it brings an event that lies behind all that were met before.
    pub(super) fn take(&mut self, page: &Page) -> bool {
        let Some(DateRange { newest, .. }) = page.bounds else {
            return false;
        };
        let is_new =
            Some(newest) > self.newest || (Some(newest) == self.newest && page.in_newest > self.events);
        if is_new {
            (self.newest, self.events) = (Some(newest), page.in_newest);
        }
        is_new
    }

    /// Takes in a page without an order; true when it brings a settled event, of any date, that was not met so far.
    pub(super) fn take_any(&mut self, page: &Page) -> bool {
        self.take(page);
        let mut is_new = false;
        for (date, events) in &page.counts {
            let known = self.counts.entry(*date).or_default();
            is_new |= *events > *known;
            *known = (*known).max(*events);
        }
        is_new
    }

    /// Whether a page holds an event behind all that were met, dated so that it should have shown up by now.
    pub(super) fn is_passed_by(&self, page: &Page) -> bool {
        page.settled.is_some() && page.settled > self.newest
    }
}

/// Up to the millisecond.
pub(super) fn up(time: Time) -> Time {
    let floor = millis(time);
    if floor < time { floor + MILLISECOND } else { floor }
}
