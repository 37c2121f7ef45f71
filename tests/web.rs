//! The pages over real sockets: health, metrics, status, who may read, and that no name of a tenant becomes markup.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "web/metrics.rs"]
mod metrics;
#[path = "web/pages.rs"]
mod pages;
#[path = "web/server.rs"]
mod server;
#[path = "web/states.rs"]
mod states;
