//! `man`: the manual pages, one of the program and one of each command. They follow from the grammar alone, so that they need no
//! settings, and they bear no date, so that two builds write the same.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::{Cli, Man as Arguments};
use crate::commands::exit::Exit;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::version::{PROGRAM, VERSION};

use super::output;

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome<Exit> {
    let mut grammar = Cli::command().disable_help_subcommand(true);
    grammar.build();
    let Some(folder) = &arguments.folder else {
        output::line(&text(&grammar)?);
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, error))?;
    let mut left = vec![&grammar];
    while let Some(command) = left.pop() {
        let path = folder.join(format!("{}.1", name(command)));
        std::fs::write(&path, text(command)? + "\n").map_err(|error| unwritten(&path, error))?;
        output::note(&format!("wrote {}", path.display()));
        left.extend(command.get_subcommands().filter(|one| !one.is_hide_set()));
    }
    Ok(Exit::Done)
}

/// The name of a page: that of the command behind those above it.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// A page in roff.
fn text(command: &Command) -> Outcome<String> {
    let mut page = Vec::new();
    let rendered = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .source(format!("{PROGRAM} {VERSION}"))
        .manual("User Commands")
        .render(&mut page);
    let text = rendered.and_then(|()| String::from_utf8(page).map_err(io::Error::other));
    let text =
        text.map_err(|error| Fault::new(Kind::Final, "the manual page cannot be written").because(error))?;
    Ok(text.trim_end().to_owned())
}

fn unwritten(path: &Path, error: io::Error) -> Fault {
    Fault::new(Kind::Final, format!("{} cannot be written", path.display()))
        .because(error)
        .hint("name a folder that this user may write to, or none, for the first page on stdout")
}
