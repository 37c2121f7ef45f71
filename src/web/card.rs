//! The part of the status page that shows one resource in one scope.

use std::time::Duration;

use maud::{Markup, html};

use super::chart::{Said, share};
use super::days::SlotDays;
use super::html::Text;
use super::severity::class;
use super::view::{View, runs_of, state};
use crate::model::Time;
use crate::model::format;
use crate::model::severity::Severity;
use crate::model::status::{ResourceStatus, Run, RunStatus};

/// The card of a resource, with its last 30 days if they could be read. `id`: of the element, for links.
pub(super) fn card(
    id: &str,
    resource: &ResourceStatus,
    days: Option<&SlotDays<'_>>,
    view: View<'_>,
) -> Markup {
    let of_run = Severity::of_run(resource);
    let name = view.full_name(&resource.resource, resource.scope);
    let status = resource.last_run.as_ref().map(|run| run.status);
    html! {
        section id=(id) class={ "card " (class(Severity::of(resource))) } {
            div class="title" {
                h3 {
                    bdi { (Text(view.title(&resource.resource))) }
                    @if let Some(part) = view.part(&resource.resource, resource.scope) { " " small { bdi { (part) } } }
                }
                p class={ "status " (class(of_run)) } { (status.map_or("Never ran", state)) }
            }
            @match &resource.last_run {
                Some(run) => (ran(of_run, run, &name, view)),
                None => p class="when" { "It runs as soon as its turn comes." },
            }
            @if let Some(days) = days {
                div class="month" {
                    h4 { "Last 30 days" }
                    a href=(runs_of("", &resource.resource, resource.scope)) {
                        "All runs" span class="unseen" { " of " (Text(&name)) }
                    }
                    (days.charts(&name))
                }
            }
            (facts(resource, view))
        }
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

fn ran(severity: Severity, run: &Run, name: &str, view: View<'_>) -> Markup {
    html! {
        p class="when" {
            @if let Some(ended) = run.finished_at {
                "Ended " (view.moment(ended)) ", took "
                (format::rounded((ended - run.started_at).to_std().unwrap_or_default()))
            } @else {
                "Began " (view.moment(run.started_at))
            }
            ". "
            a href={ "runs/" (run.id) } { "The last run" span class="unseen" { " of " (Text(name)) } }
        }
        (progress(run, name))
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
fn progress(run: &Run, name: &str) -> Markup {
    let total = run.source_total.filter(|total| *total > 0);
    html! {
        @if let (RunStatus::Running, Some(total)) = (run.status, total) {
            @let read = run.rows_read.clamp(0, total);
            progress max=(total) value=(read) aria-label={ "Read so far: " (Text(name)) } {}
            p class="when" { (format::count(read)) " of " (format::count(total)) " read" }
        }
    }
}

fn facts(resource: &ResourceStatus, view: View<'_>) -> Markup {
    html! {
        dl class="facts" {
            @if resource.complete_as_of.is_some() {
                (fact_of("Complete as of", resource.complete_as_of, view))
            } @else {
                (fact_of("Watermark", resource.watermark, view))
            }
            @if let Some(lag) = resource.lag_seconds {
                dt { "Lag" }
                (freshness(Duration::try_from_secs_f64(lag).unwrap_or_default(), resource, view))
            }
            dt { "Open gaps" }
            (gaps(resource))
            @if resource.sweep_backlog > 0 {
                dt { "To be looked up" } dd { (format::count(resource.sweep_backlog)) " that a walk missed" }
            }
            @if let Some(timelines) = resource.timelines {
                (fact_of("Timelines as of", Some(timelines.complete_as_of), view))
                @if timelines.profiles_with_gaps > 0 {
                    dt { "Timeline gaps" } dd { (format::count(timelines.profiles_with_gaps)) " profiles" }
                }
            }
            (next_run(resource, view))
            @if let Some(holder) = resource.holder() {
                dt { "Held by" } dd class="holder" { bdi { (Text(holder)) } }
            }
        }
    }
}

/// When it runs next, also in the zone of its job; or what holds it.
fn next_run(resource: &ResourceStatus, view: View<'_>) -> Markup {
    let is_requested = resource.jobs.iter().any(|job| job.requested_at.is_some());
    html! {
        @if let Some(pause) = &resource.pause {
            dt { "Paused" }
            dd class=(class(Severity::Attention)) {
                (view.moment(pause.since)) ", "
                @match pause.ends_at {
                    Some(end) => { "until " (view.moment(end)) }
                    None => { "until somebody resumes it" }
                }
                ", by " bdi { (Text(&pause.by)) }
            }
        } @else if let Some(at) = resource.next_run_at {
            dt { "Next run" }
            @if is_requested {
                dd { "asked for by hand" }
            } @else if at <= view.now {
                dd { "due now" }
            } @else {
                dd {
                    (view.moment(at))
                    @if let Some(job) = resource.next_job().filter(|job| job.time_zone != "UTC") {
                        " " small { bdi { (Text(&job.next_run())) } }
                    }
                }
            }
        }
    }
}

fn fact_of(label: &str, at: Option<Time>, view: View<'_>) -> Markup {
    html! { @if let Some(at) = at { dt { (label) } dd { (view.moment(at)) } } }
}

/// How far the table is behind the tenant, beside its goal where it has one.
fn freshness(lag: Duration, resource: &ResourceStatus, view: View<'_>) -> Markup {
    let Some(goal) = view.goals.get(resource.resource.as_str()) else {
        return html! { dd { (format::rough(lag)) } };
    };
    let is_late = lag > *goal;
    let severity = if is_late {
        Severity::Attention
    } else {
        Severity::Good
    };
    let said = format!(
        "{}, {} its goal of {}",
        format::rough(lag),
        if is_late { "beyond" } else { "within" },
        format::rough(*goal)
    );
    // The goal stands at half of the width, so that a lag of twice as much fills it.
    let part = lag.as_secs_f64() / goal.as_secs_f64().max(1.0) / 2.0;
    html! {
        dd class=[is_late.then_some(class(severity))] {
            (said)
            div class="goal" {
                (share(part, severity, Said { title: &format!("Lag against the goal: {said}"), description: "" }))
            }
        }
    }
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
