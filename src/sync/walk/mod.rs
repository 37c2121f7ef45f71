//! Walks: pure state machines from what a page brought to what is read next. No I/O, no clock: all that they know comes
//! in through their arguments, so that property tests can drive them through any tenant.

pub(super) mod cursor;
pub(super) mod limit;
pub(super) mod offset;
pub(super) mod page_fill;
pub(super) mod seen_filter;
pub(super) mod since;
pub(super) mod size;
