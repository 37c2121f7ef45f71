//! The parameters of a scan, and the bounds that follow from them.

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::batch::ScanEvidence;
use crate::sync::run_spec::EventOrder;

use super::milliseconds::{MILLISECOND, millis};

/// The distance that is kept from the end of the tenant's retention, since its clean-up is not exact.
const RETENTION_MARGIN: TimeDelta = TimeDelta::hours(1);

/// The parameters of a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScanParameters {
    /// The watermark before the scan.
    pub(crate) watermark: Option<Time>,
    /// The start of the scan, if a person sets it.
    pub(crate) since: Option<Time>,
    /// How far the scan reaches back before the watermark.
    pub(crate) overlap: TimeDelta,
    /// How long an event may take to show up.
    pub(crate) settle: TimeDelta,
    /// How long the tenant keeps events.
    pub(crate) retention: TimeDelta,
    /// The order of events, if the settings say it.
    pub(crate) order: Option<EventOrder>,
    /// Events per request. The tenant may return fewer.
    pub(crate) page_size: u64,
    /// The scan's start by the earlier of our clocks.
    pub(crate) now: Time,
    /// The scan's start by the latest of all clocks.
    pub(crate) latest: Time,
    /// Stored facts that help to decide whether an answer is whole.
    pub(crate) scan_evidence: ScanEvidence,
}

impl ScanParameters {
    /// The start of the scan, exclusive: `max(watermark - overlap, now - retention + margin)`.
    pub(crate) fn first(&self) -> Time {
        let floor = self.retained_now();
        let behind = self.watermark.map_or(floor, |watermark| watermark - self.overlap);
        millis(self.since.unwrap_or(behind).max(floor))
    }

    /// From this time on the tenant keeps everything, by our clock.
    pub(crate) fn retained_now(&self) -> Time {
        self.retained_since(self.now)
    }

    /// Up to this date an old event proves that an answer reaches back far enough.
    pub(crate) fn evidence_up_to(&self) -> Time {
        let first = self.first();
        self.watermark.map_or(first, |watermark| watermark.max(first))
    }

    /// The lower bound (exclusive) of the first request: before the last known event, whose return proves that no newer event
    /// was left out.
    pub(crate) fn asked(&self) -> Time {
        let first = self.first();
        let anchor = self.expected_event(self.retained_now());
        anchor.map_or(first, |anchor| (anchor - MILLISECOND).min(first))
    }

    /// The date of the last known event, which the scan's first answer must bring; none if the tenant may have dropped it.
    pub(super) fn expected_event(&self, retained_from: Time) -> Option<Time> {
        self.scan_evidence
            .event
            .map(millis)
            .filter(|event| *event > retained_from)
    }

    /// From this time on a tenant whose clock shows `now` certainly has everything.
    pub(super) fn retained_since(&self, now: Time) -> Time {
        millis(now - self.retention + RETENTION_MARGIN)
    }
}
