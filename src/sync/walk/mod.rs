//! Walks: pure state machines from what a page brought to what is read next. No I/O, no clock: all that they know comes
//! in through their arguments, so that property tests can drive them through any tenant.

pub(super) mod cursor;
pub(super) mod limit;
pub(super) mod novelty;
pub(super) mod offset;
pub(super) mod pressure;
pub(super) mod since;
pub(super) mod size;
