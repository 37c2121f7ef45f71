//! `status`: how far each resource is, for a person or a script. Changes nothing.

use bytesize::ByteSize;
use serde::Serialize;
use serde_json::Value;

use crate::app::{self, App, Database, Overrides};
use crate::cli::Status as Arguments;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::{Grant, Settings};
use crate::model::drift::DriftStatus;
use crate::model::fault::Outcome;
use crate::model::format;
use crate::model::ports::{Clock as _, Observer};
use crate::model::probe::{Report, State};
use crate::model::sanitize;
use crate::model::status::{
    ColumnStatus, ResourceStatus, Run, StaleColumn, Status, TableSize, Token, TokenStatus,
};
use crate::shutdown::Shutdown;
use crate::sync::run_spec::{RunSpec, WhenHeld};
use crate::telemetry::Terminal;

use super::verification::Verified;
use super::{backfill, budget, output, progress};

mod schedule;

/// Runs the command.
pub async fn run(arguments: &Arguments, settings: &Settings, terminal: &Terminal) -> Outcome<Exit> {
    if arguments.verify {
        return run_verifying(arguments, settings, terminal).await;
    }
    show(arguments, &stored(settings).await?, None)?;
    Ok(Exit::Done)
}

/// The state of the service, from the database.
pub(super) async fn stored(settings: &Settings) -> Outcome<Status> {
    let database = Database::open(settings).await?;
    let read = read(&database, settings).await;
    database.close().await?;
    read
}

/// `status --verify`: the tenant's counts beside the tables'. Uses the service's token, or requests one.
async fn run_verifying(arguments: &Arguments, settings: &Settings, terminal: &Terminal) -> Outcome<Exit> {
    let shutdown = backfill::listen()?;
    let work = async {
        let app = App::look(settings).await?;
        let outcome = verify(settings, terminal, &app, &shutdown).await;
        app.close().await?;
        outcome
    };
    let (status, verified) = backfill::leaving(&shutdown, Box::pin(work)).await?;
    show(arguments, &status, Some(&verified))?;
    verified.complaints().iter().for_each(output::print_fault);
    Ok(verified.exit())
}

async fn verify(
    settings: &Settings,
    terminal: &Terminal,
    app: &App,
    shutdown: &Shutdown,
) -> Outcome<(Status, Verified)> {
    let (listener, _attached) = progress::listener(terminal);
    let engine = app.engine(settings, None, listener);
    let specs: Vec<RunSpec> = app
        .entries
        .iter()
        .filter(|entry| entry.enabled)
        .map(|entry| app::run_spec(settings, entry, Overrides::default(), WhenHeld::Leave))
        .collect();
    let verified = Verified::of(engine.verify(&specs, &shutdown.token()).await);
    Ok((judged(app.store.status().await?, settings), verified))
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Value>,
}

fn show(arguments: &Arguments, status: &Status, verified: Option<&Verified>) -> Outcome<()> {
    if arguments.json {
        return output::json(&Document {
            status,
            verification: verified.map(Verified::json),
        });
    }
    tell(status);
    if let Some(verified) = verified {
        verified.tell();
    }
    Ok(())
}

async fn read(database: &Database, settings: &Settings) -> Outcome<Status> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    let status = store.status().await?;
    store.disconnect().await;
    Ok(judged(status, settings))
}

/// The state with what follows from the settings: forecasts and limits, and a sign-in that never was, which counts as an authorization that
/// has ended.
pub(super) fn judged(status: Status, settings: &Settings) -> Status {
    with_sign_in(
        budget::with_forecast(status, settings, SystemClock.now()),
        settings,
    )
}

fn with_sign_in(mut status: Status, settings: &Settings) -> Status {
    // If nobody has signed in, the row is missing or belongs to another grant.
    let wanted = Grant::AuthorizationCode.as_str();
    let is_another = |token: &Token| token.grant_type != wanted;
    if settings.tenant.grant.as_str() == wanted && status.token.as_ref().is_none_or(is_another) {
        status.token = Some(Token {
            grant_type: wanted.to_owned(),
            status: TokenStatus::ReauthRequired,
            expires_at: None,
            issued_at: None,
            last_error: Some("nobody has signed in".to_owned()),
            hint: Some("run `blueconic-sync login`".to_owned()),
        });
    }
    status
}

