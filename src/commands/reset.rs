//! `reset`: forgets a cursor, so that the next run starts over, or moves its watermark back. Deletes no data.

use chrono::{SecondsFormat, TimeDelta};

use crate::app::Database;
use crate::cli::Reset;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Clock as _;
use crate::postgres::reset;

use super::confirm::confirmed;
use super::{backfill, output};

/// Runs the command.
pub async fn run(arguments: &Reset, settings: &Settings) -> Outcome<Exit> {
    if let Some(to) = arguments.to {
        refuse_nonsense(arguments, to, settings)?;
    }
    if !arguments.yes && !asked(arguments)? {
        output::note("nothing was changed");
        return Ok(Exit::Done);
    }
    let database = Database::open(settings).await?;
    let outcome = forget(&database, arguments, settings).await;
    database.close().await?;
    outcome
}

async fn forget(database: &Database, arguments: &Reset, settings: &Settings) -> Outcome<Exit> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    let message = if let Some(to) = arguments.to {
        reset::to(&store, &arguments.resource, to).await?;
        format!(
            "{}: the next run reads what changed since {}; the data is kept",
            arguments.resource,
            spelled(to)
        )
    } else if arguments.resource == "tenant" {
        reset::tenant(&store).await?;
        "the database belongs to no tenant any more: its tenant, cursors and tokens are forgotten, its data is kept".to_owned()
    } else {
        reset::resource(&store, &arguments.resource).await?;
        format!(
            "{}: the next run starts over; the data is kept",
            arguments.resource
        )
    };
    store.disconnect().await;
    output::line(&message);
    Ok(Exit::Done)
}

/// Refuses a time from which nothing can be read. Audit events from before the tenant's retention are gone: the time
/// range would become a gap although it was read before.
fn refuse_nonsense(arguments: &Reset, to: Time, settings: &Settings) -> Outcome<()> {
    let resource = arguments.resource.as_str();
    let refusal = |what: String| Fault::new(Kind::Settings, what);
    match resource {
        "profiles" | "audit_events" => {}
        "tenant" => {
            return Err(refusal("`reset tenant` takes no `--to`".to_owned())
                .hint("name `profiles` or `audit_events`, one at a time"));
        }
        _ => {
            return Err(refusal(format!("`reset {resource}` takes no `--to`"))
                .because("lists are read whole each time, and have no time to read from")
                .hint("its next run brings everything anyway"));
        }
    }
    backfill::refuse_future("--to", to)?;
    let kept = SystemClock.now().checked_sub_signed(
        TimeDelta::from_std(settings.resources.audit_events.retention).unwrap_or(TimeDelta::MAX),
    );
    match kept.filter(|kept| resource == "audit_events" && to < *kept) {
        Some(kept) => Err(refusal(format!("`--to {}` is too far back", spelled(to)))
            .because(
                "the tenant no longer has audit events of that time (`resources.audit_events.retention`)",
            )
            .hint(format!("say a time after {}", spelled(kept)))),
        None => Ok(()),
    }
}

fn spelled(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Asks a person to confirm; without a terminal, `--yes` is required.
fn asked(arguments: &Reset) -> Outcome<bool> {
    let resource = &arguments.resource;
    let to = arguments.to.map(|to| format!(" --to {}", spelled(to)));
    let to = to.as_deref().unwrap_or_default();
    if !backfill::is_interactive() {
        return Err(Fault::new(
            Kind::Settings,
            format!("`reset {resource}{to}` asks before it changes anything"),
        )
        .because("there is no terminal to ask on")
        .hint(format!("say `blueconic-sync reset {resource}{to} --yes`")));
    }
    let question = if let Some(to) = arguments.to {
        format!(
            "Move the watermark of {resource} back to {}? The next run reads from there.",
            spelled(to)
        )
    } else if resource == "tenant" {
        "Forget which tenant this database belongs to, and all cursors and tokens?".to_owned()
    } else {
        format!("Forget the cursor of {resource}? The next run starts over.")
    };
    confirmed(&question)
}
