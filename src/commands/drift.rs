//! `check --drift`: compares the tenant's own document with what this program uses, and the same for the service and for
//! `backfill`, which store what they find. It needs no token.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::blueconic::document;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::drift::api::Api;
use crate::drift::changes::changes;
use crate::drift::check::check;
use crate::model::drift::{DriftKind, Finding, Severity, Usage};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::job::Again;
use crate::model::ports::Clock;
use crate::postgres::store::PostgresStore;
use crate::resources::usages::{KNOWN_RELEASE, usages};

use super::output;

/// How long a check waits before it calls the tenant unreachable.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a run waits for the document, which it can do without.
const BEFORE_A_RUN: Duration = Duration::from_secs(5);
/// When the job of the schedule tries again after a fault that passes.
const AFTER_A_FAULT: Duration = Duration::from_hours(1);
/// How old the last reading may be before a run reads the document again.
const RELEASE_AGE: Duration = Duration::from_hours(24);

/// What a document says.
struct Checked {
    api: Api,
    usages: Vec<Usage>,
    findings: Vec<Finding>,
}

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    fn release(&self) -> &str {
        self.api.release.as_deref().unwrap_or("unknown")
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    tenant: String,
    release: Option<&'a str>,
    known_release: &'static str,
    breaks: usize,
    loses: usize,
    notes: usize,
    findings: &'a [Finding],
}

/// Runs the command.
pub(super) async fn run(settings: &Settings, json: bool) -> Outcome<Exit> {
    let checked = read(&within(settings, PATIENCE)).await?;
    if json {
        let address = settings
            .tenant
            .address()
            .map_err(|error| crate::app::settings_fault(&error))?;
        output::json(&Document {
            tenant: address.to_string(),
            release: checked.api.release.as_deref(),
            known_release: KNOWN_RELEASE,
            breaks: checked.count(Severity::Breaks),
            loses: checked.count(Severity::Loses),
            notes: checked.count(Severity::Note),
            findings: &checked.findings,
        })?;
    } else {
        tell(&checked);
    }
    if checked.count(Severity::Breaks) == 0 {
        return Ok(Exit::Done);
    }
    output::note(
        "the tenant lacks what this program uses: look for a newer release of blueconic-sync; if there is none, report what the check says",
    );
    Ok(Exit::Partial)
}

/// The settings with shorter time-outs.
pub(super) fn within(settings: &Settings, patience: Duration) -> Settings {
    let mut settings = settings.clone();
    let tenant = &mut settings.tenant;
    for timeout in [
        &mut tenant.connect_timeout,
        &mut tenant.read_timeout,
        &mut tenant.page_timeout,
    ] {
        *timeout = patience.min(*timeout);
    }
    settings
}

async fn read(settings: &Settings) -> Outcome<Checked> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let document = document::read(settings, &clock).await?;
    let api = Api::read(&document).ok_or_else(|| {
        Fault::new(Kind::Final, "GET /openapi.json: the answer describes no API")
            .because("it has no `openapi` and `paths`")
            .hint("check BLUECONIC_URL and `tenant.api_path`: another server may answer")
    })?;
    let usages = usages(settings, &clock);
    let findings = check(&usages, &api, KNOWN_RELEASE);
    Ok(Checked {
        api,
        usages,
        findings,
    })
}

