//! `resume`: ends a pause. A run that was due meanwhile is made up once.

use serde::Serialize;

use crate::cli::Resume;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::Outcome;
use crate::model::timetable::{Pause, Timetable};
use crate::postgres::store::PostgresStore;
use crate::postgres::{pauses, timetable};

use super::by_hand::{self, Document};
use super::output;

/// What was ended, in JSON.
#[derive(Serialize)]
struct Done<'a> {
    /// The pause that ended; none if there was none.
    ended: Option<&'a Pause>,
}

/// Runs the command.
pub async fn run(arguments: &Resume, settings: &Settings) -> Outcome<Exit> {
    let resource = &arguments.resource;
    let (ended, timetable) =
        by_hand::on_database(settings, async |store| let_go(resource, settings, store).await).await?;
    if arguments.json {
        output::json(&Document {
            resource,
            done: Done {
                ended: ended.as_ref(),
            },
            timetable: &timetable,
        })?;
    } else {
        tell(resource, ended.as_ref(), &timetable);
    }
    Ok(Exit::Done)
}

/// A resource that is read no more may still be paused.
async fn let_go(
    resource: &str,
    settings: &Settings,
    store: &PostgresStore,
) -> Outcome<(Option<Pause>, Timetable)> {
    let description = by_hand::described(settings, resource)?;
    let ended = pauses::resume(store, resource).await?;
    let timetable = timetable::read(store, resource).await?;
    if ended.is_none() {
        by_hand::refuse_unread(settings, description, &timetable)?;
    }
    Ok((ended, timetable))
}

fn tell(resource: &str, ended: Option<&Pause>, timetable: &Timetable) {
    output::line(&match ended {
        Some(pause) => format!(
            "{resource} is no longer paused (it was {})",
            by_hand::paused(pause)
        ),
        None => format!("{resource} was not paused"),
    });
    by_hand::tell_jobs(timetable);
    let is_due = timetable
        .jobs
        .iter()
        .any(|job| job.running_by.is_none() && job.next_run_at <= timetable.now);
    if is_due {
        output::line(&format!("what is due starts {}", by_hand::start(timetable)));
    }
}
