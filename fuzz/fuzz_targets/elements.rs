//! Any bytes as a body: read alike in any chunks, never taken for whole when they are not, every element accounted for.
//! The first bytes say how the rest is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/proofs/reader.rs"]
#[allow(dead_code, reason = "the other target's part")]
mod reader;

fuzz_target!(|input: &[u8]| {
    if let Some((cuts, body)) = input.split_at_checked(3) {
        let lengths: Vec<usize> = cuts.iter().map(|length| usize::from(*length) + 1).collect();
        reader::check(body, &lengths, 4096);
    }
});
