//! Which jobs the settings ask for. Names are what `sync.schedule.job` holds.

use std::time::Duration;

use crate::config::settings::{AuditEvents, List, Profiles, Settings};
use crate::model::job::{Job, Task};
use crate::model::position::{Scope, Slot};

/// The jobs of the enabled resources, in the order in which they are begun when several are due.
pub fn jobs(settings: &Settings) -> Vec<Task> {
    let resources = &settings.resources;
    let zone = settings.schedule.time_zone.name();
    let mut tasks = Vec::new();
    tasks.extend(list("segments", &resources.segments, zone));
    tasks.extend(list("profile_properties", &resources.profile_properties, zone));
    tasks.extend(profiles(&resources.profiles, zone));
    tasks.extend(audit_events(&resources.audit_events, zone));
    tasks
}

fn list(resource: &'static str, settings: &List, zone: &str) -> Option<Task> {
    let slot = Slot {
        resource,
        scope: Scope::Full,
    };
    settings
        .enabled
        .then(|| task(resource, slot, &settings.schedule, zone))
}

/// The full walk comes first: what it brings, an increment need not.
fn profiles(settings: &Profiles, zone: &str) -> Vec<Task> {
    if !settings.enabled {
        return Vec::new();
    }
    let slot = |scope| Slot {
        resource: "profiles",
        scope,
    };
    vec![
        task("profiles/full", slot(Scope::Full), &settings.full_schedule, zone),
        Task {
            at_once: false,
            ..task(
                "profiles/increment",
                slot(Scope::Increment),
                &settings.schedule,
                zone,
            )
        },
    ]
}

/// The first poll of a new database reads as far back as the tenant keeps events, so the wider scans add nothing yet.
fn audit_events(settings: &AuditEvents, zone: &str) -> Vec<Task> {
    if !settings.enabled {
        return Vec::new();
    }
    let slot = Slot {
        resource: "audit_events",
        scope: Scope::Increment,
    };
    let reaching = |name: &str, cron: &str, overlap: Duration| Task {
        overlap: Some(overlap),
        ..task(name, slot, cron, zone)
    };
    let mut tasks = vec![reaching("audit_events", &settings.schedule, settings.overlap)];
    tasks.extend(settings.scans.iter().zip(1..).map(|(scan, number)| Task {
        at_once: false,
        ..reaching(
            &format!("audit_events/scan-{number}"),
            &scan.schedule,
            scan.overlap,
        )
    }));
    tasks
}

fn task(name: &str, slot: Slot, cron: &str, zone: &str) -> Task {
    Task {
        job: Job {
            name: name.to_owned(),
            slot,
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
        },
        overlap: None,
        at_once: true,
    }
}