fn tell(status: &Status) {
    let tenant = status.tenant.as_deref().unwrap_or("none yet");
    output::line(&format!("tenant  {tenant}"));
    tell_token(status.token.as_ref());
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
        "backlog",
        "lease",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(status.resources.iter().map(row));
    output::line(&output::table(&without_idle_columns(rows)));
    output::line("");
    schedule::tell(status);
    output::line(&output::table(&sizes(&status.tables)));
    if let Some(usage) = &status.usage {
        output::line(&format!("\n{}", budget::lines(usage).join("\n")));
    }
    for resource in &status.resources {
        trouble(resource);
    }
    if let Some(columns) = &status.typed_columns {
        tell_columns(columns);
    }
    if let Some(found) = &status.drift {
        tell_drift(found);
    }
    if let Some(report) = &status.probe {
        tell_probe(report);
    }
    let renames = status.audit_renames.len();
    if renames > 0 {
        output::line(&format!(
            "\naudit_events: the tenant renamed {renames} value(s) of stored events, which keep the old ones; see sync.audit_renames"
        ));
    }
}

/// Typed columns, where something is still to be done.
fn tell_columns(columns: &ColumnStatus) {
    if let Some(postponed) = &columns.postponed {
        output::line(&format!(
            "\ntyped columns: as of {} UTC, {}\n  do: nothing, if the next run changes them; else end the sessions that hold profiles_wide \
             (`select * from pg_stat_activity`)",
            format::moment(postponed.at),
            sanitize::line(&postponed.why)
        ));
    }
    if columns.is_filling {
        output::line(
            "\ntyped columns of profiles that were stored before are filled by the next run over profiles",
        );
    }
    for used in &columns.stale_uses {
        let why = match used.why {
            StaleColumn::Gone => "is null, since the tenant no longer lists its property",
            StaleColumn::Retyped => {
                "has the former type of its property: the column of the new type stands beside it"
            }
        };
        output::line(&sanitize::line(&format!(
            "{} reads profiles_wide.{}, which {why}",
            used.relation, used.column
        )));
    }
}

/// The tenant's release, and what its document lacks.
fn tell_drift(found: &DriftStatus) {
    let release = found.release.as_deref().unwrap_or("unknown");
    output::line(&format!(
        "\nrelease of the tenant: {}, as of {} UTC ({} breaks, {} loses, {} notes; see sync.drift)",
        sanitize::line(release),
        format::moment(found.read_at),
        found.breaks,
        found.loses,
        found.notes
    ));
    for finding in &found.findings {
        let line = format!(
            "  {} {}: {} {} {}: {}",
            finding.severity, finding.resource, finding.kind, finding.path, finding.name, finding.detail
        );
        output::line(&sanitize::line(&line));
    }
    if found.unknown_in_data > 0 {
        output::line(&format!(
            "\n{} field(s) or value(s) in the data are not known; nothing is lost, see sync.drift",
            found.unknown_in_data
        ));
    }
}

/// What the last probe found to be otherwise than assumed.
fn tell_probe(report: &Report) {
    output::line(&format!(
        "\nprobe of {} UTC: {} as assumed, {} differ, {} without an answer{}",
        format::moment(report.started_at),
        report.count(State::AsAssumed),
        report.count(State::Differs),
        report.count(State::Unanswered),
        if report.partial.is_some() {
            " (partial)"
        } else {
            ""
        }
    ));
    let differing = report
        .findings
        .iter()
        .filter(|finding| finding.state == State::Differs);
    for finding in differing {
        let found = finding.found.as_deref().unwrap_or_default();
        output::line(&format!("  {}: {}", finding.question, sanitize::line(found)));
    }
    if !report.settings.is_empty() {
        output::line("  it proposes settings: see `report ->> 'settings'` in sync.probe");
    }
}

