//! Typed columns of profile properties: what they hold, how they follow the catalogue, and with whom they leave.

mod beside;
mod catalogue;
#[cfg(feature = "failpoints")]
mod killed;
mod switching;
mod values;

use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::ports::Observer as _;
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::ColumnStatus;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::scripted::{Profiles, Scripted, scripted};
use crate::support::typed::assert_typed_columns;

const REST: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES_JSON", "rest");
const OFF: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__PROFILES__TYPED_COLUMNS", "false");

/// A profile as the tenant sends it.
fn profile(id: &str, properties: &Value) -> Value {
    let properties = properties.as_object().unwrap().iter();
    let properties = properties.map(|(id, values)| json!({ "id": id, "values": values }));
    json!({
        "id": id,
        "properties": properties.collect::<Vec<_>>(),
        "segments": [{"id": "allvisitors"}],
    })
}

/// A tenant, a database, and an engine.
struct Scene {
    held: Arc<Mutex<Profiles>>,
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

fn settings(tenant: &str, database: &str, more: &[(&str, &str)]) -> Settings {
    let own = [
        ("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "20"),
    ];
    let all = [own.as_slice(), more].concat();
    load(None, &variables(tenant, database, &all), RESOURCES).unwrap()
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let held: Arc<Mutex<Profiles>> = Arc::default();
        let answering = Arc::clone(&held);
        let tenant = scripted(move |asked| answering.lock().unwrap().answer(asked, |one| one)).await;
        let database = Database::empty().await;
        let settings = settings(&tenant.url, &database.url, more);
        let app = App::start(&settings).await.unwrap();
        Self {
            held,
            tenant,
            database,
            settings,
            app,
        }
    }

    /// The same tenant and database with other settings.
    async fn restarted(self, more: &[(&str, &str)]) -> Self {
        let settings = settings(&self.tenant.url, &self.database.url, more);
        self.app.close().await.unwrap();
        let app = App::start(&settings).await.unwrap();
        Self {
            settings,
            app,
            ..self
        }
    }

    fn put(&self, id: &str, properties: &Value) {
        self.put_raw(profile(id, properties));
    }

    fn put_raw(&self, profile: Value) {
        self.held.lock().unwrap().put(profile);
    }

    /// Lists a property in the stored catalogue.
    async fn lists(&self, id: &str, filter_type: &str, merge_strategy: &str) {
        let quoted = |text: &str| text.replace('\'', "''");
        self.database
            .run(&format!(
                "insert into blueconic.profile_properties (id, name, filter_type, merge_strategy, synced_at)
                 values ('{0}', 'About {0}', '{filter_type}', '{merge_strategy}', now())
                 on conflict (id) do update set filter_type = excluded.filter_type, merge_strategy = excluded.merge_strategy",
                quoted(id)
            ))
            .await;
    }

    /// Walks over everything, and gives the run's row.
    async fn walk(&self) -> Value {
        let overrides = Overrides {
            scope: Some(Scope::Full),
            ..Overrides::default()
        };
        let run = run(&self.app, &self.settings, "profiles", overrides).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_typed_columns(&self.database).await;
        run
    }

    /// What `status` tells of the columns.
    async fn status(&self) -> ColumnStatus {
        self.app.store.status().await.unwrap().typed_columns.unwrap()
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        self.database.texts(sql).await
    }
}
