//! `resources`: every resource with its scope, its state, its schedule and what it costs. Sends no request and changes nothing.

use serde::Serialize;

use crate::cli::Resources as Arguments;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::description::Description;
use crate::model::fault::{Kind, Outcome};
use crate::model::format;
use crate::model::job::ScheduledJob;
use crate::model::ports::Clock as _;
use crate::model::sanitize;
use crate::model::status::{ResourceStatus, RunStatus, Status};
use crate::schedule::jobs::jobs;
use crate::schedule::occurrences::occurrences;
use crate::schedule::plan::Timetable;

use super::{check, output, status};
use crate::clock::SystemClock;

/// The days over which runs are counted: a schedule may name a day of the week.
const DAYS: u32 = 7;

/// A resource, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Resource {
    #[serde(rename = "resource")]
    name: &'static str,
    title: &'static str,
    oauth_scope: &'static str,
    /// `on`, `off`, `skipped` (the tenant lacks it, or the token may not read it), or `failed`.
    state: &'static str,
    /// Why, if it was skipped or failed.
    error: Option<String>,
    schedules: Vec<Schedule>,
    /// The planner's estimate; none before the table is there.
    rows_estimated: Option<i64>,
    last_run: Option<LastRun>,
    /// By the requests of the last run of each scope; none before a run of each.
    requests_per_day: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Schedule {
    job: String,
    cron: String,
    runs_per_day: f64,
}

#[derive(Debug, Serialize)]
struct LastRun {
    mode: &'static str,
    status: &'static str,
    started_at: Time,
    requests: i64,
}

/// Runs the command.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Outcome<Exit> {
    let status = match stored(settings).await {
        Ok(status) => status,
        Err(fault) if fault.kind == Kind::Settings => return Err(fault),
        Err(fault) => {
            // What the settings say is worth showing without the database.
            output::note(&format!("nothing is shown of the database: {}", fault.sentence()));
            Status::default()
        }
    };
    let jobs = jobs(settings);
    let now = SystemClock.now();
    let resources: Vec<Resource> = settings
        .registry
        .iter()
        .map(|description| Resource::of(description, settings, &jobs, &status, now))
        .collect();
    if arguments.json {
        output::json(&resources)?;
    } else {
        tell(&resources);
    }
    Ok(Exit::Done)
}

/// The state of the service; empty before the first run.
async fn stored(settings: &Settings) -> Outcome<Status> {
    if check::is_unmade(settings) {
        return Ok(Status::default());
    }
    status::stored(settings).await
}

impl Resource {
    fn of(
        description: &Description,
        settings: &Settings,
        jobs: &[ScheduledJob],
        status: &Status,
        now: Time,
    ) -> Self {
        let name = description.name();
        let own = status.resources.iter().filter(|one| one.resource == name);
        let own: Vec<&ResourceStatus> = own.collect();
        let last = own.iter().filter_map(|one| one.last_run.as_ref());
        let last = last.max_by_key(|run| run.started_at);
        let is_enabled = settings.resources.is_enabled(description);
        let schedules: Vec<(&ScheduledJob, f64)> = jobs
            .iter()
            .filter(|job| job.job.slot.resource == name)
            .map(|job| (job, runs_per_day(job, now)))
            .collect();
        let cost = schedules.iter().map(|(job, runs)| {
            let of_scope = own.iter().find(|one| one.scope == job.job.slot.scope)?;
            let requests = i32::try_from(of_scope.last_run.as_ref()?.requests).unwrap_or(i32::MAX);
            Some(f64::from(requests) * runs)
        });
        let (state, error) = match last {
            _ if !is_enabled => ("off", None),
            Some(run) if run.status == RunStatus::Skipped => ("skipped", run.error.clone()),
            Some(run) if run.status == RunStatus::Failed => ("failed", run.error.clone()),
            _ => ("on", None),
        };
        Self {
            name: description.table.name,
            title: description.title,
            oauth_scope: description.oauth_scope,
            state,
            error,
            rows_estimated: status
                .tables
                .iter()
                .find(|table| table.name == name)
                .and_then(|table| table.rows_estimated),
            last_run: last.map(|run| LastRun {
                mode: run.mode.as_str(),
                status: run.status.as_str(),
                started_at: run.started_at,
                requests: run.requests,
            }),
            requests_per_day: cost.sum::<Option<f64>>().filter(|_| is_enabled),
            schedules: schedules
                .into_iter()
                .map(|(job, runs_per_day)| Schedule {
                    job: job.job.name.clone(),
                    cron: job.job.cron.clone(),
                    runs_per_day,
                })
                .collect(),
        }
    }

    fn row(&self) -> Vec<String> {
        let crons: Vec<&str> = self.schedules.iter().map(|one| one.cron.as_str()).collect();
        let last = self.last_run.as_ref();
        vec![
            self.name.to_owned(),
            self.oauth_scope.to_owned(),
            self.state.to_owned(),
            if crons.is_empty() {
                "-".to_owned()
            } else {
                crons.join(" and ")
            },
            format::known(self.rows_estimated),
            last.map_or_else(
                || "-".to_owned(),
                |run| format!("{} {}", format::moment(run.started_at), run.status),
            ),
            self.requests_per_day.map_or_else(|| "-".to_owned(), shown),
        ]
    }
}

/// A number of requests: whole, unless it is small.
fn shown(requests: f64) -> String {
    if requests < 10.0 {
        format!("{requests:.1}")
    } else {
        format!("{requests:.0}")
    }
}

/// How often a job runs on a day, on average over a week.
fn runs_per_day(job: &ScheduledJob, now: Time) -> f64 {
    // The settings were validated, so that each expression can be read.
    let Ok(timetable) = Timetable::of(&job.job) else {
        return 0.0;
    };
    let end = now + chrono::Duration::days(DAYS.into());
    occurrences(&timetable, now, end) / f64::from(DAYS)
}

fn tell(resources: &[Resource]) {
    let head = [
        "resource",
        "scope",
        "state",
        "schedule",
        "rows (about)",
        "last run (UTC)",
        "requests a day",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(resources.iter().map(Resource::row));
    output::line(&output::table(&rows));
    let known: Vec<f64> = resources.iter().filter_map(|one| one.requests_per_day).collect();
    output::line(&if known.is_empty() {
        "\nrequests a day are shown after the first runs".to_owned()
    } else {
        format!("\nabout {} requests a day in all", shown(known.iter().sum()))
    });
    for resource in resources {
        if let Some(error) = &resource.error {
            output::line(&format!(
                "{}: {}: {}",
                resource.name,
                resource.state,
                sanitize::line(error)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::{Jitter, Job};
    use crate::model::position::{Scope, Slot};

    fn job(cron: &str) -> ScheduledJob {
        ScheduledJob {
            job: Job {
                name: "things".to_owned(),
                slot: Slot {
                    resource: "things",
                    scope: Scope::Full,
                },
                cron: cron.to_owned(),
                time_zone: "UTC".to_owned(),
            },
            overlap: None,
            at_once: true,
            jitter: Jitter::default(),
        }
    }

    #[test]
    fn runs_are_counted_over_a_week() {
        let now = SystemClock.now();
        for (cron, a_day) in [
            ("7 * * * *", 24.0),
            ("22 */6 * * *", 4.0),
            ("*/15 * * * *", 96.0),
            ("0 3 * * 0", 1.0 / 7.0),
        ] {
            let runs = runs_per_day(&job(cron), now);
            assert!((runs - a_day).abs() < 0.2, "{cron}: {runs}");
        }
    }
}
