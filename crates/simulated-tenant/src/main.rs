//! The simulated tenant as a program: prints its address and credentials, then serves until it is interrupted.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use simulated_tenant::process::{self, Arguments};
use tokio::signal::unix::{SignalKind, signal};

/// A simulated BlueConic tenant
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse().arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Stdout has no reader, so the error cannot be reported better.
            let _unread = writeln!(io::stderr(), "simulated-tenant: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (tenant, lines) = process::start(arguments, Vec::new()).await?;
    for line in lines {
        writeln!(io::stdout(), "{line}")?;
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tenant.stop().await;
    Ok(())
}
