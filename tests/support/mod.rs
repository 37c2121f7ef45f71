//! The harness: a private PostgreSQL, a database for each test, simulated tenants, the real binary, and the comparison
//! of tables with what a tenant holds. It knows the contract (commands, variables, tables), not the insides; only
//! `client`, `fixture` and `described` use the library's own client, store and engine, and `registry` lists the resources.

pub(crate) mod apart;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod coordinator;
pub(crate) mod copies;
pub(crate) mod database;
pub(crate) mod deaths;
pub(crate) mod described;
pub(crate) mod fixture;
pub(crate) mod forward_proxy;
pub(crate) mod gateway;
pub(crate) mod history;
pub(crate) mod hook;
pub(crate) mod oauth;
pub(crate) mod ports;
pub(crate) mod pretended;
pub(crate) mod program;
pub(crate) mod registry;
pub(crate) mod roles;
pub(crate) mod scripted;
pub(crate) mod servers;
pub(crate) mod sources;
pub(crate) mod tls;
pub(crate) mod traces;
pub(crate) mod truth;
pub(crate) mod typed;

use std::time::{Duration, Instant};

use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{Tenant, start};

use database::Database;
use program::Program;

/// A tenant, an empty database, and the binary that knows both.
pub(crate) struct Scene {
    pub(crate) tenant: Tenant,
    pub(crate) database: Database,
    pub(crate) program: Program,
}

/// Makes a scene.
pub(crate) async fn scene(settings: Settings) -> Scene {
    scene_in(Database::empty().await, settings).await
}

/// The same with a database of the test's own.
pub(crate) async fn scene_in(database: Database, settings: Settings) -> Scene {
    let tenant = start(settings.with_lists(registry::lists())).await.unwrap();
    let program = Program::new(tenant.url(), &database.url);
    Scene {
        tenant,
        database,
        program,
    }
}

/// A tenant of so many profiles with few properties, for fast tests.
pub(crate) fn small(profiles: u64) -> Settings {
    Settings {
        profiles,
        properties: 8,
        audit_events: 200,
        groups: 12,
        // Data is as of midnight, retention as of now: in the evening 29 days would exceed it.
        audit_history: Duration::from_hours(28 * 24),
        ..Settings::default()
    }
    .with_lists(registry::lists())
}

/// Repeats `look` until it returns a value.
pub(crate) async fn eventually<F, T>(what: &str, within: Duration, mut look: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            began.elapsed() < within,
            "not within {} s: {what}",
            within.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
