//! The web server of the service: health, metrics and status page. It reads through the port `Observer` and knows
//! neither SQL nor the engine.

pub mod access;
mod card;
pub mod connections;
pub mod error;
pub mod hosts;
pub(crate) mod html;
mod metrics;
mod page;
mod port_owner;
pub mod server;
mod severity;
