//! `backfill`: every wanted resource once, in dependency order, then a summary.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{self, App, Overrides, SyncEngine};
use crate::cli::Backfill;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::commands::output::print_fault;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::clocks::{TOLERANCE, later_by};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::ledger::RunReport;
use crate::model::ports::{AnyResource, Clock as _};
use crate::model::position::Scope;
use crate::model::status::RunStatus;
use crate::postgres::store::PostgresStore;
use crate::resources::registry::Entry;
use crate::shutdown;
use crate::sync::run_spec::{RunSpec, WhenHeld};
use crate::telemetry::Terminal;

use super::verification::Verified;
use super::{budget, drift, output, progress};

/// How long a shutdown takes at most. Orchestrators kill after ten seconds.
const FAREWELL: Duration = Duration::from_secs(9);

/// Runs the command.
pub async fn run(arguments: &Backfill, settings: &Settings, terminal: &Terminal) -> Outcome<Exit> {
    if let Some(since) = arguments.since {
        refuse_future("--since", since)?;
    }
    let shutdown = listen()?;
    let work = async {
        let app = start(settings, &shutdown).await?;
        let outcome = read_all(arguments, settings, terminal, &app, &shutdown).await;
        app.close().await?;
        outcome
    };
    leaving(&shutdown, Box::pin(work)).await
}

/// Runs the work of a command that reads a tenant. After a shutdown request the command ends within [`FAREWELL`],
/// whatever it waits for.
pub(super) async fn leaving<T>(
    shutdown: &shutdown::Shutdown,
    work: impl Future<Output = Outcome<T>>,
) -> Outcome<T> {
    shutdown.farewell(FAREWELL, work).await.unwrap_or_else(|| {
        Err(Fault::new(Kind::Interrupted, "interrupted before everything was stored")
            .hint("nothing is lost: positions are stored with what is loaded, and the next run continues from there"))
    })
}

/// Opens and prepares the database. A shutdown request ends this at once, since no run is open yet.
pub(super) async fn start(settings: &Settings, shutdown: &shutdown::Shutdown) -> Outcome<App> {
    tokio::select! {
        app = Box::pin(App::start(settings)) => app,
        () = shutdown.requested() => Err(Fault::new(Kind::Interrupted, "interrupted before the first request")),
    }
}

/// Refuses a time in the future: it is a typing error, or this machine's clock is wrong.
pub(super) fn refuse_future(flag: &str, time: Time) -> Outcome<()> {
    let now = SystemClock.now();
    if time <= later_by(now, TOLERANCE) {
        return Ok(());
    }
    let spelled = |time: Time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let fault = Fault::new(
        Kind::Settings,
        format!("`{flag} {}` lies in the future", spelled(time)),
    );
    Err(fault
        .because(format!("this machine's clock shows {}", spelled(now)))
        .hint("name a time that has passed; `Z` at its end means UTC"))
}

/// Listens for signals.
pub(super) fn listen() -> Outcome<shutdown::Shutdown> {
    shutdown::listen()
        .map_err(|error| Fault::new(Kind::Final, "signals cannot be listened for").because(error))
}

async fn read_all(
    arguments: &Backfill,
    settings: &Settings,
    terminal: &Terminal,
    app: &App,
    shutdown: &shutdown::Shutdown,
) -> Outcome<Exit> {
    if wanted(arguments, &app.entries).any(|entry| matches!(entry.resource, AnyResource::Walk(_))) {
        app.store.open_loading_connections();
    }
    // A wrong secret is one clear error, not one for each resource.
    tokio::select! {
        signed_in = app.client.sign_in() => signed_in.map(|_| ())?,
        () = shutdown.requested() => return Err(Fault::new(Kind::Interrupted, "interrupted before the first request")),
    }
    tokio::select! {
        () = drift::learn(settings, &app.store) => {}
        () = shutdown.requested() => return Err(Fault::new(Kind::Interrupted, "interrupted before the first request")),
    }
    if let Some(sentence) = budget::exceeding(settings, &app.store).await? {
        tracing::warn!("{sentence}");
    }
    note_ignored(arguments, &app.entries);
    let (listener, attached) = progress::listener(terminal);
    let engine = app.engine(settings, arguments.approve_removals, listener);
    let reports = run_each(arguments, settings, app, &engine, shutdown).await;
    let verified = if arguments.verify && !shutdown.is_requested() {
        let specs = specs(arguments, settings, app);
        Some(Verified::of(
            Box::pin(engine.verify(&specs, &shutdown.token())).await,
        ))
    } else {
        None
    };
    drop(attached);
    let runs = reports.iter().map(Exit::of_run);
    let exit = Exit::worst(runs.chain(verified.as_ref().map(Verified::exit)));
    if arguments.json {
        let mut summary = summary(&app.store, &reports, exit).await?;
        if let Some(verified) = &verified {
            summary["verification"] = verified.json();
        }
        output::json(&summary)?;
    } else {
        tell(&reports);
        verified.iter().for_each(Verified::tell);
    }
    let verified = verified.iter().flat_map(Verified::complaints);
    for fault in reports.iter().filter_map(complaint).chain(verified) {
        print_fault(&fault);
    }
    Ok(exit)
}

