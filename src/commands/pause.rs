//! `pause`: holds the jobs of a resource in every `serve` on the database. A run that is under way goes on, and `backfill` is a person's
//! command that no pause holds.

use serde::Serialize;

use crate::cli::Pause as Arguments;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::ports::JobStore as _;
use crate::model::timetable::{Pause, Timetable};
use crate::postgres::pauses::{self, End};
use crate::postgres::store::PostgresStore;
use crate::postgres::timetable;

use super::by_hand::{self, Document};
use super::output;

/// Nothing but the state is told in JSON.
#[derive(Serialize)]
struct Done {}

/// Runs the command.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Outcome<Exit> {
    let (pause, timetable) =
        by_hand::on_database(settings, async |store| hold(arguments, settings, store).await).await?;
    if arguments.json {
        output::json(&Document {
            resource: &arguments.resource,
            done: Done {},
            timetable: &timetable,
        })?;
    } else {
        tell(&arguments.resource, &pause, &timetable);
    }
    Ok(Exit::Done)
}

async fn hold(
    arguments: &Arguments,
    settings: &Settings,
    store: &PostgresStore,
) -> Outcome<(Pause, Timetable)> {
    let resource = &arguments.resource;
    let description = by_hand::described(settings, resource)?;
    by_hand::refuse_unread(settings, description, &timetable::read(store, resource).await?)?;
    let end = match (arguments.until, arguments.length) {
        (Some(time), _) => {
            refuse_past(time, store.now().await?)?;
            End::At(time)
        }
        (None, Some(length)) => End::After(length),
        (None, None) => End::Open,
    };
    let pause = pauses::pause(store, resource, end).await?;
    Ok((pause, timetable::read(store, resource).await?))
}

/// Refuses an end that is over by the clock of the database, which decides about pauses.
fn refuse_past(end: Time, now: Time) -> Outcome<()> {
    if end > now {
        return Ok(());
    }
    let what = format!("`--until {}` is over", end.to_rfc3339());
    Err(Fault::new(Kind::Settings, what)
        .because(format!("the database's clock shows {} UTC", format::moment(now)))
        .hint("name a time that is still to come; `Z` at its end means UTC"))
}

fn tell(resource: &str, pause: &Pause, timetable: &Timetable) {
    output::line(&format!("{resource} is paused {}", by_hand::paused(pause)));
    for job in &timetable.jobs {
        if let Some(holder) = &job.running_by {
            output::line(&format!("  {}: {holder} runs it now, and ends that run", job.job));
        }
    }
}
