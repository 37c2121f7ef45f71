//! The engine in the test's own process, with a registry of the test: descriptions that exist only there.

use std::sync::Arc;

use blueconic_sync::app::{self, App, Overrides};
use blueconic_sync::config::settings::Settings;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::description::{Description, Registry};
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::WhenHeld;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// The program's resources and one more list.
pub(crate) fn registry_with_list(list: Description) -> Registry {
    let lists = RESOURCES.lists().map(|(list, _)| *list).chain([list]);
    RESOURCES.with_lists(lists.collect::<Vec<_>>().leak())
}

/// Variables for a tenant and a database, with limits that suit a tenant on this machine. Of two values the later one wins.
pub(crate) fn variables(tenant: &str, database: &str, more: &[(&str, &str)]) -> Variables {
    [
        ("BLUECONIC_URL", tenant),
        ("BLUECONIC_CLIENT_ID", "app"),
        ("BLUECONIC_CLIENT_SECRET", "secret"),
        ("DATABASE_URL", database),
        ("BLUECONIC_SYNC__LIMITS__REQUESTS_PER_SECOND", "10000"),
        ("BLUECONIC_SYNC__LIMITS__BURST", "10000"),
        ("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "5s"),
    ]
    .iter()
    .chain(more)
    .map(|(name, value)| ((*name).to_owned(), (*value).into()))
    .collect()
}

/// Runs a resource once. Returns the run's row.
pub(crate) async fn run(app: &App, settings: &Settings, resource: &str, overrides: Overrides) -> Value {
    let mut entries = app.entries.iter();
    let entry = entries.find(|entry| entry.name() == resource).unwrap();
    let engine = app.engine(settings, None, Arc::new(NoListener));
    let spec = app::run_spec(settings, entry, overrides, WhenHeld::Wait);
    let report = engine.run(&spec, &CancellationToken::new()).await.unwrap();
    assert_ne!(report.ledger.status, RunStatus::Failed, "{:?}", report.fault);
    let run = app.store.run(report.run_id.unwrap()).await.unwrap();
    serde_json::to_value(run).unwrap()
}
