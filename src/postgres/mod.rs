//! Loading: everything that knows SQL or PostgreSQL. It implements the ports of [`crate::model::ports`] and knows
//! nothing of HTTP, of the tenant's JSON, or of when something runs.

mod allowance;
mod bigint;
mod boundary;
mod copy;
mod counts;
mod cursors;
pub mod embedded;
pub mod erasures;
pub mod error;
mod gaps;
mod hex;
mod leases;
pub mod loader;
mod merge;
pub mod migrate;
mod partitions;
pub mod pool;
mod profiles;
mod rejects;
mod renames;
pub mod reseal;
pub mod reset;
mod retry;
mod runs;
mod schedule;
mod seen;
mod session;
mod staging;
pub mod status;
pub mod store;
mod sweep;
pub mod tenant;
mod tokens;
