//! One file per command. Results go to stdout, everything else to stderr.

pub mod backfill;
mod budget;
mod by_hand;
pub mod check;
mod child_environment;
pub mod completions;
pub mod config;
mod confirm;
#[cfg(feature = "demo")]
pub mod demo;
pub mod distribute;
pub mod docs;
mod drift;
pub mod erase;
mod exit;
pub mod healthcheck;
mod housekeeping;
pub mod login;
pub mod logout;
pub mod man;
pub mod migrate;
pub mod notify;
mod output;
mod pace;
pub mod pause;
pub mod probe;
mod progress;
pub mod psql;
pub mod reset;
pub mod resources;
pub mod resume;
pub mod rights;
pub mod rotate_key;
pub mod run_now;
pub mod serve;
#[cfg(feature = "demo")]
pub mod simulate_tenant;
#[cfg(feature = "demo")]
pub mod simulated_lists;
pub mod status;
mod verification;

pub use exit::Exit;
pub use output::{finish, print_fault, usage};

use crate::cli::{Cli, Command};
use crate::config::settings::Settings;
use crate::model::fault::Outcome;
#[cfg(not(feature = "demo"))]
use crate::model::fault::{Fault, Kind};
use crate::telemetry::Terminal;

/// Runs a command that needs no settings, so that wrong ones do not hinder it; none for the others.
pub fn run_without_settings(command: &Command) -> Option<Outcome<Exit>> {
    match command {
        Command::Completions(arguments) => Some(completions::run(arguments)),
        Command::Man(arguments) => Some(man::run(arguments)),
        _ => None,
    }
}

/// Runs the command.
pub async fn run(cli: Cli, settings: Settings, terminal: Terminal) -> Outcome<Exit> {
    match cli.command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => Box::pin(demo::run(&arguments, settings, &terminal)).await,
        Command::Check(arguments) if arguments.drift => Box::pin(drift::run(&settings, arguments.json)).await,
        Command::Check(arguments) => Box::pin(check::run(&arguments, settings)).await,
        Command::Login(arguments) => Box::pin(login::run(&arguments, &settings)).await,
        Command::Logout(arguments) => Box::pin(logout::run(&arguments, &settings)).await,
        Command::RotateKey => Box::pin(rotate_key::run(&settings)).await,
        Command::Migrate => Box::pin(migrate::run(&settings)).await,
        Command::Backfill(arguments) => Box::pin(backfill::run(&arguments, &settings, &terminal)).await,
        Command::Serve(arguments) => Box::pin(serve::run(&arguments, settings, cli.config, &terminal)).await,
        Command::Pause(arguments) => Box::pin(pause::run(&arguments, &settings)).await,
        Command::Resume(arguments) => Box::pin(resume::run(&arguments, &settings)).await,
        Command::RunNow(arguments) => Box::pin(run_now::run(&arguments, &settings)).await,
        Command::Status(arguments) => Box::pin(status::run(&arguments, &settings, &terminal)).await,
        Command::Resources(arguments) => Box::pin(resources::run(&arguments, &settings)).await,
        Command::Docs(arguments) => Box::pin(docs::run(&arguments, &settings)).await,
        Command::Probe(arguments) => Box::pin(probe::run(&arguments, &settings)).await,
        Command::Reset(arguments) => Box::pin(reset::run(&arguments, &settings)).await,
        Command::Erase(arguments) => Box::pin(erase::run(&arguments, &settings)).await,
        Command::Rights(arguments) => Box::pin(rights::run(&arguments, &settings)).await,
        Command::Distribute(arguments) => Box::pin(distribute::run(&arguments, &settings)).await,
        Command::Psql(arguments) => Box::pin(psql::run(&arguments, &settings)).await,
        Command::Notify(arguments) => Box::pin(notify::run(&arguments, &settings)).await,
        Command::Config(arguments) => config::run(&arguments, &settings),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Healthcheck => Box::pin(healthcheck::run(&settings)).await,
        #[cfg(feature = "demo")]
        Command::SimulateTenant(arguments) => Box::pin(simulate_tenant::run(&arguments, &settings)).await,
        #[cfg(not(feature = "demo"))]
        Command::Demo(_) | Command::SimulateTenant(_) => Err(without_demo()),
    }
}

/// Why a build without the feature `demo`, such as the image's, runs neither `demo` nor `simulate-tenant`.
#[cfg(not(feature = "demo"))]
fn without_demo() -> Fault {
    Fault::new(
        Kind::Settings,
        "this build has no simulated tenant, so it runs neither `demo` nor `simulate-tenant`",
    )
    .because("it was built without the feature `demo`, as the container image is")
    .hint("run `script/demo` in a clone, or `docker compose up` with a tenant of your own")
}
