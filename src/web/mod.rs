//! What the service shows of itself: health, metrics and a status page. It reads through the port `Observer` and knows
//! neither SQL nor how anything is synced.

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
