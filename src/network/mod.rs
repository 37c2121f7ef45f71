//! The way to another server over HTTP: the proxy, TLS, and what a connection that did not come about means. The tenant's client and
//! the messages share it. It knows no request and no answer.

pub mod error;
pub mod failure;
mod reading;
pub mod route;
mod tls;
mod tunnel;
