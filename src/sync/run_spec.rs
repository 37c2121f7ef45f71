//! A run as it is requested, and the bounds of the engine. The composition root makes both from settings.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Time;
use crate::model::description::Reading;
use crate::model::fault::{Fault, Kind};
use crate::model::ports::{Feed, Listing, Resource, Walkable};
use crate::model::position::{Scope, Slot};
pub use crate::model::removals::RemovalBound;
use crate::model::window::DailyWindow;

/// A requested run.
#[derive(Clone)]
pub struct RunSpec {
    /// The resource and how it is read.
    pub wanted: Wanted,
    /// The reaction to a lease that another process holds.
    pub when_held: WhenHeld,
    /// Whether somebody named the resource, so that a denial is reported even if the resource is optional.
    pub is_named: bool,
}

/// The resource of a run, by the way it is read. Profiles: resume an open walk; otherwise run an increment; if nothing
/// is complete yet, run a full walk.
pub type Wanted =
    Reading<Arc<dyn Listing>, (Arc<dyn Walkable>, ProfilesReading), (Arc<dyn Feed>, EventsReading)>;

/// How profiles are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProfilesReading {
    /// The scope; none lets the stored cursors decide.
    pub scope: Option<Scope>,
    /// How far an increment reaches back before its watermark.
    pub overlap: Duration,
    /// In place of the watermark.
    pub since: Option<Time>,
    /// When the schedule begins the next full walk, as known when this run began.
    pub next_full_at: Option<Time>,
}

/// How audit events are read.
#[derive(Debug, Clone, Copy)]
pub struct EventsReading {
    /// How far the scan reaches back before the watermark.
    pub overlap: Duration,
    /// How long an event may take to show up.
    pub settle: Duration,
    /// How long the tenant keeps events.
    pub retention: Duration,
    /// The order of the tenant's answers, if the settings say it.
    pub order: Option<EventOrder>,
    /// In place of the watermark.
    pub since: Option<Time>,
}

/// The order of a listing of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrder {
    /// The oldest event comes first.
    OldestFirst,
    /// The newest event comes first.
    NewestFirst,
}

/// The reaction to a lease that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenHeld {
    /// Leave the work to the other process (for the schedule).
    Leave,
    /// Wait until the lease expires and take it over, or give up once the holder renews it.
    LookOn,
    /// Wait for as long as it takes.
    Wait,
}

/// The bounds of the engine.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The size at which a batch is loaded, in bytes.
    pub batch_bytes: usize,
    /// The number of elements at which a batch is loaded.
    pub batch_elements: usize,
    /// Connections that load at once.
    pub lanes: usize,
    /// The memory for hashes of stored profiles during a full walk, in bytes.
    pub known_bytes: usize,
    /// The hours between which a full walk over profiles reads pages; none: any.
    pub full_window: Option<DailyWindow>,
    /// How long a lease holds without renewal.
    pub lease_ttl: Duration,
    /// How many rows a run may remove without approval, by merges and its sweep.
    pub removals: RemovalBound,
    /// The number of removals that a person approved.
    pub approved_removals: Option<u64>,
    /// Look-ups of one sweep, if those that the rate allows until the next full walk are not more.
    pub lookups: u64,
    /// Look-ups a second over a sweep: a share of the rate, so that increments go on beside it. 0: no more than `lookups`, as fast
    /// as the tenant answers.
    pub lookups_per_second: u32,
    /// Look-ups of a random sample that stands for all candidates that two walks in a row missed.
    pub sample: u64,
    /// Look-ups at once.
    pub lookups_at_once: usize,
}

impl Bounds {
    /// The same with batches `factor` times as large.
    pub(super) fn with_larger_batches(&self, factor: usize) -> Self {
        Self {
            batch_bytes: self.batch_bytes.saturating_mul(factor),
            ..self.clone()
        }
    }
}

impl RunSpec {
    /// The resource that is read.
    pub fn resource(&self) -> &dyn Resource {
        match &self.wanted {
            Reading::List(list) => list.as_ref(),
            Reading::Walk((walk, _)) => walk.as_ref(),
            Reading::Feed((feed, _)) => feed.as_ref(),
        }
    }

    /// Whether the run is skipped rather than failed by this fault: a tenant of an older release has no such list, or the token has not
    /// the scope of a list that nobody named.
    pub fn is_skipped_by(&self, fault: &Fault) -> bool {
        let Reading::List(list) = &self.wanted else {
            return false;
        };
        match fault.kind {
            Kind::Absent => list.is_optional(),
            Kind::Denied { .. } => list.is_optional() && !self.is_named,
            _ => false,
        }
    }

    /// The slot of a scope.
    pub fn slot(&self, scope: Scope) -> Slot {
        Slot {
            resource: self.resource().name(),
            scope,
        }
    }
}
