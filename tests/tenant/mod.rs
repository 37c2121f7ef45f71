//! The simulated tenant keeps to its promises. What asks here is plain reqwest, no client of ours.

mod asker;
mod audit_events;
mod changes;
#[cfg(feature = "third-party")]
mod document;
mod faults;
mod listing;
mod read_paths;
mod rendered;
mod shapes;
mod tokens;
