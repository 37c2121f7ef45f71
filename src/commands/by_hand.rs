//! What `pause`, `resume` and `run-now` share: they work through the database, so that they reach every `serve` on it, and tell who
//! has a resource and when it will start.

use serde::Serialize;

use crate::app::Database;
use crate::config::settings::Settings;
use crate::model::description::Description;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::timetable::{Pause, Timetable, zoned};
use crate::postgres::store::PostgresStore;

use super::output;

/// What `--json` prints of the schedule, besides what the command did.
#[derive(Serialize)]
pub(super) struct Document<'a, T> {
    pub(super) resource: &'a str,
    #[serde(flatten)]
    pub(super) done: T,
    #[serde(flatten)]
    pub(super) timetable: &'a Timetable,
}

/// Does the work on a database with this program's schema.
pub(super) async fn on_database<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&PostgresStore) -> Outcome<T>,
) -> Outcome<T> {
    let database = Database::open(settings).await?;
    let done = async {
        let store = database.store(settings).await?;
        let done = match store.verify_schema().await {
            Ok(()) => work(&store).await,
            Err(error) => Err(error.into()),
        };
        store.disconnect().await;
        done
    };
    let done = Box::pin(done).await;
    database.close().await?;
    done
}

/// The description of a named resource. The grammar allows no other names.
pub(super) fn described(settings: &Settings, name: &str) -> Outcome<&'static Description> {
    settings
        .registry
        .named(name)
        .ok_or_else(|| Fault::new(Kind::Settings, format!("there is no resource `{name}`")))
}

/// Refuses a resource that is neither enabled here nor scheduled by a `serve` with other settings.
pub(super) fn refuse_unread(
    settings: &Settings,
    description: &Description,
    timetable: &Timetable,
) -> Outcome<()> {
    if settings.resources.is_enabled(description) || !timetable.jobs.is_empty() {
        return Ok(());
    }
    let name = description.name();
    Err(Fault::new(Kind::Settings, format!("`{name}` is not read"))
        .because("the settings do not enable it, and no `serve` on this database has scheduled it")
        .hint(format!("set `resources.{name}.enabled` to true for `serve`")))
}

/// `since 2026-11-01 10:00:00 UTC, by owner on host, until 2026-11-02 10:00:00 UTC`.
pub(super) fn paused(pause: &Pause) -> String {
    let since = format::moment(pause.since);
    format!("since {since} UTC, by {}, {}", pause.by, pause.end())
}

/// When a due job will start, and which process will start it.
pub(super) fn start(timetable: &Timetable) -> String {
    let alive: Vec<&str> = timetable.alive().map(|service| service.holder.as_str()).collect();
    match (timetable.starts_within(), timetable.services.first()) {
        (Some(within), _) => format!("within {} by {}", format::rough(within), alive.join(" or ")),
        (None, Some(last)) => format!(
            "once a `serve` runs: none is alive, the last one ({}) was seen at {} UTC",
            last.holder,
            format::moment(last.seen_at)
        ),
        (None, None) => "once a `serve` runs: none keeps the schedule of this database now".to_owned(),
    }
}

/// Prints when the jobs run next, and which run now.
pub(super) fn tell_jobs(timetable: &Timetable) {
    for job in &timetable.jobs {
        if let Some(holder) = &job.running_by {
            output::line(&format!("  {}: {holder} runs it now", job.job));
        } else if job.next_run_at <= timetable.now || job.requested_at.is_some() {
            output::line(&format!("  {}: due", job.job));
        } else {
            output::line(&format!(
                "  {}: next run {}",
                job.job,
                zoned(job.next_run_at, &job.time_zone)
            ));
        }
    }
}
