//! The forecast of `check` for a person.

use super::cost::{Cost, whole};
use super::forecast::{Basis, Forecast};
use crate::commands::output;
use crate::model::format;

/// The table of jobs, and what follows from it.
pub(super) fn text(forecast: &Forecast) -> String {
    let head = [
        "job",
        "schedule",
        "runs",
        "requests each",
        "requests",
        "traffic",
        "by",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(forecast.jobs.iter().map(|job| {
        let (each, requests, traffic) = if job.basis == Basis::Unknown {
            ("-".to_owned(), "-".to_owned(), "-".to_owned())
        } else {
            (
                count(job.run.requests),
                count(job.total.requests),
                bytes(job.total),
            )
        };
        vec![
            job.job.clone(),
            job.cron.clone(),
            count(job.runs),
            each,
            requests,
            traffic,
            by(job.basis).to_owned(),
        ]
    }));
    let mut lines = vec![
        format!("what the schedule costs in {} days", forecast.days),
        output::table(&rows),
        format!(
            "about {} requests and {} of traffic in all",
            count(forecast.total.requests),
            bytes(forecast.total)
        ),
    ];
    lines.extend(limits(forecast));
    lines.extend(profiles(forecast));
    lines.push(confidence(forecast));
    lines.join("\n")
}

fn count(number: f64) -> String {
    format::count(whole(number))
}

fn bytes(cost: Cost) -> String {
    format::bytes(whole(cost.bytes))
}

const fn by(basis: Basis) -> &'static str {
    match basis {
        Basis::Measured => "its last runs",
        Basis::Sampled => "the tenant's totals",
        Basis::Assumed => "a guess",
        Basis::Unknown => "not known yet",
    }
}

/// The limits, and how much of them that is.
fn limits(forecast: &Forecast) -> Vec<String> {
    let of = |name: &str, limit: Option<u64>, amount: f64, shown: fn(u64) -> String| {
        let limit = limit?;
        let percent = u128::from(whole(amount)) * 100 / u128::from(limit.max(1));
        Some(format!("`limits.{name}` is {}: {percent}% of it", shown(limit)))
    };
    let requests = of(
        "requests_per_month",
        forecast.requests_per_month,
        forecast.total.requests,
        format::count,
    );
    let traffic = of(
        "traffic_per_month",
        forecast.traffic_per_month,
        forecast.total.bytes,
        format::bytes,
    );
    requests.into_iter().chain(traffic).collect()
}

/// The size of the tenant, and how often full walks should come.
fn profiles(forecast: &Forecast) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(profiles) = forecast.profiles {
        let changed = forecast
            .changed_a_day
            .map(|changed| format!(", of which {} changed within a day", format::count(changed)));
        lines.push(format!(
            "{} profiles{}; a full walk takes about {}",
            format::count(profiles),
            changed.unwrap_or_default(),
            format::precise(forecast.full_walk_seconds.unwrap_or_default())
        ));
    }
    let Some(found) = &forecast.recommendation else {
        return lines;
    };
    let why = found.why.as_ref().map(|why| format!(" ({why})"));
    let why = why.unwrap_or_default();
    lines.push(if found.is_kept {
        format!("full walks: the schedule fits; {} would be right{why}", found.pace)
    } else {
        format!(
            "full walks: the schedule has too many; {} is right{why}: set `resources.profiles.full_schedule = \"{}\"`",
            found.pace, found.full_schedule
        )
    });
    lines
}

/// How sure it is.
fn confidence(forecast: &Forecast) -> String {
    let has = |basis| forecast.jobs.iter().any(|job| job.basis == basis);
    let mut sentences = Vec::new();
    if has(Basis::Measured) {
        sentences.push("figures by last runs change as the tenant does");
    }
    if has(Basis::Sampled) {
        sentences.push("those by totals may be off by a half, since one page stands for all");
    }
    if has(Basis::Assumed) {
        sentences.push("a guess counts requests well and bytes badly");
    }
    sentences
        .push("repeated requests and look-ups of removed profiles come on top before they were measured");
    format!("how sure: {}", sentences.join("; "))
}
