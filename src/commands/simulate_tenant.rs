//! `simulate-tenant`: the demo's tenant alone, for tests and benchmarks that want it in a process of its own.

use simulated_tenant::process::{self, Arguments};

use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};

use super::{backfill, output, simulated_lists};

/// Runs the command: prints the address and the credentials, then serves.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Outcome<Exit> {
    let shutdown = backfill::listen()?;
    let (tenant, lines) = process::start(arguments, simulated_lists::of(settings.registry))
        .await
        .map_err(|error| Fault::new(Kind::Final, "the simulated tenant cannot be served").because(error))?;
    for line in lines {
        output::line(&line);
    }
    shutdown.requested().await;
    tenant.stop().await;
    Ok(Exit::Done)
}
