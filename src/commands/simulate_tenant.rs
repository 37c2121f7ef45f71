//! `simulate-tenant`: the demo's tenant alone, for tests and benchmarks that want it in a process of its own.

use std::time::Duration;

use crate::cli::SimulateTenant;
use crate::commands::Exit;
use crate::demo::settings::Settings;
use crate::demo::tenant::{self, Tenant};
use crate::model::fault::{Fault, Kind, Outcome};

use super::{backfill, output};

/// The property by which a touched profile differs.
const TOUCHED: &str = "touched";

/// Runs the command: prints the address and the credentials, then serves.
pub async fn run(arguments: &SimulateTenant) -> Outcome<Exit> {
    let shutdown = backfill::listen()?;
    let mut settings = Settings {
        port: arguments.port,
        seed: arguments.seed,
        profiles: arguments.profiles,
        audit_events: arguments.audit_events,
        latency: Duration::from_millis(arguments.latency),
        rendered: arguments.rendered,
        ..Settings::default()
    };
    settings.properties = arguments.properties.unwrap_or(settings.properties);
    let (id, secret) = (settings.client_id.clone(), settings.client_secret.clone());
    let tenant = tenant::start(settings)
        .await
        .map_err(|error| Fault::new(Kind::Final, "the simulated tenant cannot be served").because(error))?;
    touch(&tenant, arguments.touched_per_thousand);
    output::line(&format!("BLUECONIC_URL={}", tenant.url()));
    output::line(&format!("BLUECONIC_CLIENT_ID={id}"));
    output::line(&format!(
        "BLUECONIC_CLIENT_SECRET={}",
        secrecy::ExposeSecret::expose_secret(&secret)
    ));
    shutdown.requested().await;
    tenant.stop().await;
    Ok(Exit::Done)
}

/// Changes so many of a thousand profiles, evenly spread: a value of its own each time, and `lastmodifieddate`.
fn touch(tenant: &Tenant, per_thousand: u64) {
    let value = tenant.now().to_string();
    for position in 0..tenant.positions() {
        if position * per_thousand % 1000 < per_thousand {
            tenant.touch(position, TOUCHED, &[&value]);
        }
    }
}
