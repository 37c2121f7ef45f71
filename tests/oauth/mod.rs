//! Tokens as the whole program lives with them: sign-in, rotation, revocation, replicas, keys. What needs an authorization
//! server is written against a trait, so that the third-party suite runs the very same against one that others wrote.

mod answers;
mod claims;
mod day;
mod keys;
#[cfg(feature = "failpoints")]
mod killed;
mod login;
#[cfg(feature = "failpoints")]
mod service;
mod simulated;
mod switched;
