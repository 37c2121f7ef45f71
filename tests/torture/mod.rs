//! What must hold whatever happens, tried many times: each case adds one row to a table (`script/torture` prints it).
//! `cargo test` runs each case a few times; with `BLUECONIC_SYNC_TORTURE=full` it runs as often as the promise says.

mod audit_listing;
mod business;
#[allow(dead_code, reason = "not every build has every case")]
mod table;

#[cfg(feature = "failpoints")]
mod clock;
mod cursors;
mod cut;
mod database;
mod dates;
mod defaults;
mod drifting;
mod ended;
#[cfg(feature = "failpoints")]
mod failpoints;
mod harried;
mod killed;
mod loading;
mod lookups;
pub(crate) mod migrating;
mod replicas;
mod stopped;
mod sweeping;
mod vanishing;
mod waiting;
mod walks;
