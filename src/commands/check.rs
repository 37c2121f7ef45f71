//! `check`: tries settings, database, token and one request per enabled resource, asks the tenant for its size, and tells what the schedule
//! will cost. It changes nothing but the ledger of usage, to which its own requests count. It requests a token of its own and does not store it. An authorization by a person exists only once, so that grant uses the stored
//! tokens and may refresh them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::app::{self, Database};
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::memory::MemoryTokens;
use crate::blueconic::client::Client;
use crate::blueconic::error::ClientError;
use crate::cli::Check as Arguments;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::{Grant, Settings};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Clock, TokenStore};
use crate::model::sanitize;
use crate::model::usage::{Usage, Used};
use crate::postgres::error::Error;
use crate::postgres::store::PostgresStore;
use crate::postgres::{address, distribution, embedded, migrate, pool};
use crate::resources::registry;

use super::{budget, output};

mod cost;
mod forecast;
mod line;
mod recommendation;
mod resources;
mod sample;
mod table;

use forecast::{Forecast, Known};
use line::Line;
use sample::Samples;

/// How long a check waits before it calls something unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the tenant answered.
#[derive(Default)]
struct Asked {
    lines: Vec<Line>,
    samples: Samples,
    /// What the questions cost.
    used: Used,
}

impl Asked {
    fn nothing(line: Line) -> Self {
        Self {
            lines: vec![line],
            ..Self::default()
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    checks: Vec<Value>,
    exit_code: u8,
    /// None where the tenant could not be asked.
    forecast: Option<&'a Forecast>,
}

/// Runs the command.
pub async fn run(arguments: &Arguments, mut settings: Settings) -> Outcome<Exit> {
    settings.retry.give_up_after = settings.retry.give_up_after.min(PATIENCE);
    settings.tenant.connect_timeout = settings.tenant.connect_timeout.min(PATIENCE);
    let settings_fault = |error| app::settings_fault(&error);
    let url = settings.tenant.access().map_err(settings_fault)?.url;
    let proxy = settings.proxy().map_err(settings_fault)?;
    let through = proxy.map(|proxy| format!(", through the proxy {} ({})", proxy.shown, proxy.named_by));
    let mut lines = vec![Line::ok(
        "settings",
        format!(
            "tenant {url}, client id {}{}",
            settings.tenant.client_id.as_deref().unwrap_or_default(),
            through.unwrap_or_default()
        ),
    )];
    let (looked, usage) = database(&settings).await;
    lines.extend(looked);
    let mut forecast = None;
    // Another tenant's database is refused before any request.
    if lines.iter().all(|line| line.exit != Exit::Settings) {
        let works = lines.iter().all(|line| line.exit == Exit::Done);
        let asked = match settings.tenant.grant {
            Grant::ClientCredentials => by_itself(&settings).await,
            Grant::AuthorizationCode if works => Box::pin(as_authorized(&settings)).await,
            // What is wrong with the database has its line already.
            Grant::AuthorizationCode => Ok(Asked::nothing(Line::untried(
                "token",
                "it is in the database, which has to work first".to_owned(),
            ))),
        };
        let asked = asked.unwrap_or_else(|fault| Asked::nothing(Line::of("token", &fault)));
        if !asked.samples.is_empty() {
            forecast = Some(foresee(&settings, &asked.samples, usage.as_ref())?);
        }
        lines.extend(asked.lines);
        if usage.is_some() {
            record(&settings, &asked.used).await;
        }
    }
    let exit = Exit::worst(lines.iter().map(|line| line.exit));
    if arguments.json {
        output::json(&Document {
            checks: lines.iter().map(Line::json).collect(),
            exit_code: exit.code(),
            forecast: forecast.as_ref(),
        })?;
        return Ok(exit);
    }
    tell(&lines);
    if let Some(forecast) = &forecast {
        output::line(&format!("\n{}", table::text(forecast)));
    }
    Ok(exit)
}

/// What the schedule will cost.
fn foresee(settings: &Settings, samples: &Samples, usage: Option<&Usage>) -> Outcome<Forecast> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let known = Known {
        settings,
        entries: &registry::entries(settings, &clock),
        samples,
        usage,
        now: clock.now(),
    };
    known.forecast()
}

/// Adds the requests of this check to the ledger.
async fn record(settings: &Settings, used: &Used) {
    let recorded = async {
        let database = Database::open(settings).await?;
        let store = database.store(settings).await?;
        budget::note(&store, used).await;
        store.disconnect().await;
        database.close().await
    };
    if let Err(fault) = recorded.await {
        tracing::warn!(%fault, "the requests of this command could not be written into `sync.usage`");
    }
}

/// The database: reachable, new enough, migrated, and this tenant's. With what runs in it have cost, if it is all of that.
async fn database(settings: &Settings) -> (Vec<Line>, Option<Usage>) {
    if is_unmade(settings) {
        let detail = "embedded; it will be made by the first `backfill`, `serve` or `migrate`".to_owned();
        return (vec![Line::ok("database", detail)], None);
    }
    match look_at(settings).await {
        Ok(looked) => looked,
        Err(fault) => (vec![Line::of("database", &fault)], None),
    }
}

/// Whether the embedded database has not been created yet.
pub(super) fn is_unmade(settings: &Settings) -> bool {
    settings.database.is_embedded()
        && app::data_dir(settings).is_ok_and(|folder| !embedded_postgres::is_made(&folder))
        && !embedded::is_in_image()
}

async fn look_at(settings: &Settings) -> Outcome<(Vec<Line>, Option<Usage>)> {
    let database = Database::open(settings).await?;
    let looked = look_into(settings, &database).await;
    database.close().await?;
    looked
}

async fn look_into(settings: &Settings, database: &Database) -> Outcome<(Vec<Line>, Option<Usage>)> {
    let store = database.store(settings).await?;
    let mut usage = None;
    let mut lines = vec![Line::ok("database", database.address())];
    if let Err(error) = pool::verify_writable(database.options()).await {
        lines.push(Line::of("writing", &Fault::from(error)));
    }
    if pool::loses_sessions(database.options()).await? {
        let fault = Fault::new(
            Kind::Settings,
            "a pooler in transaction mode stands before the database",
        )
        .because("loading needs temporary tables that live as long as a connection")
        .hint("connect to PostgreSQL itself, or to a pooler in session mode");
        lines.push(Line::of("pooler", &fault));
    }
    if let Err(error) = store.verify_schema().await {
        // Pending migrations are no fault: `backfill` and `serve` apply them.
        let is_pending = matches!(error, Error::Pending { .. });
        if let (true, Err(error)) = (is_pending, migrate::verify_rights(database.options()).await) {
            lines.push(Line::of("rights", &Fault::from(error)));
        }
        let line = Line::of("schema", &Fault::from(error));
        lines.push(if is_pending {
            Line {
                state: "pending",
                exit: Exit::Done,
                ..line
            }
        } else {
            line
        });
    } else {
        lines.push(Line::ok("schema", "current".to_owned()));
        lines.extend(distributed(&store).await?);
        let address = settings
            .tenant
            .address()
            .map_err(|error| app::settings_fault(&error))?;
        match store.verify_tenant(&address).await {
            Ok(()) => usage = Some(store.usage().await?),
            Err(error) => lines.push(Line::of("tenant", &Fault::from(error))),
        }
    }
    store.disconnect().await;
    lines.extend(warnings(database).await?);
    Ok((lines, usage))
}

/// How far the tables are distributed, where Citus is there.
async fn distributed(store: &PostgresStore) -> Outcome<Option<Line>> {
    let found = distribution::read(store).await?;
    if found.extension.is_none() {
        return Ok(None);
    }
    let detail = format!(
        "{} of {} tables, over {} node(s)",
        found.distributed(),
        found.tables.len(),
        found.workers
    );
    Ok(Some(if found.distributed() == 0 || found.is_whole() {
        Line::ok("distributed", detail)
    } else {
        Line::warning(
            "distributed",
            detail,
            "run `blueconic-sync distribute --yes`: some tables are not distributed, the coordinator still has rows of them, or the nodes lack settings".to_owned(),
        )
    }))
}

/// Warnings about weaknesses that an attacker could use.
async fn warnings(database: &Database) -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    if let Some(exposure) = address::exposure(database.options()) {
        lines.push(Line::warning(
            "encryption",
            exposure,
            address::EXPOSURE_HINT.to_owned(),
        ));
    }
    for schema in migrate::open_schemas(database.options()).await? {
        lines.push(Line::warning(
            "names",
            format!("every role may create functions and operators in the schema `{schema}`"),
            format!(
                "`revoke create on schema {schema} from public`: an analyst with `{schema}` in the search path may call a \
                 stranger's (this program's own sessions do not look there)"
            ),
        ));
    }
    Ok(lines)
}

