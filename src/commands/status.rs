//! `status`: how far each resource is, for a person or a script. Changes nothing.

use bytesize::ByteSize;
use serde_json::{Value, json};

use crate::app::{self, App, Database, Wish};
use crate::cli::Status;
use crate::commands::Exit;
use crate::config::settings::{Grant, Settings};
use crate::model::fault::Outcome;
use crate::model::plain;
use crate::model::ports::Observer;
use crate::shutdown::Shutdown;
use crate::sync::task::{Task, WhenHeld};
use crate::telemetry::Terminal;

use super::verification::Verified;
use super::{backfill, output, progress};

/// Runs the command.
pub async fn run(arguments: &Status, settings: &Settings, terminal: &Terminal) -> Outcome<Exit> {
    if arguments.verify {
        return run_verifying(arguments, settings, terminal).await;
    }
    let database = Database::open(settings).await?;
    let read = read(&database, settings).await;
    database.close().await?;
    show(arguments, &read?, None);
    Ok(Exit::Done)
}

/// With the tenant's counts beside the tables'; its token is the service's, or a new one for it.
async fn run_verifying(arguments: &Status, settings: &Settings, terminal: &Terminal) -> Outcome<Exit> {
    let shutdown = backfill::listen()?;
    let work = async {
        let app = App::look(settings).await?;
        let outcome = verify(settings, terminal, &app, &shutdown).await;
        app.close().await?;
        outcome
    };
    let (status, verified) = backfill::leaving(&shutdown, Box::pin(work)).await?;
    show(arguments, &status, Some(&verified));
    verified.complaints().iter().for_each(output::complain);
    Ok(verified.exit())
}

async fn verify(
    settings: &Settings,
    terminal: &Terminal,
    app: &App,
    shutdown: &Shutdown,
) -> Outcome<(Value, Verified)> {
    let (watcher, _attached) = progress::watcher(terminal);
    let engine = app.engine(settings, None, watcher);
    let tasks: Vec<Task> = app
        .entries
        .iter()
        .filter(|entry| entry.enabled)
        .map(|entry| app::task(settings, entry, Wish::default(), WhenHeld::Leave))
        .collect();
    let verified = Verified::of(engine.verify(&tasks, &shutdown.token()).await);
    Ok((app.store.status().await?, verified))
}

fn show(arguments: &Status, status: &Value, verified: Option<&Verified>) {
    if arguments.json {
        let mut status = status.clone();
        if let Some(verified) = verified {
            status["verification"] = verified.json();
        }
        output::json(&status);
        return;
    }
    tell(status);
    if let Some(verified) = verified {
        verified.tell();
    }
}

async fn read(database: &Database, settings: &Settings) -> Outcome<Value> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    let mut status = store.status().await?;
    store.disconnect().await;
    // Where nobody has signed in yet there is no row that could say so, or that of another grant.
    let wanted = Grant::AuthorizationCode.as_str();
    if settings.tenant.grant.as_str() == wanted && status["token"]["grant_type"] != wanted {
        status["token"] = json!({
            "grant_type": wanted,
            "status": "reauth_required",
            "last_error": "nobody has signed in",
            "hint": "run `blueconic-sync login`",
        });
    }
    Ok(status)
}

