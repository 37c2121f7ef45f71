//! The part of the status page that shows one resource in one scope.

use std::time::Duration;

use maud::{Markup, html};

use super::html::Text;
use super::severity::class;
use crate::model::Time;
use crate::model::description::Registry;
use crate::model::format;
use crate::model::position::Scope;
use crate::model::severity::Severity;
use crate::model::status::{ResourceStatus, Run, RunStatus};

/// The card of a resource.
pub(super) fn card(resource: &ResourceStatus, registry: Registry, now: Time) -> Markup {
    let of_run = Severity::of_run(resource);
    html! {
        section class={ "card " (class(Severity::of(resource))) } {
            div class="title" {
                h2 {
                    bdi { (Text(title(resource, registry))) }
                    @if let Some(part) = part(resource, registry) { " " small { bdi { (part) } } }
                }
                p class={ "status " (class(of_run)) } { bdi { (state(resource)) } }
            }
            @match &resource.last_run {
                Some(run) => (ran(of_run, run, now)),
                None => p class="when" { "It runs as soon as its turn comes." },
            }
            (facts(resource, now))
        }
    }
}

/// The name of a resource and the part of it that a scope reads.
pub(super) fn full_name(resource: &ResourceStatus, registry: Registry) -> String {
    let title = title(resource, registry);
    match part(resource, registry) {
        Some(part) => format!("{title}, {part}"),
        None => title.to_owned(),
    }
}

/// A fault and what to do about it.
pub(super) fn trouble(severity: Severity, error: Option<&str>, hint: Option<&str>) -> Markup {
    html! {
        @if error.is_some() || hint.is_some() {
            div class={ "trouble " (class(severity)) } {
                @if let Some(error) = error { p { bdi { (Text(error)) } } }
                @if let Some(hint) = hint { p class="hint" { bdi { (Text(hint)) } } }
            }
        }
    }
}

fn title(resource: &ResourceStatus, registry: Registry) -> &str {
    let known = registry.named(&resource.resource);
    known.map_or(&resource.resource, |known| known.title)
}

/// What a scope reads of a resource; none where a resource has only one scope.
fn part(resource: &ResourceStatus, registry: Registry) -> Option<&'static str> {
    let is_only = registry
        .named(&resource.resource)
        .is_some_and(|known| known.scopes().iter().all(|own| *own == resource.scope));
    match resource.scope {
        _ if is_only => None,
        Scope::Full => Some("everything"),
        Scope::Increment => Some("what changed"),
    }
}

fn state(resource: &ResourceStatus) -> &'static str {
    match resource.last_run.as_ref().map(|run| run.status) {
        None => "Never ran",
        Some(RunStatus::Succeeded) => "Succeeded",
        Some(RunStatus::Running) => "Running",
        Some(RunStatus::Partial) => "Partial",
        Some(RunStatus::Failed) => "Failed",
        Some(RunStatus::Interrupted) => "Interrupted",
        Some(RunStatus::NeedsApproval) => "Needs approval",
        Some(RunStatus::Skipped) => "Not available",
    }
}

fn ran(severity: Severity, run: &Run, now: Time) -> Markup {
    html! {
        p class="when" {
            @if let Some(ended) = run.finished_at {
                "Ended " (moment(ended, now)) ", took "
                (format::rounded((ended - run.started_at).to_std().unwrap_or_default()))
            } @else {
                "Began " (moment(run.started_at, now))
            }
        }
        (progress(run))
        (trouble(severity, run.error.as_deref(), run.hint.as_deref()))
        dl class="counts" {
            (count("read", run.rows_read, "some"))
            (count("inserted", run.rows_inserted, "some"))
            (count("updated", run.rows_updated, "some"))
            (count("unchanged", run.rows_unchanged, "some"))
            (count("removed", run.rows_removed, "some"))
            (count("rejected", run.rows_rejected, class(Severity::Attention)))
        }
    }
}

fn count(label: &str, count: i64, class: &str) -> Markup {
    let class = if count == 0 { "none" } else { class };
    html! { div class=(class) { dt { (label) } dd { (format::count(count)) } } }
}

/// The progress bar of a current run, if the tenant reported a total.
fn progress(run: &Run) -> Markup {
    let total = run.source_total.filter(|total| *total > 0);
    html! {
        @if let (RunStatus::Running, Some(total)) = (run.status, total) {
            @let read = run.rows_read.clamp(0, total);
            progress max=(total) value=(read) {}
            p class="when" { (format::count(read)) " of " (format::count(total)) " read" }
        }
    }
}

fn facts(resource: &ResourceStatus, now: Time) -> Markup {
    html! {
        dl class="facts" {
            @if resource.complete_as_of.is_some() {
                (fact_of("Complete as of", resource.complete_as_of, now))
            } @else {
                (fact_of("Watermark", resource.watermark, now))
            }
            @if let Some(lag) = resource.lag_seconds {
                dt { "Lag" }
                dd { (format::rough(Duration::try_from_secs_f64(lag).unwrap_or_default())) }
            }
            dt { "Open gaps" }
            (gaps(resource))
            @if resource.sweep_backlog > 0 {
                dt { "To be looked up" } dd { (format::count(resource.sweep_backlog)) " that a walk missed" }
            }
            @if let Some(timelines) = resource.timelines {
                (fact_of("Timelines as of", Some(timelines.complete_as_of), now))
                @if timelines.profiles_with_gaps > 0 {
                    dt { "Timeline gaps" } dd { (format::count(timelines.profiles_with_gaps)) " profiles" }
                }
            }
            (next_run(resource, now))
            @if let Some(holder) = resource.holder() {
                dt { "Held by" } dd { bdi { (Text(holder)) } }
            }
        }
    }
}

/// When it runs next, also in the zone of its job; or what holds it.
fn next_run(resource: &ResourceStatus, now: Time) -> Markup {
    let is_requested = resource.jobs.iter().any(|job| job.requested_at.is_some());
    html! {
        @if let Some(pause) = &resource.pause {
            dt { "Paused" }
            dd class=(class(Severity::Attention)) {
                (moment(pause.since, now)) ", "
                @match pause.ends_at {
                    Some(end) => { "until " (moment(end, now)) }
                    None => { "until somebody resumes it" }
                }
                ", by " bdi { (Text(&pause.by)) }
            }
        } @else if let Some(at) = resource.next_run_at {
            dt { "Next run" }
            @if is_requested {
                dd { "asked for by hand" }
            } @else if at <= now {
                dd { "due now" }
            } @else {
                dd {
                    (moment(at, now))
                    @if let Some(job) = resource.next_job().filter(|job| job.time_zone != "UTC") {
                        " " small { bdi { (Text(&job.next_run())) } }
                    }
                }
            }
        }
    }
}

fn fact_of(label: &str, at: Option<Time>, now: Time) -> Markup {
    html! { @if let Some(at) = at { dt { (label) } dd { (moment(at, now)) } } }
}

fn gaps(resource: &ResourceStatus) -> Markup {
    let open = resource.open_gaps;
    html! {
        @if open == 0 {
            dd { "none" }
        } @else if resource.has_closable_gaps() {
            dd class=(class(Severity::Attention)) { (format::count(open)) }
        } @else {
            dd { (format::count(open)) " for good" }
        }
    }
}

fn moment(at: Time, now: Time) -> Markup {
    html! {
        time datetime=(at.to_rfc3339()) title={ (format::moment(at)) " UTC" } {
            (format::relative(at, now)) " " small { (format::clock(at, now)) }
        }
    }
}
