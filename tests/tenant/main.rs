//! The simulated tenant keeps to its promises. What asks here is plain reqwest, no client of ours.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod asker;
mod audit_events;
mod changes;
#[cfg(feature = "third-party")]
mod document;
mod faults;
mod listing;
mod shapes;
mod tokens;