async fn run_each(
    arguments: &Backfill,
    settings: &Settings,
    app: &App,
    engine: &SyncEngine,
    shutdown: &shutdown::Shutdown,
) -> Vec<RunReport> {
    let mut reports = Vec::new();
    for spec in specs(arguments, settings, app) {
        reports.extend(Box::pin(engine.run(&spec, &shutdown.token())).await);
        if shutdown.is_requested() {
            break;
        }
    }
    reports
}

/// The runs that are requested.
fn specs(arguments: &Backfill, settings: &Settings, app: &App) -> Vec<RunSpec> {
    let when_held = if arguments.wait {
        WhenHeld::Wait
    } else {
        WhenHeld::LookOn
    };
    let overrides = Overrides {
        scope: arguments.full.then_some(Scope::Full),
        since: arguments.since,
        overlap: None,
        is_named: !arguments.resources.is_empty(),
    };
    wanted(arguments, &app.entries)
        .map(|entry| app::run_spec(settings, entry, overrides, when_held))
        .collect()
}

/// The named resources, or all that are enabled, in dependency order.
fn wanted<'a>(arguments: &'a Backfill, entries: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(|entry| {
        let named = arguments.resources.iter().any(|name| name == entry.name());
        named || (arguments.resources.is_empty() && entry.enabled)
    })
}

fn note_ignored(arguments: &Backfill, entries: &[Entry]) {
    let lists: Vec<String> = wanted(arguments, entries)
        .filter(|entry| entry.description.as_list().is_some())
        .map(|entry| entry.description.title.to_lowercase())
        .collect();
    if arguments.since.is_some() && !lists.is_empty() {
        tracing::info!(
            "`--since` does not apply to {}: they are always read whole",
            lists.join(" and ")
        );
    }
}

/// The fault to report for a run that did not succeed.
fn complaint(report: &RunReport) -> Option<Fault> {
    let name = report.slot.resource;
    if let Some(fault) = &report.fault {
        return Some(Fault {
            what: format!("{name}: {}", fault.what),
            ..fault.clone()
        });
    }
    let error = report
        .ledger
        .error
        .as_ref()
        .filter(|_| !matches!(report.ledger.status, RunStatus::Succeeded | RunStatus::Skipped))?;
    let fault = Fault::new(Kind::Final, format!("{name}: {error}"));
    Some(match &report.ledger.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    })
}

/// `{status, exit_code, runs: [the columns of sync.runs]}`, and `skipped: [{resource, why}]` if lists were skipped.
async fn summary(store: &PostgresStore, reports: &[RunReport], exit: Exit) -> Outcome<Value> {
    let (skipped, read) = divided(reports);
    let mut runs = Vec::new();
    for report in read {
        runs.push(match report.run_id {
            Some(id) => json!(store.run(id).await?),
            None => json!({
                "id": null,
                "resource": report.slot.resource,
                "mode": report.slot.scope.as_str(),
                "status": report.ledger.status.as_str(),
                "error": report.ledger.error,
                "hint": report.ledger.hint,
            }),
        });
    }
    let mut summary = json!({ "status": exit.word(), "exit_code": exit.code(), "runs": runs });
    let skipped: Vec<Value> = skipped
        .iter()
        .map(|report| json!({ "resource": report.slot.resource, "why": report.ledger.error }))
        .collect();
    if !skipped.is_empty() {
        summary["skipped"] = skipped.into();
    }
    Ok(summary)
}

/// The runs of lists that the tenant lacks or the token may not read, and the others.
fn divided(reports: &[RunReport]) -> (Vec<&RunReport>, Vec<&RunReport>) {
    reports
        .iter()
        .partition(|report| report.ledger.status == RunStatus::Skipped)
}

/// The summary for a person.
pub(super) fn tell(reports: &[RunReport]) {
    let head = [
        "resource", "mode", "status", "read", "new", "changed", "same", "removed", "rejected", "requests",
        "time",
    ];
    let (skipped, read) = divided(reports);
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(read.into_iter().map(row));
    output::line(&output::table(&rows));
    let skipped: Vec<&str> = skipped.iter().map(|report| report.slot.resource).collect();
    if !skipped.is_empty() {
        output::line(&format!(
            "skipped, since the tenant has no such list or the token may not read it: {}",
            skipped.join(", ")
        ));
    }
}

fn row(report: &RunReport) -> Vec<String> {
    let counts = &report.ledger.counts;
    let seconds = (report.finished_at - report.started_at).as_seconds_f64();
    vec![
        report.slot.resource.to_owned(),
        report.slot.scope.as_str().to_owned(),
        report.ledger.status.as_str().to_owned(),
        format::count(counts.read),
        format::count(counts.inserted),
        format::count(counts.updated),
        format::count(counts.unchanged),
        format::count(counts.removed),
        format::count(counts.rejected),
        format::count(counts.requests),
        format::precise(seconds),
    ]
}

/// Whether stdin and stdout are terminals.
pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
