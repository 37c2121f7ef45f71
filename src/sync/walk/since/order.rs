//! The order of a page, from the dates of its events alone.

use crate::model::Time;
use crate::sync::run_spec::EventOrder;

/// Distinct dates in a page after which its order is trusted.
const TRUSTED_AFTER: usize = 5;

/// The order of a page: the `known` one of the settings, if the page agrees with it. Without a setting, the page's own order
/// if its distinct dates are enough to trust it.
pub(super) fn order_of(dates: &[Time], known: Option<EventOrder>) -> Option<EventOrder> {
    if let Some(known) = known {
        return Some(known).filter(|order| is_in(dates, *order));
    }
    let mut distinct: Vec<Time> = dates.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < TRUSTED_AFTER {
        return None;
    }
    [EventOrder::OldestFirst, EventOrder::NewestFirst]
        .into_iter()
        .find(|order| is_in(dates, *order))
}

fn is_in(dates: &[Time], order: EventOrder) -> bool {
    match order {
        EventOrder::OldestFirst => dates.is_sorted(),
        EventOrder::NewestFirst => dates.iter().rev().is_sorted(),
    }
}
