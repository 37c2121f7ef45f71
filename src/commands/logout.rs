//! `logout`: revokes the stored tokens at the tenant and deletes them here.

use std::sync::Arc;

use crate::app::{self, Database};
use crate::blueconic::auth::logout::{Ended, Logout as SignOut};
use crate::cli::Logout;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::{Grant, Settings};
use crate::model::fault::{Fault, Kind, Outcome};

use super::confirm::confirmed;
use super::{backfill, output};

/// Runs the command.
pub async fn run(arguments: &Logout, settings: &Settings) -> Outcome<Exit> {
    let url = settings
        .tenant
        .access()
        .map_err(|error| app::settings_fault(&error))?
        .url;
    if !arguments.yes && !asked(arguments)? {
        output::note("nothing was changed");
        return Ok(Exit::Done);
    }
    let database = Database::open(settings).await?;
    let outcome = sign_out(arguments, settings, &url, &database).await;
    database.close().await?;
    outcome
}

async fn sign_out(
    arguments: &Logout,
    settings: &Settings,
    url: &url::Url,
    database: &Database,
) -> Outcome<Exit> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    store.verify_tenant(url).await?;
    let sign_out = SignOut::new(settings, store.clone(), Arc::new(SystemClock))?;
    let names = sign_out.stored(arguments.all).await?;
    if names.is_empty() {
        output::line("no token is stored: there is nothing to end");
    }
    for name in &names {
        let ended = sign_out.end(name, !arguments.forget).await?;
        output::line(&message(&ended, arguments.forget));
    }
    store.disconnect().await;
    Ok(Exit::Done)
}

fn message(ended: &Ended, forgotten: bool) -> String {
    let grant = &ended.grant_type;
    let next = if *grant == Grant::ClientCredentials.as_str() {
        "whoever has the client secret gets a new one, also a running `serve`"
    } else {
        "`blueconic-sync login` signs in again"
    };
    match (forgotten, ended.revoked) {
        (true, _) => format!("{grant}: forgotten here, and not revoked at the tenant; {next}"),
        (false, 0) => format!("{grant}: forgotten; no token was stored that could be revoked; {next}"),
        (false, revoked) => format!("{grant}: {revoked} token(s) revoked and forgotten; {next}"),
    }
}

/// Asks a person to confirm; without a terminal, `--yes` is required.
fn asked(arguments: &Logout) -> Outcome<bool> {
    if !backfill::is_interactive() {
        return Err(
            Fault::new(Kind::Settings, "`logout` asks before it ends an authorization")
                .because("there is no terminal to ask on")
                .hint("say `blueconic-sync logout --yes`"),
        );
    }
    confirmed(if arguments.all {
        "End all stored tokens of this client at the tenant, and forget them?"
    } else {
        "End the stored tokens at the tenant, and forget them?"
    })
}
