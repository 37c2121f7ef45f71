//! `status`: how far each resource is, for a person or a script. Changes nothing.

use serde_json::Value;

use crate::app::Database;
use crate::cli::Status;
use crate::commands::Exit;
use crate::config::settings::Settings;
use crate::model::fault::Outcome;
use crate::model::ports::Observer;

use super::output;

/// Runs the command.
pub async fn run(arguments: &Status, settings: &Settings) -> Outcome<Exit> {
    let database = Database::open(settings).await?;
    let read = read(&database, settings).await;
    database.close().await?;
    let status = read?;
    if arguments.json {
        output::line(&status.to_string());
    } else {
        tell(&status);
    }
    Ok(Exit::Done)
}

async fn read(database: &Database, settings: &Settings) -> Outcome<Value> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    let status = store.status().await?;
    store.disconnect().await;
    Ok(status)
}

fn tell(status: &Value) {
    output::line(&format!(
        "tenant  {}",
        text(&status["tenant"]).unwrap_or("none yet")
    ));
    let token = &status["token"];
    let token = match (text(&token["status"]), text(&token["expires_at"])) {
        (Some(status), Some(expires)) => format!("{status}, until {}", moment(expires)),
        (Some(status), None) => status.to_owned(),
        (None, _) => "none yet".to_owned(),
    };
    output::line(&format!("token   {token}\n"));
    let head = [
        "resource",
        "scope",
        "complete as of",
        "last run",
        "read",
        "written",
        "removed",
        "rejected",
        "gaps",
        "lease",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let resources = status["resources"].as_array().map_or(&[][..], Vec::as_slice);
    rows.extend(resources.iter().map(row));
    output::line(&output::table(&rows));
    for resource in resources {
        trouble(resource);
    }
}

fn row(resource: &Value) -> Vec<String> {
    let run = &resource["last_run"];
    let number = |key: &str| run[key].as_u64().unwrap_or(0);
    let ended = match (
        text(&run["status"]),
        text(&run["finished_at"]).or(text(&run["started_at"])),
    ) {
        (Some(status), Some(when)) => format!("{status}, {}", moment(when)),
        _ => "never".to_owned(),
    };
    let shown = |key: &str| {
        if run.is_null() {
            "-".to_owned()
        } else {
            output::count(number(key))
        }
    };
    let written = if run.is_null() {
        "-".to_owned()
    } else {
        output::count(number("rows_inserted") + number("rows_updated"))
    };
    vec![
        text(&resource["resource"]).unwrap_or("?").to_owned(),
        text(&resource["scope"]).unwrap_or("?").to_owned(),
        text(&resource["complete_as_of"]).map_or_else(|| "-".to_owned(), moment),
        ended,
        shown("rows_read"),
        written,
        shown("rows_removed"),
        shown("rows_rejected"),
        resource["open_gaps"].as_u64().unwrap_or(0).to_string(),
        holder(&resource["lease"]).unwrap_or("-").to_owned(),
    ]
}

/// Who holds the lease now; one that was given back holds nobody.
fn holder(lease: &Value) -> Option<&str> {
    let held = lease["held"].as_bool().unwrap_or(false);
    text(&lease["holder"]).filter(|_| held)
}

/// What the last run of a resource has to say if it did not end well.
fn trouble(resource: &Value) {
    let run = &resource["last_run"];
    let Some(error) = text(&run["error"]) else { return };
    let name = text(&resource["resource"]).unwrap_or("?");
    output::line(&format!("\n{name}: {error}"));
    if let Some(hint) = text(&run["hint"]) {
        output::line(&format!("  do: {hint}"));
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

/// A moment without fractions of seconds.
fn moment(text: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |time| time.to_utc().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
