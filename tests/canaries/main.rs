//! Secrets are canaries: unique texts that must not come to light anywhere, whatever goes wrong. Every command is run with
//! all logging on, and everything that can be read afterwards is searched for them, in every form.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the harness is shared: no binary uses all of it")]
#[path = "../support/mod.rs"]
mod support;

mod documents;
mod front;
mod guarded;
mod harness;
mod searcher;
mod wrong;
