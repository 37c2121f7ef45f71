//! The schedule against stores and runners in memory: nothing is lost, nothing doubled, whatever the clock, the
//! database or a second replica does.
mod memory;
mod running;
mod times;
