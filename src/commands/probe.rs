//! `probe`: asks the tenant what the vendor's document leaves open, and prints what was assumed, what was found and what follows. It
//! changes nothing at the tenant, needs no database, and keeps the report in one that is ready. It requests a token of its own, as
//! `check` does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::app::{self, Database};
use crate::blueconic::auth::memory::MemoryTokens;
use crate::blueconic::client::Client;
use crate::blueconic::document;
use crate::cli::Probe as Arguments;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::{Grant, Settings};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::ports::{Clock, TokenStore};
use crate::model::probe::{Finding, Report, State};
use crate::postgres::store::PostgresStore;
use crate::probe::run;
use crate::probe::subject::Subject;
use crate::shutdown::Shutdown;

use super::drift::within;
use super::{backfill, budget, check, output};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database that keeps the report.
struct Kept {
    database: Database,
    store: PostgresStore,
}

/// Runs the command.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Outcome<Exit> {
    let shutdown = backfill::listen()?;
    backfill::leaving(&shutdown, Box::pin(probe(arguments, settings, &shutdown))).await
}

async fn probe(arguments: &Arguments, settings: &Settings, shutdown: &Shutdown) -> Outcome<Exit> {
    settings
        .tenant
        .access()
        .map_err(|error| app::settings_fault(&error))?;
    let kept = keeper(settings).await?;
    let asked = Box::pin(ask(arguments, settings, &kept, shutdown)).await;
    let told = match (&asked, &kept) {
        (Ok(report), Ok(kept)) => kept.store.record_probe(report).await.map_err(Fault::from),
        (Ok(_), Err(fault)) => Err(fault.clone()),
        (Err(_), _) => Ok(()),
    };
    if let Ok(kept) = kept {
        kept.store.disconnect().await;
        kept.database.close().await?;
    }
    let report = asked?;
    if arguments.json {
        output::json(&report)?;
    } else {
        output::line(&text(&report));
    }
    if let Err(fault) = told {
        output::note(&format!("the report is not kept: {}", fault.sentence()));
    }
    Ok(match (shutdown.is_requested(), &report.partial) {
        (true, _) => Exit::Interrupted,
        (false, Some(_)) => Exit::Partial,
        (false, None) => Exit::Done,
    })
}

/// The database, if it is ready to keep a report. One of another tenant ends the probe before any request.
async fn keeper(settings: &Settings) -> Outcome<Result<Kept, Fault>> {
    if check::is_unmade(settings) {
        let fault = Fault::new(Kind::Final, "there is no database yet (`migrate` makes it)");
        return Ok(Err(fault));
    }
    let database = match Database::open(settings).await {
        Ok(database) => database,
        Err(fault) => return Ok(Err(fault)),
    };
    let address = settings
        .tenant
        .address()
        .map_err(|error| app::settings_fault(&error))?;
    let store = match database.store(settings).await {
        Ok(store) => store,
        Err(fault) => {
            database.close().await?;
            return Ok(Err(fault));
        }
    };
    let unready = store.verify_schema().await.err();
    let anothers = match &unready {
        None => store.verify_tenant(&address).await.err(),
        Some(_) => None,
    };
    let Some(fault) = anothers
        .map(|error| Err(Fault::from(error)))
        .or(unready.map(|error| Ok(Fault::from(error))))
    else {
        return Ok(Ok(Kept { database, store }));
    };
    store.disconnect().await;
    database.close().await?;
    fault.map(Err)
}

