//! The binary: parse, load settings, set up logging, hand over to a command, and end with its code.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use blueconic_sync::app;
use blueconic_sync::cli::{Cli, Command};
use blueconic_sync::commands::{self, Exit, print_fault};
use blueconic_sync::config::settings::{LogFormat, Settings};
use blueconic_sync::config::{load, variables};
use blueconic_sync::memory;
use blueconic_sync::model::fault::{Fault, Kind, Outcome};
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::telemetry::traces::{Exporter, TracesError};
use blueconic_sync::telemetry::{self, Terminal};
use clap::Parser;
use tokio::runtime::Handle;

/// The most threads that compute. Reading takes one core, and the loading connections mostly wait for PostgreSQL; each further thread
/// takes memory.
const WORKERS: usize = 4;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _orders = blueconic_sync::failpoint::listen();
    memory::configure();
    let exit = match Cli::try_parse() {
        Ok(cli) => run(cli).unwrap_or_else(|fault| report(&fault)),
        Err(error) => commands::usage(&error),
    };
    let written = commands::finish().map_or_else(|fault| report(&fault), |()| exit);
    ExitCode::from(Exit::worst([exit, written]).code())
}

fn report(fault: &Fault) -> Exit {
    print_fault(fault);
    Exit::of_fault(fault)
}

fn run(cli: Cli) -> Outcome<Exit> {
    let closed = close_memory();
    if let Some(outcome) = commands::run_without_settings(&cli.command) {
        return outcome;
    }
    let settings = load::load(cli.config.as_deref(), &variables::of_process(), RESOURCES)
        .map_err(|error| app::settings_fault(&error))?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(WORKERS))
        .enable_all()
        .build()
        .map_err(|error| Fault::new(Kind::Final, "threads cannot be started").because(error))?;
    let traces = traces(&settings, runtime.handle())?;
    let terminal = logging(&cli, &settings, traces.as_ref())?;
    match closed {
        Ok(()) => tracing::debug!("the memory of this process is closed to core dumps and debuggers"),
        Err(error) => tracing::warn!(%error, "a core dump of this process would hold its secrets"),
    }
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    let outcome = runtime.block_on(commands::run(cli, settings, terminal));
    if let Some(traces) = traces {
        traces.finish();
    }
    // A blocking read of a terminal must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Closes the memory of this process to core dumps and debuggers, which would show every secret. Child processes are not
/// affected.
fn close_memory() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Sets up logging. A demo logs for people, even if its output is piped.
fn logging(cli: &Cli, settings: &Settings, traces: Option<&Exporter>) -> Outcome<Terminal> {
    let format = match (&cli.command, settings.log.format) {
        (Command::Demo(_), LogFormat::Auto) => LogFormat::Text,
        (_, format) => format,
    };
    let terminal = std::io::stderr().is_terminal();
    telemetry::init(format, &settings.log.filter, terminal, traces)
        .map_err(|error| Fault::new(Kind::Settings, error.to_string()).hint(error.hint()))
}

/// The exporter of traces, if the settings name a collector. It sends on the runtime.
fn traces(settings: &Settings, runtime: &Handle) -> Outcome<Option<Exporter>> {
    let Some(url) = &settings.log.traces_url else {
        return Ok(None);
    };
    let traces = Exporter::start(url, &settings.network, runtime);
    let fault = |error: TracesError| Fault::new(Kind::Settings, error.to_string()).hint(error.hint());
    traces.map(Some).map_err(fault)
}
