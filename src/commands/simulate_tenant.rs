//! `simulate-tenant`: the demo's tenant alone, for tests and benchmarks that want it in a process of its own.

use std::time::Duration;

use crate::cli::SimulateTenant;
use crate::commands::exit::Exit;
use crate::demo::settings::{AuditOrder, Settings};
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
        audit_events: count(arguments.audit_events),
        latency: Duration::from_millis(arguments.latency),
        rendered: arguments.rendered,
        distinct: arguments.distinct,
        as_of: arguments.as_of,
        ..Settings::default()
    };
    if arguments.audit_oldest_first {
        settings.audit_order = AuditOrder::OldestFirst;
    }
    settings.properties = arguments.properties.map_or(settings.properties, count);
    let (id, secret) = (settings.client_id.clone(), settings.client_secret.clone());
    let tenant = tenant::start(settings)
        .await
        .map_err(|error| Fault::new(Kind::Final, "the simulated tenant cannot be served").because(error))?;
    touch(&tenant, arguments);
    damage(&tenant, arguments.broken);
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

/// Changes so many profiles, evenly spread: a value of its own each time, and `lastmodifieddate`.
fn touch(tenant: &Tenant, arguments: &SimulateTenant) {
    let at = arguments
        .touched_at
        .map_or_else(|| tenant.now(), |at| at.timestamp_millis());
    let value = at.to_string();
    for position in spread(tenant.positions(), arguments.touched, 0) {
        tenant.set_property(position, TOUCHED, Some(&[&value]));
        tenant.set_modified(position, at);
    }
}

/// Puts what is no profile in the place of so many profiles, evenly spread, as large as they are: one without an id,
/// one whose properties are no list, one that is no JSON.
fn damage(tenant: &Tenant, count: u64) {
    let filler = "damaged ".repeat(375);
    for (turn, position) in spread(tenant.positions(), count, 1).enumerate() {
        let id = tenant.id(position);
        let element = match turn % 3 {
            0 => format!(r#"{{"name":"nobody","properties":[{{"id":"note","values":["{filler}"]}}]}}"#),
            1 => format!(r#"{{"id":"{id}","properties":"{filler}"}}"#),
            _ => format!(r#"{{"id":"{id}","properties":[{filler}]}}"#),
        };
        tenant.skip(position);
        tenant.insert_raw(position, element);
    }
}

/// So many positions, evenly spread, the first at `offset`.
fn spread(positions: u64, count: u64, offset: u64) -> impl Iterator<Item = u64> {
    let count = count.min(positions);
    (0..count).map(move |turn| (turn * positions / count + offset) % positions)
}

/// The grammar bounds it far below what a machine can count.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
