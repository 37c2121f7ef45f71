//! A page of events as the walk sees it: the number of elements, the range of their dates, their order.

use std::collections::BTreeMap;

use crate::model::Time;
use crate::sync::run_spec::EventOrder;

use super::milliseconds::{MILLISECOND, millis};
use super::order::order_of;

/// The facts of a page.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// Its elements, including those without a readable date.
    pub(super) elements: u64,
    /// Its order; none if it shows none.
    pub(super) order: Option<EventOrder>,
    /// The range of its dates; none without a readable date.
    pub(super) bounds: Option<DateRange>,
    /// Events in the millisecond of the newest.
    pub(super) in_newest: u64,
    /// The newest date of the settled events: those that should have shown up before the scan began.
    pub(super) settled: Option<Time>,
    /// The settled events by millisecond.
    counts: BTreeMap<Time, u64>,
}

/// The dates of a page in milliseconds, the resolution of `fromDate`. The dates themselves may be finer.
#[derive(Debug, Clone, Copy)]
pub(super) struct DateRange {
    /// The oldest date, rounded up to the millisecond: a bound here excludes its event.
    pub(super) oldest: Time,
    /// The newest date, rounded down to the millisecond.
    pub(super) newest: Time,
    /// The newest date, rounded up to the millisecond.
    pub(super) last: Time,
}

impl Page {
    /// A page from its elements, their dates in order of arrival, and the order of the settings. Events up to `through` count as
    /// settled.
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

/// The newest millisecond of the events that a scan has met, and the number of its events.
#[derive(Debug, Clone, Default)]
pub(super) struct NewestMet {
    newest: Option<Time>,
    events: u64,
    /// The events by millisecond, of pages without an order.
    counts: BTreeMap<Time, u64>,
}

impl NewestMet {
    /// Adds a page; true if it has an event after all that were met before.
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

    /// Adds a page without an order; true if it has a settled event, of any date, that was not met before.
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

    /// Whether a page has a settled event after all that were met.
    pub(super) fn is_passed_by(&self, page: &Page) -> bool {
        page.settled.is_some() && page.settled > self.newest
    }
}

/// Rounds up to the millisecond.
pub(super) fn up(time: Time) -> Time {
    let floor = millis(time);
    if floor < time { floor + MILLISECOND } else { floor }
}
