//! The simulated tenant keeps to its promises. What asks here is plain reqwest, no client of ours.

mod asker;
mod audit_events;
mod changes;
mod deviations;
#[cfg(feature = "third-party")]
mod document;
mod faults;
mod groups;
mod listing;
mod read_paths;
mod rendered;
mod shapes;
mod tokens;
