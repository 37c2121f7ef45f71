//! Reading from the tenant: everything that speaks HTTP to it. Imports `model`, `config` and `json` only, and implements the
//! port [`crate::model::ports::Source`].

mod address;
mod answer;
pub mod auth;
pub mod client;
pub mod elements;
pub mod error;
mod gzip;
mod http;
mod incoming;
mod inflate;
pub mod page;
mod redaction;
mod repeats;
mod retry;
mod skip_broken;
pub mod status;
mod steady;
mod tenant_clock;
mod throttle;
mod unpack;