fn tell(checked: &Checked) {
    output::line(&format!(
        "release {} of the tenant; this program follows release {KNOWN_RELEASE}",
        checked.release()
    ));
    let worse: Vec<&Finding> = checked
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .collect();
    if worse.is_empty() {
        output::line("the tenant has everything that is used");
    } else {
        let head = ["severity", "resource", "what", "path", "name", "detail"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(worse.into_iter().map(|finding| {
            vec![
                finding.severity.as_str().to_owned(),
                finding.resource.clone(),
                finding.kind.as_str().to_owned(),
                finding.path.clone(),
                finding.name.clone(),
                finding.detail.clone(),
            ]
        }));
        output::line(&output::table(&rows));
    }
    let notes = notes(&checked.findings);
    if !notes.is_empty() {
        output::line("\nnotes (nothing is lost that was there before):");
    }
    for note in notes {
        output::line(&note);
    }
}

/// The notes, one line for each operation and kind.
fn notes(findings: &[Finding]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for finding in findings
        .iter()
        .filter(|finding| finding.severity == Severity::Note)
    {
        let (head, name) = match finding.kind {
            DriftKind::UnreadPath => ("lists that no resource reads".to_owned(), finding.path.as_str()),
            _ => (
                format!(
                    "{} {} ({})",
                    finding.resource,
                    finding.kind.as_str().replace('_', " "),
                    finding.detail
                ),
                finding.name.as_str(),
            ),
        };
        match lines.iter_mut().find(|(known, _)| *known == head) {
            Some((_, names)) => names.push(name),
            None => lines.push((head, vec![name])),
        }
    }
    let line = |(head, names): (String, Vec<&str>)| format!("  {head}: {}", names.join(", "));
    lines.into_iter().map(line).collect()
}

/// Reads the document, compares it, and stores what was found. Logs what breaks.
pub(super) async fn record(settings: &Settings, store: &PostgresStore) -> Outcome<()> {
    let checked = match read(settings).await {
        Ok(checked) => checked,
        Err(fault) => {
            // No day passes with more than one attempt of a run.
            store.note_unread_document().await?;
            return Err(fault);
        }
    };
    let before = store.stored_api().await?;
    let before = before.and_then(|stored| serde_json::from_value::<Api>(stored).ok());
    let mut findings = checked.findings.clone();
    if let Some(before) = &before {
        let is_read = |path: &str| {
            checked.usages.iter().any(|usage| {
                checked
                    .api
                    .find(&usage.path)
                    .is_some_and(|(found, _)| found == path)
            })
        };
        findings.extend(changes(before, &checked.api, is_read));
    }
    let api = serde_json::to_value(&checked.api)
        .map_err(|error| Fault::new(Kind::Final, "the document cannot be stored").because(error))?;
    let release = checked.api.release.as_deref();
    store.record_document(release, &api, &findings).await?;
    log(&checked, before.as_ref());
    Ok(())
}

fn log(checked: &Checked, before: Option<&Api>) {
    let release = checked.release();
    let (breaks, loses, notes) = (
        checked.count(Severity::Breaks),
        checked.count(Severity::Loses),
        checked.count(Severity::Note),
    );
    if breaks > 0 {
        tracing::warn!(
            release,
            breaks,
            loses,
            notes,
            hint = "run `blueconic-sync check --drift`; sync.drift has all of it",
            "the tenant's document (release {release}) lacks {breaks} thing(s) that this program uses"
        );
    } else if before.is_none_or(|before| before.release != checked.api.release) {
        tracing::info!(
            release,
            loses,
            notes,
            "the tenant's release is {release}; it has everything that is used, or will have it with a later release"
        );
    }
}

/// Runs the job of the schedule. It has no run in `sync.runs`, and no failure of it is one of the service.
pub(super) async fn run_job(settings: &Settings, store: &PostgresStore) -> Again {
    match record(settings, store).await {
        Ok(()) => Again::OnTime,
        Err(fault) if fault.is_transient() => {
            tracing::info!(%fault, "the tenant's document could not be read; trying again in an hour");
            Again::After(AFTER_A_FAULT)
        }
        Err(fault) => {
            tracing::info!(%fault, hint = fault.hint, "the tenant's document could not be read: its release is not known");
            Again::OnTime
        }
    }
}

/// Learns the tenant's release before a run, if nobody has for a day. A document that cannot be read stops nothing.
pub(super) async fn learn(settings: &Settings, store: &PostgresStore) {
    let learned = async {
        if store.document_is_due(RELEASE_AGE).await? {
            record(&within(settings, BEFORE_A_RUN), store).await?;
        }
        Outcome::Ok(())
    };
    if let Err(fault) = learned.await {
        tracing::debug!(%fault, "the tenant's document could not be read");
    }
}
