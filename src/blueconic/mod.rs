//! Reading from the tenant: everything that speaks HTTP to it. Imports `model` and `config` only, and implements the
//! port [`crate::model::ports::Source`].

mod address;
mod answer;
pub mod auth;
mod brackets;
pub mod client;
pub mod elements;
pub mod error;
mod gzip;
mod http;
mod incoming;
mod measure;
pub mod page;
mod redaction;
mod repeats;
mod retry;
mod salvage;
mod scanner;
pub mod status;
mod steady;
mod tenant_clock;
mod throttle;
mod unpack;
