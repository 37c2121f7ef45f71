//! `rights`: makes the roles for readers, or prints the statements that make them, and compares what they may do with what they should.

use serde::Serialize;

use crate::app::Database;
use crate::cli::Rights;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::Outcome;
use crate::postgres::rights::{self, Problem};
use crate::postgres::store::PostgresStore;

use super::output;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// Whether the roles have exactly the rights that they should.
    sound: bool,
    problems: &'a [Problem],
}

/// Runs the command.
pub async fn run(arguments: &Rights, settings: &Settings) -> Outcome<Exit> {
    let database = Database::open(settings).await?;
    let outcome = with(&database, arguments, settings).await;
    database.close().await?;
    outcome
}

async fn with(database: &Database, arguments: &Rights, settings: &Settings) -> Outcome<Exit> {
    let store = database.store(settings).await?;
    let outcome = with_store(&store, arguments).await;
    store.disconnect().await;
    outcome
}

async fn with_store(store: &PostgresStore, arguments: &Rights) -> Outcome<Exit> {
    store.verify_schema().await?;
    if arguments.sql {
        for statement in rights::statements(store).await? {
            output::line(&format!("{statement};"));
        }
        return Ok(Exit::Done);
    }
    if !arguments.check {
        rights::give(store).await?;
    }
    let problems = rights::problems(store).await?;
    if arguments.json {
        output::json(&Document {
            sound: problems.is_empty(),
            problems: &problems,
        })?;
    } else {
        tell(&problems);
    }
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    if problems.iter().any(Problem::is_missing_role) {
        output::note(
            "an administrator can make the roles: `blueconic-sync rights --sql` prints the statements for psql",
        );
    }
    Ok(Exit::Partial)
}

fn tell(problems: &[Problem]) {
    if problems.is_empty() {
        output::line("blueconic_reader and blueconic_pii_reader may do what they should, and nothing else");
        return;
    }
    let mut rows = vec![
        ["role", "object", "problem", "how to mend it"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(problems.iter().map(|problem| {
        vec![
            problem.role.clone(),
            problem.object.clone(),
            problem.problem.clone(),
            problem.mend.clone(),
        ]
    }));
    output::line(&output::table(&rows));
}
