//! The store against a real PostgreSQL: what it promises of merges, leases, tokens, gaps and migrations.
#![expect(clippy::expect_used, reason = "a test may, and is no library")]

mod audit_names;
mod changes;
mod changes_with_dbt;
mod connection;
mod encrypted;
mod erasures;
mod gaps;
mod housekeeping;
mod known_in_memory;
mod leases;
mod merged_profiles;
mod merges;
mod met_in_memory;
mod occurrences;
mod overview;
mod rates;
mod readings;
mod rejects;
mod schedule;
mod schema;
mod seen;
mod sessions;
mod status;
mod strangers;
mod sweep;
mod tokens;
mod usage;
mod watermarks;
