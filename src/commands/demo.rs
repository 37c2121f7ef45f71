//! `demo`: everything once on this machine: a simulated tenant, an embedded PostgreSQL, a full backfill, a second one
//! that writes nothing, and what an analyst then sees.

use std::io::IsTerminal;
use std::process::Stdio;
use std::time::Instant;

use embedded_postgres::Cluster;
use secrecy::ExposeSecret;
use simulated_tenant::settings::Settings as TenantSettings;
use simulated_tenant::tenant::{self, Tenant};
use tokio::process::Command;
use url::Url;

use crate::app::{self, App, Database, Overrides};
use crate::cli::Demo;
use crate::commands::exit::Exit;
use crate::config::secret::Secret;
use crate::config::settings::{Grant, Settings};
use crate::model::description::Registry;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::ledger::RunReport;
use crate::model::position::Scope;
use crate::postgres::embedded;
use crate::shutdown::Shutdown;
use crate::sync::run_spec::WhenHeld;
use crate::telemetry::Terminal;

use super::psql::demo_dir;
use super::{backfill, child_environment, output, progress, simulated_lists};

/// The groups of each type of the simulated tenant.
const GROUPS: u64 = 100;

/// The first questions of an analyst.
const QUERIES: [(&str, &str); 4] = [
    (
        "How far can each table be trusted?",
        "select resource, complete_as_of::timestamptz(0), open_gaps from blueconic.freshness order by resource",
    ),
    (
        "How large are the segments, by the tenant and by the table?",
        "select s.name, s.profile_count as \"by the tenant\",
       (select count(*) from blueconic.segment_members(s.id)) as \"by the table\"
from blueconic.segments as s order by s.name limit 9",
    ),
    (
        "Who are the most frequent visitors?",
        "select id, email, visits, modified_at::timestamptz(0)
from blueconic.profiles_wide order by visits desc nulls last, id limit 5",
    ),
    (
        "What do people do in BlueConic?",
        "select object_type, operation, count(*), max(occurred_at)::timestamptz(0) as latest
from blueconic.audit_events group by 1, 2 order by 3 desc, 1, 2 limit 5",
    ),
];

/// Runs the command.
pub async fn run(arguments: &Demo, settings: Settings, terminal: &Terminal) -> Outcome<Exit> {
    if embedded::is_in_image() {
        return Err(Fault::new(
            Kind::Settings,
            "the container image has no embedded database, so it cannot show the demo",
        )
        .hint("run `script/demo` in a clone, or `docker compose up` with a tenant of your own"));
    }
    let shutdown = backfill::listen()?;
    let stays = arguments.keep || !is_watched();
    let tenant = simulated(arguments, settings.registry).await?;
    let cluster = cluster(&settings, stays).await?;
    let folder = cluster.data_dir().to_owned();
    output::line(&format!(
        "PostgreSQL: an embedded cluster in {}\n",
        folder.display()
    ));
    let database = Database::of_embedded(cluster)?;
    let settings = pointed_at(settings, &tenant)?;
    let outcome = Box::pin(show(&settings, database, terminal, &shutdown, stays)).await;
    tenant.stop().await;
    outcome
}

/// Whether a person sits in front of it.
fn is_watched() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

async fn simulated(arguments: &Demo, registry: Registry) -> Outcome<Tenant> {
    let wanted = TenantSettings {
        profiles: arguments.profiles,
        groups: GROUPS,
        ..TenantSettings::default()
    };
    let tenant = tenant::start(wanted.with_lists(simulated_lists::of(registry)))
        .await
        .map_err(|error| Fault::new(Kind::Final, "the simulated tenant cannot be served").because(error))?;
    output::line(&format!(
        "A simulated BlueConic tenant with {} profiles: {}",
        format::count(arguments.profiles),
        tenant.url()
    ));
    Ok(tenant)
}

/// A temporary cluster, or a kept one that is emptied first, since the simulated tenant is a new one each time.
async fn cluster(settings: &Settings, stays: bool) -> Outcome<Cluster> {
    let started = if stays {
        Cluster::start(&embedded::CONFIG, &demo_dir(settings)?).await
    } else {
        Cluster::temporary(&embedded::CONFIG).await
    };
    let cluster = started.map_err(|error| app::embedded_fault(&error))?;
    if stays {
        let sql = "set client_min_messages = error; drop schema if exists blueconic cascade; drop schema if exists sync cascade";
        psql(
            &cluster.bin_dir().join("psql"),
            &cluster.url(),
            sql,
            Stdio::null(),
        )
        .await?;
    }
    Ok(cluster)
}