fn tell_token(token: Option<&Token>) {
    let Some(token) = token else {
        return output::line("token   none yet");
    };
    let status = token.status.as_str();
    // An authorization that has ended has no expiry to show.
    let text = match token.expires_at {
        Some(at) if token.status != TokenStatus::ReauthRequired => {
            format!("{status}, until {} UTC", format::moment(at))
        }
        _ => status.to_owned(),
    };
    output::line(&format!("token   {text}"));
    for (word, said) in [("why", &token.last_error), ("do", &token.hint)] {
        if let Some(said) = said {
            output::line(&format!("  {:<6}{}", format!("{word}:"), sanitize::line(said)));
        }
    }
}

/// The sizes of the tables on disk.
fn sizes(tables: &[TableSize]) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["table", "rows (about)", "size", "of it indexes"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let size = |bytes: i64| ByteSize::b(bytes.unsigned_abs()).display().iec().to_string();
    rows.extend(tables.iter().map(|table| {
        vec![
            table.name.clone(),
            format::known(table.rows_estimated),
            size(table.bytes),
            size(table.index_bytes),
        ]
    }));
    rows
}

/// Drops count columns that are empty for all resources, so that the table fits a terminal.
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

fn row(resource: &ResourceStatus) -> Vec<String> {
    let run = resource.last_run.as_ref();
    let ended = run.map_or_else(
        || "never".to_owned(),
        |run| {
            let when = run.finished_at.unwrap_or(run.started_at);
            format!("{}, {}", run.status.as_str(), format::moment(when))
        },
    );
    let shown = |count: fn(&Run) -> i64| format::known(run.map(count));
    // Not every listing has a total, and an unfinished walk says nothing.
    let optional = |count: fn(&Run) -> Option<i64>| format::known(run.and_then(count));
    vec![
        resource.resource.clone(),
        resource.scope.as_str().to_owned(),
        resource
            .complete_as_of
            .map_or_else(|| "-".to_owned(), format::moment),
        ended,
        optional(|run| run.source_total),
        shown(|run| run.rows_read),
        shown(|run| run.rows_inserted + run.rows_updated),
        shown(|run| run.rows_removed),
        shown(|run| run.rows_rejected),
        shown(|run| run.rows_suppressed),
        optional(|run| run.unexplained),
        gaps(resource),
        format::count(resource.sweep_backlog),
        resource.holder().unwrap_or("-").to_owned(),
    ]
}

/// The number of gaps, with the number of those that no scan can close.
fn gaps(resource: &ResourceStatus) -> String {
    match (resource.open_gaps, resource.lasting_gaps) {
        (open, 0) => open.to_string(),
        (open, lasting) => format!("{open} ({lasting} for good)"),
    }
}

/// Prints the error and the hint of a resource's last run.
fn trouble(resource: &ResourceStatus) {
    let name = &resource.resource;
    if let Some(ahead) = resource.watermark_ahead_seconds {
        output::line(&format!(
            "\n{name}: its watermark lies {} ahead of the database's clock, so it is ignored\n  \
             do: nothing, if the database's clock is right: the next run reads from before it; `blueconic-sync reset {name} --to TIME` \
             moves it back at once",
            format::precise(ahead)
        ));
    }
    if let Some(timelines) = resource
        .timelines
        .filter(|timelines| timelines.profiles_with_gaps > 0)
    {
        output::line(&format!(
            "\n{name}: the timelines of {} profiles may be incomplete: `blueconic.timeline_gaps` says which and why\n  \
             do: where the reason is `full_answer`, raise `resources.profiles.timeline_count`",
            format::count(timelines.profiles_with_gaps)
        ));
    }
    let Some(run) = &resource.last_run else { return };
    match (&run.error, &run.hint) {
        (Some(error), Some(hint)) => output::line(&format!(
            "\n{name}: {}\n  do: {}",
            sanitize::line(error),
            sanitize::line(hint)
        )),
        (Some(advice), None) | (None, Some(advice)) => {
            output::line(&format!("\n{name}: {}", sanitize::line(advice)));
        }
        (None, None) => {}
    }
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
