//! What follows from single pages, one case each; `tests/proofs/audit_walk.rs` drives the same machine through thousands
//! of tenants.

#![expect(clippy::panic, reason = "a test says what it needs by panicking")]

mod hidden;
mod lost;
mod order;

use super::*;
use crate::model::batch::ScanEvidence;

fn at(millis: i64) -> Time {
    DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap_or_default()
}

fn parameters(watermark: Option<i64>) -> ScanParameters {
    ScanParameters {
        watermark: watermark.map(at),
        since: None,
        overlap: TimeDelta::milliseconds(100),
        settle: TimeDelta::milliseconds(10),
        retention: TimeDelta::days(30),
        order: None,
        page_size: 6,
        now: at(10_000),
        latest: at(10_000),
        scan_evidence: ScanEvidence::default(),
    }
}

/// A scan whose first answer had the same time.
fn begun(parameters: ScanParameters) -> SinceWalk {
    SinceWalk::begin(parameters, Some(parameters.now))
}

fn dates(millis: &[i64]) -> Vec<Time> {
    millis.iter().map(|one| at(*one)).collect()
}

/// Nothing more comes, whatever is requested.
fn drained(walk: &mut SinceWalk) -> Advance {
    for _ in 0..200 {
        if let Step::End(advance) = walk.page(0, &[]) {
            return advance;
        }
    }
    panic!("no end")
}
