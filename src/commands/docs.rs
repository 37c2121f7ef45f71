//! `docs`: the data dictionary of the connected database, as Markdown, as a page with a picture, or as sources of dbt. Changes nothing
//! in the database and sends no request.

mod dbt;
mod escape;
mod html;
mod markdown;
mod picture;

use std::path::Path;

use crate::app::Database;
use crate::cli::{Docs as Arguments, DocsFormat};
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::dictionary::Dictionary;
use crate::model::fault::{Fault, Kind, Outcome};

use super::output;

/// Runs the command.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Outcome<Exit> {
    let dictionary = read(settings).await?;
    let files = match arguments.format {
        DocsFormat::Markdown => vec![
            ("data-dictionary.md", markdown::document(&dictionary)),
            ("data-dictionary.svg", picture::svg(&dictionary)),
        ],
        DocsFormat::Html => vec![("data-dictionary.html", html::page(&dictionary))],
        DocsFormat::Dbt => vec![("sources.yml", dbt::sources(&dictionary))],
    };
    let Some(folder) = &arguments.output else {
        if let Some((_, document)) = files.first() {
            output::line(document.trim_end());
        }
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| unwritten(&path, &error))?;
        output::note(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
}

async fn read(settings: &Settings) -> Outcome<Dictionary> {
    let database = Database::open(settings).await?;
    let read = read_from(&database, settings).await;
    database.close().await?;
    read
}

async fn read_from(database: &Database, settings: &Settings) -> Outcome<Dictionary> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    let dictionary = store.dictionary().await?;
    store.disconnect().await;
    Ok(dictionary)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(Kind::Final, format!("{} cannot be written", path.display()))
        .because(error)
        .hint("name a folder that this user may write to with --output, or leave --output out and redirect stdout")
}
