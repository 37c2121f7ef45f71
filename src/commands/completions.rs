//! `completions`: the script that completes command lines in a shell. It follows from the grammar alone, so that it needs no
//! settings.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions as Arguments};
use crate::commands::exit::Exit;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::version::PROGRAM;

use super::output;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Fault::new(Kind::Final, "the completions cannot be written").because(error))?;
    output::line(script.trim_end());
    Ok(Exit::Done)
}
