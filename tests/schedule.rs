//! The schedule against stores and runners in memory: nothing is lost, nothing doubled, whatever the clock, the
//! database or a second replica does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "schedule/memory.rs"]
mod memory;
#[path = "schedule/running.rs"]
mod running;
#[path = "schedule/times.rs"]
mod times;