/// Checks the tenant with a token that is not stored.
async fn by_itself(settings: &Settings) -> Outcome<Asked> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let tokens = MemoryTokens::new(Arc::clone(&clock));
    let client = Client::new(settings, tokens, Arc::clone(&clock))?;
    Ok(tenant(&client, settings, &clock).await)
}

/// Checks the tenant with the stored authorization of a person.
async fn as_authorized(settings: &Settings) -> Outcome<Asked> {
    if settings.key.is_none() {
        return Err(missing(AuthorizationError::NoKey));
    }
    // `check` creates nothing; `login` does.
    if is_unmade(settings) {
        return Err(missing(AuthorizationError::NotSignedIn));
    }
    let database = Database::open(settings).await?;
    let looked = Box::pin(authorized(settings, &database)).await;
    database.close().await?;
    looked
}

fn missing(error: AuthorizationError) -> Fault {
    ClientError::from(error).into()
}

async fn authorized(settings: &Settings, database: &Database) -> Outcome<Asked> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = database.store(settings).await?;
    match store.verify_schema().await {
        // Without the tables, nobody can have signed in.
        Err(Error::Pending { .. }) => return Err(missing(AuthorizationError::NotSignedIn)),
        verified => verified?,
    }
    let client = Client::new(settings, store.clone(), Arc::clone(&clock))?;
    let asked = tenant(&client, settings, &clock).await;
    if !client.close_token(PATIENCE).await {
        tracing::warn!("a token request was under way; its result is lost");
    }
    store.disconnect().await;
    Ok(asked)
}

