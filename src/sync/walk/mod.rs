//! Walks: pure state machines that turn the content of a page into the next request. They use no I/O and no clock; all
//! input comes through their arguments, so that property tests can drive them through any tenant.

pub(super) mod cursor;
pub(super) mod limit;
pub(super) mod list_reading;
pub(super) mod listings;
pub(super) mod offset;
pub(super) mod page_fill;
pub(super) mod seen_filter;
pub(super) mod since;
pub(super) mod size;
