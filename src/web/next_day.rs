//! The schedule of the next day: when each job starts.

use maud::{Markup, html};

use super::chart::{Mark, Said, line};
use super::html::Text;
use super::severity::class;
use super::view::View;
use crate::model::overview::{PlannedJob, Starts};
use crate::model::severity::Severity;
use crate::model::{Time, format};

/// The seconds of the time line.
const DAY: f64 = 86_400.0;
/// The width of a start, of the thousand of a line.
const LEAST: usize = 5;

/// The jobs, the next one first.
pub(super) fn section(jobs: &[PlannedJob], view: View<'_>) -> Markup {
    if jobs.is_empty() {
        return html! { p class="when" { "No process has scheduled a job in this database yet." } };
    }
    let mut sorted: Vec<&PlannedJob> = jobs.iter().collect();
    sorted.sort_by_key(|job| (order(job), job.next_run_at));
    html! {
        table class="data jobs" {
            caption { "Jobs, the next one first. Each line reaches from now to this time tomorrow." }
            thead {
                tr {
                    th scope="col" { "Job" }
                    th scope="col" { "Next start" }
                    th scope="col" class="number" { "Starts" }
                }
            }
            tbody { @for job in sorted { (row(job, view)) } }
        }
    }
}

/// Jobs that are held without an end come last.
fn order(job: &PlannedJob) -> bool {
    job.pause.as_ref().is_some_and(|pause| pause.ends_at.is_none())
}

fn row(job: &PlannedJob, view: View<'_>) -> Markup {
    let times = job.starts.as_ref().map_or(&[][..], |starts| &starts.times);
    let marks: Vec<Mark> = times.iter().map(|at| mark(*at, view.now)).collect();
    let said = said(job, view.now);
    html! {
        tr {
            th scope="row" {
                (Text(&job.job))
                " " small { code { (Text(&job.cron)) } " " (Text(&job.time_zone)) }
                (line(&marks, LEAST, Said { title: &said, description: "" }))
            }
            td { (next(job, view)) }
            td class="number" { (count(job.starts.as_ref())) }
        }
    }
}

fn mark(at: Time, now: Time) -> Mark {
    #[expect(clippy::cast_precision_loss, reason = "a place on a line")]
    let share = (at - now).num_seconds() as f64 / DAY;
    Mark {
        from: share,
        to: share,
        severity: Severity::Running,
    }
}

fn next(job: &PlannedJob, view: View<'_>) -> Markup {
    html! {
        @if job.is_running {
            span class=(class(Severity::Running)) { "running now" }
        } @else if let Some(pause) = &job.pause {
            span class=(class(Severity::Attention)) {
                @match pause.ends_at {
                    Some(end) => { "held until " (view.moment(end)) }
                    None => { "held until somebody resumes it" }
                }
            }
        } @else if job.is_requested {
            "asked for by hand"
        } @else if job.next_run_at <= view.now {
            "due now"
        } @else {
            (view.moment(job.next_run_at))
        }
    }
}

fn count(starts: Option<&Starts>) -> String {
    match starts {
        None => "not known".to_owned(),
        Some(starts) if starts.and_more => format!("more than {}", starts.times.len()),
        Some(starts) => starts.times.len().to_string(),
    }
}

fn said(job: &PlannedJob, now: Time) -> String {
    let count = count(job.starts.as_ref());
    let times = job.starts.as_ref().map_or(&[][..], |starts| &starts.times);
    let (first, last) = (times.first(), times.last());
    match (first, last) {
        (Some(first), Some(last)) => format!(
            "Starts of {} within a day: {count}, from {} to {}",
            job.job,
            format::clock(*first, now),
            format::clock(*last, now)
        ),
        _ => format!("Starts of {} within a day: {count}", job.job),
    }
}