/// Asks all questions, with a token of its own or with the stored authorization of a person.
async fn ask(
    arguments: &Arguments,
    settings: &Settings,
    kept: &Result<Kept, Fault>,
    shutdown: &Shutdown,
) -> Outcome<Report> {
    let mut settings = within(settings, PATIENCE);
    settings.retry.give_up_after = settings.retry.give_up_after.min(PATIENCE);
    // Whether the tenant compresses is one of the questions.
    let compression = settings.tenant.compression.replace(true);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut subject = Subject::new(&settings, &clock, arguments.patience);
    subject.settings.tenant.compression = compression;
    match settings.tenant.grant {
        Grant::ClientCredentials => {
            let tokens = MemoryTokens::new(Arc::clone(&clock));
            let client = Client::new(&settings, tokens, Arc::clone(&clock))?;
            let asked = ask_with(&client, &settings, subject, true, shutdown).await;
            if let Ok(kept) = kept {
                budget::note(&kept.store, &client.traffic().used()).await;
            }
            asked
        }
        Grant::AuthorizationCode => {
            let store = kept.as_ref().map_err(Clone::clone)?.store.clone();
            let client = Client::new(&settings, store.clone(), Arc::clone(&clock))?;
            let asked = ask_with(&client, &settings, subject, false, shutdown).await;
            budget::note(&store, &client.traffic().used()).await;
            if !client.close_token(app::TOKEN_ON_ITS_WAY).await {
                tracing::warn!("a token request was under way; its result is lost");
            }
            asked
        }
    }
}

async fn ask_with<T: TokenStore>(
    client: &Client<T>,
    settings: &Settings,
    mut subject: Subject,
    requests_token: bool,
    shutdown: &Shutdown,
) -> Outcome<Report> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let asked_at = clock.now();
    let begin = async {
        client.sign_in().await?;
        subject.token = requests_token.then(|| (asked_at, clock.now()));
        output::note(
            "asking the tenant, with at most 200 requests: this takes a minute or two, and Ctrl-C ends it with what is known",
        );
        subject.release = release(settings, &clock).await;
        Outcome::Ok(())
    };
    tokio::select! {
        signed_in = begin => signed_in?,
        () = shutdown.requested() => return Err(Fault::new(Kind::Interrupted, "interrupted before the first question")),
    }
    Ok(run::run(client, Arc::clone(&clock), &subject, &shutdown.token()).await)
}

/// The tenant's release, as its own document says. Nothing else of the document is told.
async fn release(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<String, String> {
    let read = document::read(settings, clock).await;
    let document = read.map_err(|fault| match fault.kind {
        Kind::Absent => "the tenant has no such document".to_owned(),
        _ => "the tenant's document could not be read".to_owned(),
    })?;
    let release = document
        .pointer("/info/version")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is_release = |text: &str| {
        (1..=32).contains(&text.len()) && text.chars().all(|one| one.is_ascii_digit() || one == '.')
    };
    Some(release.trim())
        .filter(|text| is_release(text))
        .map(str::to_owned)
        .ok_or_else(|| "the tenant's document names no release in figures".to_owned())
}

/// The report for a person.
fn text(report: &Report) -> String {
    let mut lines = vec![
        format!(
            "probe of {} UTC by blueconic-sync {}: release {}, {} requests in {}",
            format::moment(report.started_at),
            report.version,
            report.release.as_deref().unwrap_or("unknown"),
            report.requests,
            format::precise(report.seconds)
        ),
        format!(
            "{} as assumed, {} differ, {} without an answer",
            report.count(State::AsAssumed),
            report.count(State::Differs),
            report.count(State::Unanswered)
        ),
    ];
    if let Some(why) = &report.partial {
        lines.push(format!("PARTIAL: {why} before all questions were asked"));
    }
    lines.extend(report.findings.iter().map(block));
    if report.settings.is_empty() {
        lines.push("\nno setting is proposed".to_owned());
    } else {
        lines.push(format!(
            "\nfor the settings file:\n\n{}",
            report.settings.trim_end()
        ));
    }
    lines.join("\n")
}

fn block(finding: &Finding) -> String {
    let (found, follows) = match &finding.found {
        Some(found) => (format!("\n  found    {found}"), "follows"),
        None => (String::new(), "why not"),
    };
    format!(
        "\n{}: {}\n  {}\n  assumed  {}{found}\n  {follows}  {}",
        finding.question,
        finding.state.words(),
        finding.asks,
        finding.assumed,
        finding.follows
    )
}
