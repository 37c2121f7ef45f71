//! The schedule against stores and runners in memory: nothing is lost, nothing doubled, whatever the clock, the
//! database or a second replica does.
mod by_hand;
mod memory;
mod running;
mod times;
