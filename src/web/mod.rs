//! The web server of the service: health, metrics and status page. It reads through the port `Observer` and knows
//! neither SQL nor the engine.

pub mod access;
mod card;
pub mod connections;
pub mod error;
mod exposition;
pub mod hosts;
pub(crate) mod html;
pub mod metrics;
mod page;
mod port_owner;
mod process;
pub mod server;
mod severity;
mod usage;
mod usage_metrics;
