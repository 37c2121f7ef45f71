//! `distribute`: prints what makes the schema distributed by Citus, or does it.

use serde::Serialize;

use crate::app::Database;
use crate::cli::Distribute;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::postgres::distribution::{self, Distribution};
use crate::postgres::store::PostgresStore;

use super::output;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    distribution: &'a Distribution,
    /// Whether nothing is left to do.
    is_whole: bool,
    /// The statements that are left, or with `--yes` those that ran.
    statements: &'a [String],
}

/// Runs the command.
pub async fn run(arguments: &Distribute, settings: &Settings) -> Outcome<Exit> {
    let database = Database::open(settings).await?;
    let outcome = with(&database, arguments, settings).await;
    database.close().await?;
    outcome
}

async fn with(database: &Database, arguments: &Distribute, settings: &Settings) -> Outcome<Exit> {
    let store = database.store(settings).await?;
    let outcome = with_store(&store, arguments).await;
    store.disconnect().await;
    outcome
}

async fn with_store(store: &PostgresStore, arguments: &Distribute) -> Outcome<Exit> {
    store.verify_schema().await?;
    let before = distribution::read(store).await?;
    let statements = before.statements();
    if !arguments.yes {
        tell(arguments, &before, &statements)?;
        return Ok(Exit::Done);
    }
    refuse_without_nodes(&before)?;
    for statement in &statements {
        if !arguments.json {
            output::line(&distribution::shown(statement));
        }
        distribution::run(store, statement).await?;
    }
    let after = distribution::read(store).await?;
    if arguments.json {
        tell(arguments, &after, &statements)?;
    } else {
        output::line(&summary(&after));
    }
    Ok(if after.is_whole() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

/// A fault where there is nothing to distribute tables over.
fn refuse_without_nodes(distribution: &Distribution) -> Outcome<()> {
    if distribution.extension.is_none() {
        return Err(
            Fault::new(Kind::Person, "this database has no extension `citus`")
                .hint("install Citus on every server, then as an administrator `create extension citus` in this database"),
        );
    }
    if distribution.workers == 0 {
        return Err(Fault::new(Kind::Person, "no node may hold rows of distributed tables").hint(
            "as an administrator `select citus_set_coordinator_host(HOST, PORT)`, then `select citus_add_node(HOST, PORT)` for each worker",
        ));
    }
    Ok(())
}

fn tell(arguments: &Distribute, distribution: &Distribution, statements: &[String]) -> Outcome<()> {
    if arguments.json {
        return output::json(&Document {
            distribution,
            is_whole: distribution.is_whole(),
            statements,
        });
    }
    for statement in statements {
        output::line(&distribution::shown(statement));
    }
    output::note(&summary(distribution));
    if !statements.is_empty() {
        output::note("`blueconic-sync distribute --yes` runs these statements; stop `serve` before");
    }
    Ok(())
}

fn summary(distribution: &Distribution) -> String {
    format!(
        "{} of {} tables are distributed, over {} node(s)",
        distribution.distributed(),
        distribution.tables.len(),
        distribution.workers
    )
}
