//! Personal data under control: what rules hash and drop is nowhere in the database, also where it was stored before.

#[cfg(feature = "failpoints")]
mod killed;
mod refused;
mod roles;
mod stored;
mod turning;

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::position::Scope;
use blueconic_sync::resources::registry::RESOURCES;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::scripted::{Profiles, Scripted, scripted};
use crate::support::traces::traces;
use crate::support::truth::assert_ledgers_add_up;
use crate::support::typed::assert_typed_columns;

const RULES: &str = "BLUECONIC_SYNC__RESOURCES__PROFILES__PERSONAL_DATA";
const KEY: [u8; 32] = *b"a key that only these tests have";

/// How profiles are stored: properties as JSON with columns beside, the rest as JSON, JSON alone.
const FORMS: [&[(&str, &str)]; 3] = [
    &[],
    &[("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES_JSON", "rest")],
    &[("BLUECONIC_SYNC__RESOURCES__PROFILES__TYPED_COLUMNS", "false")],
];

/// The hash of a value.
fn hash(value: &str) -> String {
    let mut code = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    code.update(value.as_bytes());
    hex::encode(code.finalize().into_bytes())
}

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

fn settings(tenant: &str, database: &str, rules: &str, more: &[(&str, &str)]) -> Settings {
    let key = STANDARD.encode(KEY);
    let own = [
        ("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "1000"),
        ("BLUECONIC_SYNC_HASH_KEY", key.as_str()),
        (RULES, rules),
    ];
    let all = [own.as_slice(), more].concat();
    load(None, &variables(tenant, database, &all), RESOURCES).unwrap()
}

impl Scene {
    async fn new(rules: &str, more: &[(&str, &str)]) -> Self {
        Self::on(Database::empty().await, rules, more).await
    }

    async fn on(database: Database, rules: &str, more: &[(&str, &str)]) -> Self {
        let held: Arc<Mutex<Profiles>> = Arc::default();
        let answering = Arc::clone(&held);
        let tenant = scripted(move |asked| answering.lock().unwrap().answer(asked, |one| one)).await;
        let settings = settings(&tenant.url, &database.url, rules, more);
        let app = App::start(&settings).await.unwrap();
        Self {
            held,
            tenant,
            database,
            settings,
            app,
        }
    }

    /// The same tenant and database with other rules.
    async fn restarted(self, rules: &str, more: &[(&str, &str)]) -> Self {
        let settings = settings(&self.tenant.url, &self.database.url, rules, more);
        self.app.close().await.unwrap();
        let app = App::start(&settings).await.unwrap();
        Self {
            settings,
            app,
            ..self
        }
    }

    fn put(&self, id: &str, properties: &Value) {
        self.held.lock().unwrap().put(profile(id, properties));
    }

    /// Lists a property in the stored catalogue.
    async fn lists(&self, id: &str, filter_type: &str, sensitivity: &str) {
        self.database
            .run(&format!(
                "insert into blueconic.profile_properties (id, filter_type, data_sensitivity, indexed, synced_at)
                 values ('{id}', '{filter_type}', '{sensitivity}', '{filter_type}' = 'EMAIL', now())
                 on conflict (id) do update set data_sensitivity = excluded.data_sensitivity"
            ))
            .await;
    }

    /// Reads all profiles, or (`Scope::Increment`) what the tenant lists as changed. Gives the run's row.
    async fn read(&self, scope: Scope) -> Value {
        let overrides = Overrides {
            scope: Some(scope),
            ..Overrides::default()
        };
        let run = run(&self.app, &self.settings, "profiles", overrides).await;
        assert_typed_columns(&self.database).await;
        assert_ledgers_add_up(&self.database).await;
        run
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        self.database.texts(sql).await
    }

    /// Fails if a value is anywhere in the database.
    async fn assert_nowhere(&self, values: &[&str]) {
        for value in values {
            let traces = traces(&self.database, value).await;
            assert!(traces.is_empty(), "{value}: {traces:#?}");
        }
    }
}