/// The settings for the simulated tenant, without rate limits.
fn pointed_at(mut settings: Settings, tenant: &Tenant) -> Outcome<Settings> {
    let simulated = TenantSettings::default();
    let url = Url::parse(tenant.url())
        .map_err(|error| Fault::new(Kind::Final, "the simulated tenant has no address").because(error))?;
    settings.tenant.url = Some(url);
    settings.tenant.client_id = Some(simulated.client_id);
    settings.tenant.client_secret = Some(Secret::new(simulated.client_secret.expose_secret().to_owned()));
    settings.tenant.api_path = simulated.api_path;
    // The simulated tenant needs no sign-in, whatever the settings say of the real one.
    settings.tenant.grant = Grant::ClientCredentials;
    settings.tenant.scopes = Vec::new();
    let plenty = std::num::NonZeroU32::MIN.saturating_add(999);
    settings.limits.requests_per_second = plenty;
    settings.limits.burst = plenty;
    Ok(settings)
}

async fn show(
    settings: &Settings,
    database: Database,
    terminal: &Terminal,
    shutdown: &Shutdown,
    stays: bool,
) -> Outcome<Exit> {
    let url = settings
        .tenant
        .address()
        .map_err(|error| app::settings_fault(&error))?;
    let app = App::over(settings, url, database).await?;
    let shown = show_runs(settings, &app, terminal, shutdown).await;
    if let Ok(Exit::Done) = shown {
        farewell(&app, shutdown, stays).await?;
    }
    app.close().await?;
    shown
}

async fn show_runs(
    settings: &Settings,
    app: &App,
    terminal: &Terminal,
    shutdown: &Shutdown,
) -> Outcome<Exit> {
    output::line("The first backfill loads everything:");
    let first = backfill_all(settings, app, terminal, shutdown).await?;
    output::line("\nThe second one reads everything again and finds nothing to write:");
    let second = if first == Exit::Done {
        backfill_all(settings, app, terminal, shutdown).await?
    } else {
        first
    };
    if second != Exit::Done {
        return Ok(second);
    }
    output::line("\nWhat an analyst sees:");
    let Some(cluster) = app.database.embedded() else {
        return Ok(Exit::Failed);
    };
    let program = cluster.bin_dir().join("psql");
    for (question, sql) in QUERIES {
        output::line(&format!("\n-- {question}\n{sql};"));
        psql(&program, &cluster.url(), sql, Stdio::inherit()).await?;
    }
    Ok(Exit::Done)
}

async fn backfill_all(
    settings: &Settings,
    app: &App,
    terminal: &Terminal,
    shutdown: &Shutdown,
) -> Outcome<Exit> {
    let (listener, attached) = progress::listener(terminal);
    let engine = app.engine(settings, None, listener);
    let began = Instant::now();
    let mut reports: Vec<RunReport> = Vec::new();
    for entry in app.entries.iter().filter(|entry| entry.enabled) {
        let overrides = Overrides {
            scope: Some(Scope::Full),
            ..Overrides::default()
        };
        let spec = app::run_spec(settings, entry, overrides, WhenHeld::LookOn);
        reports.extend(Box::pin(engine.run(&spec, &shutdown.token())).await);
        if shutdown.is_requested() {
            break;
        }
    }
    drop(attached);
    backfill::tell(&reports);
    output::line(&format!(
        "in {} (a demo is built for a quick start, not for speed)",
        format::precise(began.elapsed().as_secs_f64())
    ));
    for fault in reports.iter().filter_map(|report| report.fault.as_ref()) {
        output::print_fault(fault);
    }
    Ok(Exit::worst(reports.iter().map(Exit::of_run)))
}

/// Shows how to explore further; on a terminal the demo keeps running until Enter.
async fn farewell(app: &App, shutdown: &Shutdown, stays: bool) -> Outcome<()> {
    let Some(cluster) = app.database.embedded() else {
        return Ok(());
    };
    let program = std::env::current_exe()
        .map_or_else(|_| "blueconic-sync".to_owned(), |path| path.display().to_string());
    if stays {
        output::line(&format!(
            "\nThe database is kept. Look further with:\n  {program} psql --demo"
        ));
    }
    if !is_watched() {
        return Ok(());
    }
    let line = format!("{} '{}'", cluster.bin_dir().join("psql").display(), cluster.url());
    output::line(&format!(
        "\nWhile this runs, look further from another terminal:\n  {line}\n\nPress Enter to end."
    ));
    let unread =
        |error: std::io::Error| Fault::new(Kind::Final, "the terminal cannot be read").because(error);
    let enter = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! {
        read = enter => read.map_err(std::io::Error::other).flatten().map(|_| ()).map_err(unread),
        () = shutdown.requested() => Ok(()),
    }
}

/// Runs one statement with the cluster's own psql.
async fn psql(program: &std::path::Path, url: &str, sql: &str, stdout: Stdio) -> Outcome<()> {
    let failed = |why: String| Fault::new(Kind::Final, "psql could not show the database").because(why);
    let mut command = Command::new(program);
    child_environment::without_ours(command.as_std_mut());
    let status = command
        .args([
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--pset=pager=off",
            url,
            "--command",
            sql,
        ])
        .stdin(Stdio::null())
        .stdout(stdout)
        .status()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(status.to_string()))
    }
}
