//! What the engine is asked to do, and the bounds within which it does it; made by the composition root from settings.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Time;
use crate::model::description::Reading;
use crate::model::ports::{Feed, Listing, Resource, Walkable};
use crate::model::position::{Scope, Slot};
pub use crate::model::removals::RemovalBound;

/// One run that is wanted.
#[derive(Clone)]
pub struct RunSpec {
    /// What is read, and how.
    pub wanted: Wanted,
    /// What to do when another process holds the lease.
    pub when_held: WhenHeld,
}

/// The resource of a run, with how its kind is read. Profiles resume an open walk, else increment, else (nothing is
/// complete yet) they are walked fully.
pub type Wanted =
    Reading<Arc<dyn Listing>, (Arc<dyn Walkable>, ProfilesReading), (Arc<dyn Feed>, EventsReading)>;

/// How profiles are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProfilesReading {
    /// Full or increment; none lets the cursors decide.
    pub scope: Option<Scope>,
    /// How far an increment reaches back behind its watermark.
    pub overlap: Duration,
    /// In place of the watermark.
    pub since: Option<Time>,
}

/// How audit events are read.
#[derive(Debug, Clone, Copy)]
pub struct EventsReading {
    /// How far the scan reaches back behind the watermark.
    pub overlap: Duration,
    /// How long events may take to show up.
    pub settle: Duration,
    /// How long the tenant keeps them.
    pub retention: Duration,
    /// The order in which the tenant answers, where the settings say it.
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

/// What to do when another process holds the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenHeld {
    /// Leave it to the other (the schedule).
    Leave,
    /// Look on until it lapses, then take over, or until it is renewed, then give up.
    LookOn,
    /// Wait for as long as it takes.
    Wait,
}

/// The bounds of the engine.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// When a batch is loaded, in bytes.
    pub batch_bytes: usize,
    /// When a batch is loaded, in elements.
    pub batch_elements: usize,
    /// Connections that load at once.
    pub lanes: usize,
    /// How long a lease holds without renewal.
    pub lease_ttl: Duration,
    /// How much a run may remove unasked, by merges and its sweep.
    pub removals: RemovalBound,
    /// Removals that a person approved, by number.
    pub approved_removals: Option<u64>,
    /// Look-ups of one sweep.
    pub lookups: u64,
    /// Look-ups at once.
    pub lookups_at_once: usize,
}

impl RunSpec {
    /// What is read.
    pub fn resource(&self) -> &dyn Resource {
        match &self.wanted {
            Reading::List(list) => list.as_ref(),
            Reading::Walk((walk, _)) => walk.as_ref(),
            Reading::Feed((feed, _)) => feed.as_ref(),
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
