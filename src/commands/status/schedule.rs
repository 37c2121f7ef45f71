//! The part of `status` that shows the schedule: who keeps it, when each job runs next in its own time zone, and what holds it.

use crate::model::format;
use crate::model::sanitize;
use crate::model::status::{ResourceStatus, Status};
use crate::model::timetable::JobStatus;

use crate::commands::output;

/// Prints it, unless no service has made a schedule yet.
pub(super) fn tell(status: &Status) {
    let jobs = || {
        let resources = status.resources.iter();
        resources.flat_map(|resource| resource.jobs.iter().map(move |job| (resource, job)))
    };
    let paused = status.resources.iter().filter(|it| it.jobs.is_empty());
    let mut paused: Vec<(&str, String)> = paused.filter_map(|it| Some((&*it.resource, held(it)?))).collect();
    paused.dedup();
    if jobs().next().is_none() && paused.is_empty() {
        return;
    }
    let mut rows = vec![["job", "next run", "state"].map(str::to_owned).to_vec()];
    rows.extend(jobs().map(|(resource, job)| row(status, resource, job)));
    rows.extend(
        paused
            .into_iter()
            .map(|(name, held)| vec![name.to_owned(), "-".to_owned(), held]),
    );
    output::line(&output::table(&rows));
    services(status);
    output::line("");
}

fn row(status: &Status, resource: &ResourceStatus, job: &JobStatus) -> Vec<String> {
    let put_off = status.usage.iter().flat_map(|usage| &usage.put_off);
    let put_off = put_off.filter(|put_off| put_off.job == job.job);
    let put_off = put_off.map(|it| format!("put off to {} UTC", format::moment(it.until)));
    let state = match (&job.running_by, held(resource), job.requested_at) {
        (Some(holder), None, _) => format!("{holder} runs it"),
        (Some(holder), Some(held), _) => format!("{holder} runs it, then {held}"),
        (None, Some(held), _) => held,
        (None, None, Some(at)) => format!("asked for at {} UTC", format::moment(at)),
        (None, None, None) => put_off.collect(),
    };
    vec![
        job.job.clone(),
        job.next_run(),
        sanitize::line(&state).to_string(),
    ]
}

fn held(resource: &ResourceStatus) -> Option<String> {
    let pause = resource.pause.as_ref()?;
    let since = format::moment(pause.since);
    Some(format!(
        "paused since {since} UTC by {}, {}",
        pause.by,
        pause.end()
    ))
}

/// The processes that keep the schedule, or that none does.
fn services(status: &Status) {
    let alive: Vec<&str> = status
        .services
        .iter()
        .filter(|service| service.is_alive)
        .map(|service| service.holder.as_str())
        .collect();
    output::line(&match (alive.is_empty(), status.services.first()) {
        (false, _) => format!("schedule kept by {}", sanitize::line(&alive.join(", "))),
        (true, Some(last)) => format!(
            "no `serve` keeps the schedule: the last one ({}) was seen at {} UTC",
            sanitize::line(&last.holder),
            format::moment(last.seen_at)
        ),
        (true, None) => "no `serve` keeps the schedule".to_owned(),
    });
}
