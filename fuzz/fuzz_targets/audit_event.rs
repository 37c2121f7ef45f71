//! Any bytes as an audit event: its key says what happened, and nothing of how it is written down.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/proofs/reader.rs"]
#[allow(dead_code, reason = "the other target's part")]
mod reader;

fuzz_target!(|element: &[u8]| reader::check_event(element));
