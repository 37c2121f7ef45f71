//! `run-now`: asks for a run of a resource, which a `serve` on the database starts at its next heartbeat.

use std::time::Duration;

use serde::Serialize;

use crate::app;
use crate::cli::RunNow;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::description::{Description, Reading};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::job::Job;
use crate::model::ports::{Clock as _, RunStore as _};
use crate::model::position::{Position, Scope, Slot};
use crate::model::timetable::Timetable;
use crate::postgres::store::PostgresStore;
use crate::postgres::{requests, timetable};
use crate::schedule::jobs;

use super::by_hand::{self, Document};
use super::{budget, output};

/// What was asked for, in JSON.
#[derive(Serialize)]
struct Done<'a> {
    job: &'a str,
    /// `starts`, `waits` (a run is under way, and the requested one follows it), `no_service`, or `unscheduled` (services are alive, and
    /// none has scheduled the job).
    state: &'static str,
    /// Within which time a service looks for due jobs.
    starts_within_seconds: Option<f64>,
    /// Who reads the same now.
    running_by: Option<&'a str>,
}

/// A request that is stored.
struct Requested {
    job: Job,
    /// Whether a process had scheduled the job before.
    was_scheduled: bool,
    timetable: Timetable,
}

/// Runs the command.
pub async fn run(arguments: &RunNow, settings: &Settings) -> Outcome<Exit> {
    let requested =
        by_hand::on_database(settings, async |store| ask(arguments, settings, store).await).await?;
    if arguments.json {
        output::json(&Document {
            resource: &arguments.resource,
            done: requested.done(),
            timetable: &requested.timetable,
        })?;
    } else {
        requested.tell(settings);
    }
    Ok(Exit::Done)
}

async fn ask(arguments: &RunNow, settings: &Settings, store: &PostgresStore) -> Outcome<Requested> {
    let resource = &arguments.resource;
    let description = by_hand::described(settings, resource)?;
    let before = timetable::read(store, resource).await?;
    by_hand::refuse_unread(settings, description, &before)?;
    let job = chosen(settings, store, description, arguments.full).await?;
    if !requests::request(store, &job).await? {
        return Err(held(resource, &timetable::read(store, resource).await?));
    }
    if let Some(sentence) = budget::exceeding(settings, store).await? {
        output::note(&sentence);
    }
    Ok(Requested {
        was_scheduled: before.jobs.iter().any(|known| known.job == job.name),
        timetable: timetable::read(store, resource).await?,
        job,
    })
}

/// The job that reads what `backfill` would read.
async fn chosen(
    settings: &Settings,
    store: &PostgresStore,
    description: &Description,
    full: bool,
) -> Outcome<Job> {
    let mut jobs = jobs::of(description, settings);
    match &description.reading {
        Reading::Walk(()) => {
            let scope = if full || is_full_open(store, description.name()).await? {
                Scope::Full
            } else {
                Scope::Increment
            };
            jobs.retain(|job| job.job.slot.scope == scope);
        }
        Reading::Feed(()) if full => jobs.sort_by_key(|job| std::cmp::Reverse(job.overlap)),
        // A list has one job. The first one of audit events is the usual poll, the others look back further.
        Reading::List(_) | Reading::Feed(()) => {}
    }
    let job = jobs.into_iter().next().map(|job| job.job);
    job.ok_or_else(|| {
        Fault::new(
            Kind::Final,
            format!("`{}` has no job of that kind", description.name()),
        )
    })
}

/// Whether a full walk is to be continued, or the first one made. One that waits for an approval has ended.
async fn is_full_open(store: &PostgresStore, resource: &'static str) -> Outcome<bool> {
    let slot = |scope| Slot { resource, scope };
    let full = store.cursor(slot(Scope::Full)).await?;
    let increment = store.cursor(slot(Scope::Increment)).await?;
    let is_open = match &full.position {
        Some(Position::Cursor(walk)) => !walk.awaits_approval(),
        _ => false,
    };
    Ok(is_open || full.watermark.or(increment.watermark).is_none())
}

/// Why a run of a paused resource is refused.
fn held(resource: &str, timetable: &Timetable) -> Fault {
    let fault = Fault::new(Kind::Final, format!("`{resource}` is paused: no run was asked for"))
        .hint(format!(
            "run `blueconic-sync resume {resource}` first; `blueconic-sync backfill {resource}` reads it from here, pause or not"
        ));
    match &timetable.pause {
        Some(pause) => fault.because(format!("it is paused {}", by_hand::paused(pause))),
        None => fault,
    }
}

impl Requested {
    fn running_by(&self) -> Option<&str> {
        let own = self.timetable.jobs.iter().find(|job| job.job == self.job.name);
        let claimed = own.and_then(|job| job.running_by.as_deref());
        claimed.or_else(|| self.timetable.holder_of(self.job.slot.scope))
    }

    fn state(&self) -> &'static str {
        match (self.running_by(), self.timetable.starts_within()) {
            (Some(_), _) => "waits",
            (None, None) => "no_service",
            (None, Some(_)) if !self.was_scheduled => "unscheduled",
            (None, Some(_)) => "starts",
        }
    }

    fn done(&self) -> Done<'_> {
        Done {
            job: &self.job.name,
            state: self.state(),
            starts_within_seconds: self.timetable.starts_within().as_ref().map(Duration::as_secs_f64),
            running_by: self.running_by(),
        }
    }

    fn tell(&self, settings: &Settings) {
        let (name, start) = (&self.job.name, by_hand::start(&self.timetable));
        output::line(&match self.running_by() {
            Some(holder) => {
                format!("{name}: {holder} is reading it; a run follows once that has ended, {start}")
            }
            None => format!("{name}: a run starts {start}"),
        });
        if self.state() == "unscheduled" {
            output::line(&format!(
                "  no `serve` has scheduled it so far: is `resources.{}.enabled` set there?",
                self.job.slot.resource
            ));
        }
        let is_walk = self.job.slot.resource == "profiles" && self.job.slot.scope == Scope::Full;
        let now = SystemClock.now();
        let closed = app::full_window(settings).filter(|window| is_walk && !window.is_open(now));
        if let Some(window) = closed {
            output::line(&format!(
                "  it reads pages from {} UTC on, when `resources.profiles.full_window` opens",
                format::moment(window.opens_after(now))
            ));
        }
    }
}
