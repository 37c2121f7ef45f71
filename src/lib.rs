//! `blueconic-sync` keeps a PostgreSQL database equal to a BlueConic tenant.
//!
//! The folders are layers and imports run down only; ARCHITECTURE.md draws them, `tests/layers.rs` holds them.
//! Nothing is imported through this file.
//!
//! | to learn | begin at |
//! |---|---|
//! | what can be typed | [`cli`], then one file per command in [`commands`] |
//! | which part implements which port | [`app`], [`model::ports`] |
//! | how a resource is read | [`sync::engine`] |
//! | how the API is spoken to | [`blueconic::client`] |
//! | how other servers are reached | [`network::route`] |
//! | what a resource means | [`resources::registry`] |
//! | where the SQL is | [`postgres`] |
//! | when things run | [`schedule`] |
//! | what is shown | [`web`] |
//! | what calls for a person | [`notify`] |
//! | how the tenant's API differs from what is used | [`drift`] |
//! | what a probe asks a tenant | [`probe`] |
//! | what can be set | [`config::settings`] |
//! | what was built, from which commit | [`version`] |
//! | what tests read from | the crate `simulated_tenant` |

pub mod app;
pub mod blueconic;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod drift;
pub mod failpoint;
mod json;
pub mod memory;
pub mod model;
pub mod network;
pub mod notify;
pub mod postgres;
pub mod probe;
pub mod resources;
pub mod schedule;
pub mod shutdown;
pub mod sync;
pub mod telemetry;
pub mod version;
pub mod web;
