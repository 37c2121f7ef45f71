//! What the settings say of the month's usage: forecasts, limits and what is put off, for `status`, the pages and the messages; and what a
//! person's command says who exceeds a limit.

use crate::config::settings::Settings;
use crate::model::fault::Outcome;
use crate::model::format;
use crate::model::job::Job;
use crate::model::ports::UsageStore;
use crate::model::status::{ResourceStatus, Status};
use crate::model::usage::{Measure, Usage, Used, WARN_PERCENT};
use crate::model::{Time, sanitize};
use crate::postgres::store::PostgresStore;
use crate::schedule::budget::Plan;

/// The state with forecasts, limits and what is put off. The schedule is the one that the database has.
pub(super) fn with_forecast(mut status: Status, settings: &Settings, now: Time) -> Status {
    let Some(usage) = status.usage.take() else {
        return status;
    };
    let stored = stored_jobs(&status.resources, settings);
    let due = |job: &Job| {
        let mut jobs = status.resources.iter().flat_map(|it| &it.jobs);
        let is_held = status
            .resources
            .iter()
            .any(|it| it.resource == job.slot.resource && it.pause.is_some());
        let own = jobs.find(|own| own.job == job.name);
        let waits = own.is_some_and(|own| {
            own.next_run_at <= now && own.requested_at.is_none() && own.running_by.is_none()
        });
        waits && !is_held
    };
    // An expression that cannot be read is one of a later version.
    let plan = Plan::new(stored, settings.registry).or_else(|_| Plan::new([], settings.registry));
    status.usage = Some(match plan {
        Ok(plan) => plan.complete(usage, settings.limits.budget(), due, now),
        Err(_) => usage,
    });
    status
}

fn stored_jobs(resources: &[ResourceStatus], settings: &Settings) -> Vec<Job> {
    let of = |resource: &ResourceStatus| {
        let named = settings.registry.named(&resource.resource);
        let slot = named.and_then(|it| it.slots().find(|slot| slot.scope == resource.scope));
        let jobs = resource.jobs.iter().filter_map(move |job| {
            Some(Job {
                name: job.job.clone(),
                slot: slot?,
                cron: job.cron.clone(),
                time_zone: job.time_zone.clone(),
            })
        });
        jobs.collect::<Vec<_>>()
    };
    resources.iter().flat_map(of).collect()
}

/// The month's usage in lines: what is used, what it will be, and the limits.
pub(super) fn lines(usage: &Usage) -> Vec<String> {
    let month = usage.starts_at.format("%B %Y");
    let amount = |of: fn(&Usage) -> Measure, shown: fn(u64) -> String| {
        let measure = of(usage);
        let shown = |amount: i64| shown(amount.unsigned_abs());
        let share = measure.percent().zip(measure.limit);
        let share = share.map(|(percent, limit)| format!(", {percent}% of {}", shown(limit)));
        let forecast = measure
            .forecast
            .map(|forecast| format!("; about {} by the end of the month", shown(forecast)));
        [Some(shown(measure.used)), share, forecast]
            .into_iter()
            .flatten()
            .collect::<String>()
    };
    let mut lines = vec![
        format!(
            "usage of {month} (UTC): {} profiles read",
            format::count(usage.profiles_read)
        ),
        format!("  requests  {}", amount(|it| it.requests, format::count)),
        format!("  traffic   {}", amount(|it| it.bytes_received, format::bytes)),
    ];
    if let Some(last) = usage.last_month {
        lines.push(format!(
            "  the month before: {} requests, {} of traffic, {} profiles read",
            format::count(last.requests),
            format::bytes(last.bytes_received.unsigned_abs()),
            format::count(last.profiles_read)
        ));
    }
    lines.extend(usage.put_off.iter().map(|put_off| {
        format!(
            "  {} is put off to {} UTC: {}",
            sanitize::line(&put_off.job),
            format::moment(put_off.until),
            put_off.why
        )
    }));
    lines
}

/// What is said to a person whose command may exceed a limit; none below 80% of each.
pub(super) async fn exceeding(settings: &Settings, store: &PostgresStore) -> Outcome<Option<String>> {
    let budget = settings.limits.budget();
    if budget.is_unlimited() {
        return Ok(None);
    }
    let usage = store.usage().await?;
    let limited = |measure: Measure, limit: Option<u64>| Measure {
        limit: limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
        ..measure
    };
    let requests = limited(usage.requests, budget.requests);
    let bytes = limited(usage.bytes_received, budget.bytes);
    let percent = requests.percent().max(bytes.percent());
    let percent = percent.filter(|percent| percent.unsigned_abs() >= WARN_PERCENT);
    Ok(percent.map(|percent| {
        format!(
            "{percent}% of what this month may cost are used (`limits`); what a person asks for is not held, and counts: scheduled full \
             walks may have to wait for it"
        )
    }))
}

/// Adds what a command without an [`crate::app::App`] sent to the ledger. A ledger that cannot be written fails no command.
pub(super) async fn note(store: &PostgresStore, used: &Used) {
    if used.is_none() {
        return;
    }
    if let Err(fault) = store.add_usage(used).await {
        tracing::warn!(%fault, "the requests of this command could not be written into `sync.usage`");
    }
}
