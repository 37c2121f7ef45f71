//! The web server of the service: health, metrics and status page. It reads through the port `Observer` and knows
//! neither SQL nor the engine.

pub mod access;
mod card;
mod chart;
pub mod connections;
mod days;
pub mod error;
mod exposition;
mod frame;
mod gaps;
pub mod hosts;
pub(crate) mod html;
pub mod metrics;
mod next_day;
mod page;
mod port_owner;
mod process;
mod rejects;
mod run_page;
mod run_query;
mod runs_page;
pub mod server;
mod severity;
mod sizes;
mod usage;
mod usage_metrics;
mod view;
