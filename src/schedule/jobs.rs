//! The jobs that follow from the settings. Their names are those in `sync.schedule.job`.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::settings::{AuditEvents, List, Profiles, Settings};
use crate::model::description::{Description, Reading};
use crate::model::job::{DRIFT, HOUSEKEEPING, Jitter, Job, ScheduledJob};
use crate::model::position::{Scope, Slot};

/// The jobs of the enabled resources, in the order in which they start if several are due. Behind them the comparison with the tenant's
/// document and the housekeeping, unless their schedules are empty.
pub fn jobs(settings: &Settings) -> Vec<ScheduledJob> {
    let zone = settings.schedule.time_zone.name();
    let enabled = settings
        .registry
        .iter()
        .filter(|it| settings.resources.is_enabled(it));
    let jobs = enabled.flat_map(|description| of(description, settings));
    let own = [
        (DRIFT, &settings.schedule.drift),
        (HOUSEKEEPING, &settings.schedule.housekeeping),
    ];
    let own = own.into_iter().filter(|(_, cron)| !cron.is_empty());
    let own = own.map(|(slot, cron)| scheduled(slot.resource, slot, cron, zone));
    jobs.chain(own.map(|job| spread(job, settings))).collect()
}

/// The jobs of a resource, whether it is enabled or not.
pub fn of(description: &Description, settings: &Settings) -> Vec<ScheduledJob> {
    let resources = &settings.resources;
    let zone = settings.schedule.time_zone.name();
    let jobs = match &description.reading {
        Reading::List(list) => vec![self::list(description, &resources.list(description, list), zone)],
        Reading::Walk(()) => profiles(description.name(), &resources.profiles, zone),
        Reading::Feed(()) => audit_events(description.name(), &resources.audit_events, zone),
    };
    jobs.into_iter().map(|job| spread(job, settings)).collect()
}

/// The job with its jitter. The share follows from the tenant and the job, so that it is the same in each replica and after each
/// restart, and differs between the jobs of a tenant and between tenants.
fn spread(job: ScheduledJob, settings: &Settings) -> ScheduledJob {
    let tenant = settings.tenant.url.as_ref().map_or("", |url| url.as_str());
    let hash = xxh3_64(format!("{tenant} {}", job.job.name).as_bytes());
    ScheduledJob {
        jitter: Jitter {
            most: settings.schedule.jitter,
            share: u32::try_from(hash >> 32).unwrap_or(0),
        },
        ..job
    }
}

fn list(description: &Description, settings: &List, zone: &str) -> ScheduledJob {
    let resource = description.name();
    let slot = Slot {
        resource,
        scope: Scope::Full,
    };
    scheduled(resource, slot, &settings.schedule, zone)
}

/// The full walk comes first, since an increment need not read again what it brings.
fn profiles(resource: &'static str, settings: &Profiles, zone: &str) -> Vec<ScheduledJob> {
    let slot = |scope| Slot { resource, scope };
    let name = |scope: Scope| format!("{resource}/{}", scope.as_str());
    vec![
        scheduled(
            &name(Scope::Full),
            slot(Scope::Full),
            &settings.full_schedule,
            zone,
        ),
        ScheduledJob {
            at_once: false,
            ..scheduled(
                &name(Scope::Increment),
                slot(Scope::Increment),
                &settings.schedule,
                zone,
            )
        },
    ]
}

/// The first poll of a new database reads the tenant's whole retention, so the wider scans add nothing yet.
fn audit_events(resource: &'static str, settings: &AuditEvents, zone: &str) -> Vec<ScheduledJob> {
    let slot = Slot {
        resource,
        scope: Scope::Increment,
    };
    let reaching = |name: &str, cron: &str, overlap: Duration| ScheduledJob {
        overlap: Some(overlap),
        ..scheduled(name, slot, cron, zone)
    };
    let mut jobs = vec![reaching(resource, &settings.schedule, settings.overlap)];
    jobs.extend(settings.scans.iter().zip(1..).map(|(scan, number)| ScheduledJob {
        at_once: false,
        ..reaching(&format!("{resource}/scan-{number}"), &scan.schedule, scan.overlap)
    }));
    jobs
}

fn scheduled(name: &str, slot: Slot, cron: &str, zone: &str) -> ScheduledJob {
    ScheduledJob {
        job: Job {
            name: name.to_owned(),
            slot,
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
        },
        overlap: None,
        at_once: true,
        jitter: Jitter::default(),
    }
}
