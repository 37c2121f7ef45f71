//! `migrate`: applies the migrations.

use crate::app::Database;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::Outcome;

use super::output;

/// Runs the command.
pub async fn run(settings: &Settings) -> Outcome<Exit> {
    let database = Database::open(settings).await?;
    let applied = database.migrate(settings).await;
    let address = database.address();
    database.close().await?;
    let applied = applied?;
    if applied.is_empty() {
        output::line(&format!("the schema is current ({address})"));
    }
    for migration in applied {
        output::line(&format!(
            "applied {} {}",
            migration.version, migration.description
        ));
    }
    Ok(Exit::Done)
}
