//! `config show`: every setting with its value and where it came from. Shows no secret, opens nothing and changes nothing.

use std::path::Path;

use serde::Serialize;
use toml::Value;

use crate::cli::{Config as Arguments, ConfigCommand, ConfigShow};
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::config::shown::{Origin, Shown};
use crate::model::fault::Outcome;

use super::output;

/// A setting, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    /// Its key, or the variable of a secret.
    setting: &'a str,
    /// As in a settings file; null if it is unset or hidden.
    value: Option<&'a Value>,
    hidden: bool,
    /// `default`, `file`, `variable`, `secret_file` or `unset`.
    source: &'static str,
    /// The variable that sets it, or what names the file of a secret.
    name: Option<&'a str>,
    file: Option<&'a Path>,
}

/// Runs the command.
pub fn run(arguments: &Arguments, settings: &Settings) -> Outcome<Exit> {
    match &arguments.command {
        ConfigCommand::Show(arguments) => show(arguments, settings),
    }
}

fn show(arguments: &ConfigShow, settings: &Settings) -> Outcome<Exit> {
    let all = settings.shown.iter();
    let shown: Vec<&Shown> = all
        .filter(|one| !arguments.given || one.origin.is_given())
        .collect();
    if arguments.json {
        let settings: Vec<Row<'_>> = shown.into_iter().map(Row::of).collect();
        output::json(&settings)?;
        return Ok(Exit::Done);
    }
    let head = ["setting", "value", "from"].map(str::to_owned).to_vec();
    let rows = shown
        .into_iter()
        .map(|one| vec![one.name.clone(), one.text(), one.origin.to_string()]);
    output::line(&output::table(
        &std::iter::once(head).chain(rows).collect::<Vec<_>>(),
    ));
    Ok(Exit::Done)
}

impl<'a> Row<'a> {
    fn of(shown: &'a Shown) -> Self {
        let (name, file) = match &shown.origin {
            Origin::Unset | Origin::Default => (None, None),
            Origin::File(path) => (None, Some(path.as_path())),
            Origin::Variable(name) => (Some(name.as_str()), None),
            Origin::SecretFile { path, named_by } => (Some(named_by.as_str()), Some(path.as_path())),
        };
        Self {
            setting: &shown.name,
            value: shown.value.as_ref(),
            hidden: shown.is_hidden,
            source: shown.origin.kind(),
            name,
            file,
        }
    }
}
