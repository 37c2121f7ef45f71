//! What a scan is bound by, and the bounds that follow from it.

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::batch::ScanEvidence;
use crate::sync::run_spec::EventOrder;

use super::milliseconds::{MILLISECOND, millis};

/// The tenant's clean-up is not exact: keep so far away from the end of its retention.
const RETENTION_MARGIN: TimeDelta = TimeDelta::hours(1);

/// What a scan is bound by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScanParameters {
    /// Complete through, before the scan.
    pub(crate) watermark: Option<Time>,
    /// Where the scan begins instead, when a person says so.
    pub(crate) since: Option<Time>,
    /// How far the scan reaches back behind it.
    pub(crate) overlap: TimeDelta,
    /// How long events may take to show up.
    pub(crate) settle: TimeDelta,
    /// How long the tenant keeps events.
    pub(crate) retention: TimeDelta,
    /// The order, where the settings say it.
    pub(crate) order: Option<EventOrder>,
    /// Events asked for at once. The tenant may give fewer at a time.
    pub(crate) page_size: u64,
    /// Our time when the scan began, by the earlier of our clocks.
    pub(crate) now: Time,
    /// The latest that any clock said then.
    pub(crate) latest: Time,
    /// What is stored already and helps to tell whether an answer is whole.
    pub(crate) scan_evidence: ScanEvidence,
}

impl ScanParameters {
    /// Where the scan begins, exclusive: `max(W - overlap, now - retention + margin)`.
    pub(crate) fn first(&self) -> Time {
        let floor = self.retained_now();
        let behind = self.watermark.map_or(floor, |watermark| watermark - self.overlap);
        millis(self.since.unwrap_or(behind).max(floor))
    }

    /// From when on the tenant keeps everything, by our clock.
    pub(crate) fn retained_now(&self) -> Time {
        self.retained_since(self.now)
    }

    /// Up to which date an event of old proves that an answer reaches back far enough.
    pub(crate) fn evidence_up_to(&self) -> Time {
        let first = self.first();
        self.watermark.map_or(first, |watermark| watermark.max(first))
    }

    /// The lower bound (exclusive) of the first request: before the last known event, which proves by coming again that
    /// nothing newer was left out.
    pub(crate) fn asked(&self) -> Time {
        let first = self.first();
        let anchor = self.expected_event(self.retained_now());
        anchor.map_or(first, |anchor| (anchor - MILLISECOND).min(first))
    }

    /// The last known event that the scan's first answer has to bring, if the tenant still keeps it.
    pub(super) fn expected_event(&self, retained_from: Time) -> Option<Time> {
        self.scan_evidence
            .event
            .map(millis)
            .filter(|event| *event > retained_from)
    }

    /// From when on a tenant whose clock shows `now` surely has everything.
    pub(super) fn retained_since(&self, now: Time) -> Time {
        millis(now - self.retention + RETENTION_MARGIN)
    }
}
