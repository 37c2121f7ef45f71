//! The service against servers that other people wrote, fed with the vendor's own document. They need Node and that
//! document, so they are behind the feature `third-party`; `script/test --third-party` sets both up.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the harness is shared: no binary uses all of it")]
#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod compressed_and_encrypted;
mod document;
mod drift;
mod forward_proxy;
mod front;
mod judge;
mod lists;
mod manifests;
mod monitoring;
mod oidc;
mod pages;
mod postgres_versions;
mod prism;
mod probe;
mod process;
mod recorder;
mod requests;
mod service;
mod table;
mod tools;
mod vendor_examples;
