//! `notify test`: shows that messages arrive. Needs no database and no tenant.

use crate::cli::{Notify, NotifyWhat};
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::notify::sender::Sender;

use super::output;

/// Runs the command.
pub async fn run(arguments: &Notify, settings: &Settings) -> Outcome<Exit> {
    match arguments.what {
        NotifyWhat::Test => test(settings).await,
    }
}

async fn test(settings: &Settings) -> Outcome<Exit> {
    let sender = Sender::new(&settings.notify, &settings.network)?;
    if !sender.has_webhook() && !sender.has_heartbeat() {
        return Err(Fault::new(Kind::Settings, "neither a webhook nor a dead-man switch is set").hint(
            "set BLUECONIC_SYNC_WEBHOOK_URL or BLUECONIC_SYNC_HEARTBEAT_URL (or each with _FILE to a file that holds it)",
        ));
    }
    // One that fails does not keep the other from being tried.
    let tenant = settings
        .tenant
        .url
        .as_ref()
        .map(|url| url.as_str().trim_end_matches('/'));
    let told = if sender.has_webhook() {
        Some(sender.test(tenant).await)
    } else {
        None
    };
    let beaten = if sender.has_heartbeat() {
        Some(sender.beat().await)
    } else {
        None
    };
    let mut worst = None;
    for (what, sent) in [("webhook", told), ("dead-man switch", beaten)] {
        match sent {
            None => {}
            Some(Ok(())) => output::line(&format!("{what}: accepted")),
            Some(Err(error)) => {
                let fault = Fault::from(error);
                if let Some(earlier) = worst.replace(fault) {
                    output::print_fault(&earlier);
                }
            }
        }
    }
    worst.map_or(Ok(Exit::Done), Err)
}