fn tell(status: &Value) {
    output::line(&format!(
        "tenant  {}",
        text(&status["tenant"]).unwrap_or("none yet")
    ));
    let token = &status["token"];
    let token = match (text(&token["status"]), text(&token["expires_at"])) {
        // What has ended is not told to last.
        (Some(status), Some(expires)) if status != "reauth_required" => {
            format!("{status}, until {} UTC", moment(expires))
        }
        (Some(status), _) => status.to_owned(),
        (None, _) => "none yet".to_owned(),
    };
    output::line(&format!("token   {token}"));
    for (word, key) in [("why", "last_error"), ("do", "hint")] {
        if let Some(said) = text(&status["token"][key]) {
            output::line(&format!("  {:<6}{}", format!("{word}:"), plain::line(said)));
        }
    }
    output::line("");
    let head = [
        "resource",
        "scope",
        "complete as of (UTC)",
        "last run (UTC)",
        "at the tenant",
        "read",
        "written",
        "removed",
        "rejected",
        "erased",
        "unexplained",
        "gaps",
        "lease",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let resources = status["resources"].as_array().map_or(&[][..], Vec::as_slice);
    rows.extend(resources.iter().map(row));
    output::line(&output::table(&without_idle_columns(rows)));
    output::line("");
    output::line(&output::table(&sizes(&status["tables"])));
    for resource in resources {
        trouble(resource);
    }
    let renames = status["audit_renames"].as_array().map_or(0, Vec::len);
    if renames > 0 {
        output::line(&format!(
            "\naudit_events: the tenant renamed {renames} value(s) of stored events, which keep the old ones; see sync.audit_renames"
        ));
    }
}

/// What the tables take on disk.
fn sizes(tables: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["table", "rows (about)", "size", "of it indexes"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let tables = tables.as_array().map_or(&[][..], Vec::as_slice);
    rows.extend(tables.iter().map(|table| {
        let number = |key: &str| table[key].as_u64().unwrap_or(0);
        let size = |key: &str| ByteSize::b(number(key)).display().iec().to_string();
        vec![
            text(&table["name"]).unwrap_or("?").to_owned(),
            output::count(number("rows_estimated")),
            size("bytes"),
            size("index_bytes"),
        ]
    }));
    rows
}

/// Without the columns behind what was read and written that say nothing of any resource: a table as wide as a terminal.
fn without_idle_columns(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    const ALWAYS: usize = 7;
    let says_something = |column: usize| {
        column < ALWAYS
            || rows
                .iter()
                .skip(1)
                .any(|row| row.get(column).is_some_and(|cell| cell != "0" && cell != "-"))
    };
    let columns = rows.first().map_or(0, Vec::len);
    let kept: Vec<bool> = (0..columns).map(says_something).collect();
    rows.into_iter()
        .map(|row| {
            let cells = row.into_iter().zip(&kept);
            cells.filter(|(_, kept)| **kept).map(|(cell, _)| cell).collect()
        })
        .collect()
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
    // Not every listing tells a total, and a walk that did not end explains nothing.
    let told = |key: &str| {
        run[key].as_i64().map_or_else(
            || "-".to_owned(),
            |number| {
                let sign = if number < 0 { "-" } else { "" };
                format!("{sign}{}", output::count(number.unsigned_abs()))
            },
        )
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
        told("source_total"),
        shown("rows_read"),
        written,
        shown("rows_removed"),
        shown("rows_rejected"),
        shown("rows_suppressed"),
        told("unexplained"),
        gaps(resource),
        holder(&resource["lease"]).unwrap_or("-").to_owned(),
    ]
}

/// Gaps that no scan can close are said to be so.
fn gaps(resource: &Value) -> String {
    let number = |key: &str| resource[key].as_u64().unwrap_or(0);
    match (number("open_gaps"), number("lasting_gaps")) {
        (open, 0) => open.to_string(),
        (open, lasting) => format!("{open} ({lasting} for good)"),
    }
}

/// Who holds the lease now; one that was given back holds nobody.
fn holder(lease: &Value) -> Option<&str> {
    let held = lease["held"].as_bool().unwrap_or(false);
    text(&lease["holder"]).filter(|_| held)
}

/// What the last run of a resource has to say if it did not end well, or will not for long.
fn trouble(resource: &Value) {
    let run = &resource["last_run"];
    let name = text(&resource["resource"]).unwrap_or("?");
    if let Some(ahead) = resource["watermark_ahead_seconds"].as_f64() {
        output::line(&format!(
            "\n{name}: its watermark lies {} ahead of the database's clock, so that nobody believes it\n  \
             do: nothing, if the database's clock is right: the next run reads from before it; `blueconic-sync reset {name} --to TIME` \
             moves it back at once",
            output::duration(ahead)
        ));
    }
    match (text(&run["error"]), text(&run["hint"])) {
        (Some(error), Some(hint)) => output::line(&format!(
            "\n{name}: {}\n  do: {}",
            plain::line(error),
            plain::line(hint)
        )),
        (Some(advice), None) | (None, Some(advice)) => {
            output::line(&format!("\n{name}: {}", plain::line(advice)));
        }
        (None, None) => {}
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

/// A moment without fractions of seconds.
fn moment(text: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |time| time.to_utc().format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_there_when_one_resource_has_something_in_it() {
        let row = |cells: [&str; 9]| cells.map(str::to_owned).to_vec();
        let rows = vec![
            row(["a", "b", "c", "d", "e", "f", "g", "removed", "gaps"]),
            row(["", "", "", "-", "-", "0", "0", "0", "-"]),
            row(["", "", "", "-", "-", "0", "0", "0", "2"]),
        ];
        let shown = without_idle_columns(rows);
        assert_eq!(shown[0][7..], ["gaps"]);
        assert_eq!(shown[2][7..], ["2"]);
    }
}