/// A token, one request for each enabled resource, and another one for its size if it is allowed.
async fn tenant<T: TokenStore>(client: &Client<T>, settings: &Settings, clock: &Arc<dyn Clock>) -> Asked {
    let mut lines = match client.sign_in().await {
        Ok(expires_at) => vec![Line::ok(
            "token",
            format!("valid until {}", expires_at.format("%H:%M:%S UTC")),
        )],
        Err(fault) => return Asked::nothing(Line::of("token", &fault)),
    };
    let entries = registry::entries(settings, clock);
    let tried = Box::pin(resources::ask(client, &entries, settings, clock.now())).await;
    lines.extend(tried.lines);
    Asked {
        lines,
        samples: sample::ask(client, &tried.readable, clock.now()).await,
        used: client.traffic().used(),
    }
}

fn tell(lines: &[Line]) {
    let mut rows = vec![["what", "state", "detail"].map(str::to_owned).to_vec()];
    rows.extend(
        lines
            .iter()
            .map(|line| vec![line.what.to_owned(), line.state.to_owned(), line.detail.clone()]),
    );
    output::line(&output::table(&rows));
    for (what, hint) in hints(lines) {
        output::note(&format!("{what}: {}", sanitize::line(hint)));
    }
}

/// Each hint once, with all that it is about.
fn hints(lines: &[Line]) -> Vec<(String, &str)> {
    let mut hints: Vec<(String, &str)> = Vec::new();
    for line in lines {
        let Some(hint) = line.hint.as_deref() else {
            continue;
        };
        match hints.iter_mut().find(|(_, known)| *known == hint) {
            Some((what, _)) => {
                what.push_str(", ");
                what.push_str(line.what);
            }
            None => hints.push((line.what.to_owned(), hint)),
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Kind;

    #[test]
    fn a_hint_about_several_lines_is_printed_once() {
        let line = |what, hint: &str| Line::of(what, &Fault::new(Kind::Transient, "away").hint(hint));
        let lines = [
            line("one", "wait"),
            Line::ok("token", "valid".to_owned()),
            line("two", "look"),
            line("three", "wait"),
        ];
        let expected = [("one, three".to_owned(), "wait"), ("two".to_owned(), "look")];
        assert_eq!(hints(&lines), expected);
    }
}
