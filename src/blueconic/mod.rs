//! Reading from the tenant: everything that speaks HTTP to it. Imports `model`, `config` and `json` only, and implements the
//! port [`crate::model::ports::Source`].

mod address;
mod answer;
pub mod auth;
pub mod client;
mod decompress;
mod denials;
pub mod document;
pub mod elements;
pub mod error;
mod gzip;
mod http;
mod incoming;
mod inflate;
mod monotonic_clock;
mod outage;
pub mod page;
mod redaction;
mod retry;
mod retry_budgets;
mod skip_broken;
pub mod status;
mod tenant_clock;
mod throttle;
