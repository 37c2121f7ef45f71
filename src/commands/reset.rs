//! `reset`: forgets a cursor, so that the next run starts over. Deletes no data.

use crate::app::Database;
use crate::cli::Reset;
use crate::commands::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::postgres::reset;

use super::confirm::confirmed;
use super::{backfill, output};

/// Runs the command.
pub async fn run(arguments: &Reset, settings: &Settings) -> Outcome<Exit> {
    if !arguments.yes && !asked(&arguments.resource)? {
        output::aside("nothing was changed");
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
    let told = if arguments.resource == "tenant" {
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
    output::line(&told);
    Ok(Exit::Done)
}

/// Asks a person; without one, `--yes` is wanted.
fn asked(resource: &str) -> Outcome<bool> {
    if !backfill::is_interactive() {
        return Err(Fault::new(
            Kind::Settings,
            format!("`reset {resource}` asks before it forgets"),
        )
        .because("there is no terminal to ask on")
        .hint(format!("say `blueconic-sync reset {resource} --yes`")));
    }
    let question = if resource == "tenant" {
        "Forget which tenant this database belongs to, and all cursors and tokens?".to_owned()
    } else {
        format!("Forget the cursor of {resource}? The next run starts over.")
    };
    confirmed(&question)
}
