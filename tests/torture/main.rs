//! What must hold whatever happens, tried many times: each case adds one row to a table (`script/torture` prints it).
//! `cargo test` runs each case a few times; with `BLUECONIC_SYNC_TORTURE=full` it runs as often as the promise says.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the harness is shared: no binary uses all of it")]
#[path = "../support/mod.rs"]
mod support;

mod audit_listing;
mod business;
mod table;

mod clock;
mod cursors;
mod cut;
mod database;
mod dates;
mod defaults;
mod drifting;
mod ended;
mod failover;
mod failpoints;
mod interrupted;
mod killed;
mod loading;
mod long_running;
mod lookups;
mod migrating;
mod paths;
mod replicas;
mod stopped;
mod sweeping;
mod vanishing;
mod waiting;
mod walks;
mod year;
