//! What a run reads, and what it is bound to: from the settings, and from flags that override them.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::SystemClock;
use crate::config::settings::{Order, Settings};
use crate::config::units::Removals;
use crate::model::Time;
use crate::model::description::Reading;
use crate::model::ports::{AnyResource, Clock as _};
use crate::model::position::Scope;
use crate::model::sampling::SAMPLE;
use crate::model::window::DailyWindow;
use crate::resources::registry::Entry;
use crate::schedule::plan;
use crate::sync::run_spec::{
    Bounds, EventOrder, EventsReading, ProfilesReading, RemovalBound, RunSpec, WhenHeld,
};

/// The share of `limits.memory` for reading, loading and the program itself; measured (docs/benchmarks.md).
const WORKING_BYTES: usize = 45 * 1024 * 1024;
/// The most elements of a batch, if its bytes do not end it earlier.
const BATCH_ELEMENTS: usize = 4000;
/// Look-ups by id that each sweep may make, also where the next full walk is close. At half of the default rate: about an hour.
const LOOKUPS: u64 = 10_000;
/// The share of the rate that a sweep looks up at: half of it is left to increments and lists.
const LOOKUP_SHARE: u32 = 2;

/// The bounds of all runs; `approved` removals are allowed whatever their number.
pub(super) fn bounds(settings: &Settings, approved: Option<u64>) -> Bounds {
    Bounds {
        batch_bytes: settings.limits.batch_size_for(settings.database.loading()),
        batch_elements: BATCH_ELEMENTS,
        lanes: settings.database.loading() as usize,
        known_bytes: settings.limits.memory.saturating_sub(WORKING_BYTES),
        full_window: full_window(settings),
        lease_ttl: settings.schedule.lease_ttl,
        removals: match settings.resources.profiles.max_removals {
            None => RemovalBound::Default,
            Some(Removals::Rows(rows)) => RemovalBound::Rows(rows),
            Some(Removals::Percent(share)) => RemovalBound::Percent(share),
        },
        approved_removals: approved,
        // Approved removals are not bounded by the number of look-ups.
        lookups: approved.map_or(LOOKUPS, |approved| approved.max(LOOKUPS)),
        // Whoever approved removals waits for them.
        lookups_per_second: match approved {
            Some(_) => 0,
            None => (settings.limits.requests_per_second.get() / LOOKUP_SHARE).max(1),
        },
        sample: SAMPLE,
        lookups_at_once: settings.limits.concurrent_requests.get() as usize,
    }
}

/// Flags that override the settings of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Full or increment, for profiles.
    pub scope: Option<Scope>,
    /// The start of reading, in place of the watermark.
    pub since: Option<Time>,
    /// How far audit events reach back before the watermark.
    pub overlap: Option<Duration>,
    /// Whether the resource was named.
    pub is_named: bool,
}

/// The run spec for the engine.
pub fn run_spec(settings: &Settings, entry: &Entry, overrides: Overrides, when_held: WhenHeld) -> RunSpec {
    let wanted = match &entry.resource {
        AnyResource::List(list) => Reading::List(Arc::clone(list)),
        AnyResource::Walk(walk) => Reading::Walk((Arc::clone(walk), profiles(settings, overrides))),
        AnyResource::Feed(feed) => Reading::Feed((Arc::clone(feed), events(settings, overrides))),
    };
    let settings = &settings.resources;
    let given = entry
        .description
        .as_list()
        .map(|list| settings.list(entry.description, list));
    RunSpec {
        wanted,
        when_held,
        is_named: overrides.is_named || given.is_some_and(|given| given.is_named),
    }
}

fn profiles(settings: &Settings, overrides: Overrides) -> ProfilesReading {
    ProfilesReading {
        scope: overrides.scope,
        overlap: settings.resources.profiles.overlap,
        since: overrides.since,
        next_full_at: plan::next_run(
            &settings.resources.profiles.full_schedule,
            settings.schedule.time_zone,
            SystemClock.now(),
        )
        .ok(),
    }
}

/// The hours between which full walks over profiles read.
pub fn full_window(settings: &Settings) -> Option<DailyWindow> {
    let hours = settings.resources.profiles.full_window?;
    Some(DailyWindow::new(hours, settings.schedule.time_zone))
}

fn events(settings: &Settings, overrides: Overrides) -> EventsReading {
    let events = &settings.resources.audit_events;
    EventsReading {
        overlap: overrides.overlap.unwrap_or(events.overlap),
        settle: events.settle,
        retention: events.retention,
        order: match events.order {
            Order::Auto => None,
            Order::OldestFirst => Some(EventOrder::OldestFirst),
            Order::NewestFirst => Some(EventOrder::NewestFirst),
        },
        since: overrides.since,
    }
}
