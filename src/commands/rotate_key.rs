//! `rotate-key`: seals the stored tokens with a new key, all in one transaction. Both keys come from variables or files,
//! never from a command line.

use std::time::Duration;

use crate::app::Database;
use crate::blueconic::auth::keys::Keys;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::postgres::reseal;

use super::output;

/// How long open token requests may take to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the command.
pub async fn run(settings: &Settings) -> Outcome<Exit> {
    let keys = keys(settings)?;
    let database = Database::open(settings).await?;
    let outcome = rotate(settings, &keys, &database).await;
    database.close().await?;
    outcome
}

async fn rotate(settings: &Settings, keys: &Keys, database: &Database) -> Outcome<Exit> {
    let store = database.store(settings).await?;
    store.verify_schema().await?;
    let changed = reseal::reseal(&store, PATIENCE, |name, sealed| keys.anew(name, sealed)).await?;
    store.disconnect().await;
    let message = match changed {
        0 => "no token is sealed with the old key: nothing to do".to_owned(),
        changed => format!(
            "{changed} row(s) of sync.tokens are sealed with the key `{}` now; restart every `serve` with it, and \
             forget the old one",
            keys.id()
        ),
    };
    output::line(&message);
    Ok(Exit::Done)
}

fn keys(settings: &Settings) -> Outcome<Keys> {
    let missing = |name: &str, is: &str| {
        Fault::new(Kind::Settings, format!("{name} is not set"))
            .hint(format!("set {name} (or {name}_FILE) to {is}"))
    };
    let new = settings.key.as_ref();
    let new = new.ok_or_else(|| missing("BLUECONIC_SYNC_KEY", "the new key (`openssl rand -base64 32`)"))?;
    let old = settings.old_key.as_ref();
    let old = old.ok_or_else(|| {
        missing(
            "BLUECONIC_SYNC_OLD_KEY",
            "the key that the tokens are sealed with",
        )
    })?;
    let keys = Keys::new(old, new)?;
    if keys.are_equal() {
        return Err(Fault::new(
            Kind::Settings,
            "BLUECONIC_SYNC_KEY and BLUECONIC_SYNC_OLD_KEY are the same key",
        )
        .hint("make a new key with `openssl rand -base64 32` and set it as BLUECONIC_SYNC_KEY"));
    }
    Ok(keys)
}
