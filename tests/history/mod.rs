//! Histories of profiles: what is recorded of what changes, what leaves with whom, and what it costs.

mod arrivals;
mod conflicts;
mod cost;
mod daily_facts;
#[cfg(feature = "failpoints")]
mod killed;
mod leaving;
pub(crate) mod questions;
mod rounds;
mod switching;
mod tenant;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::position::Scope;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::history::assert_history;
use crate::support::scripted::{Profiles, Scripted, scripted};

const HISTORY: [&str; 4] = [
    "BLUECONIC_SYNC__RESOURCES__PROFILES__HISTORY__SEGMENTS",
    "BLUECONIC_SYNC__RESOURCES__PROFILES__HISTORY__CONSENT",
    "BLUECONIC_SYNC__RESOURCES__PROFILES__HISTORY__LIFECYCLE_STAGES",
    "BLUECONIC_SYNC__RESOURCES__PROFILES__HISTORY__PROPERTIES",
];
const STAGES_READ: (&str, &str) = (
    "BLUECONIC_SYNC__RESOURCES__PROFILES__LIFECYCLE_STAGES",
    "with_profiles",
);
/// All histories, of the properties `tier` and `city`.
const ALL_ON: [(&str, &str); 5] = [
    STAGES_READ,
    (HISTORY[0], "true"),
    (HISTORY[1], "true"),
    (HISTORY[2], "true"),
    (HISTORY[3], "tier,city"),
];
/// The tables of intervals.
const TABLES: [&str; 4] = [
    "sync.segment_intervals",
    "sync.consent_intervals",
    "sync.stage_intervals",
    "sync.property_intervals",
];

/// A profile as a tenant holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Person {
    segments: BTreeSet<String>,
    consented: BTreeSet<String>,
    refused: BTreeSet<String>,
    /// Lifecycle and stage.
    stages: BTreeSet<(String, String)>,
    tier: Option<String>,
    city: Option<String>,
    /// What no history is made from.
    name: String,
    replaces: BTreeSet<String>,
}

impl Person {
    /// A person in these segments.
    fn within(segments: &[&str]) -> Self {
        Self {
            segments: segments.iter().map(|one| (*one).to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The profile as the tenant sends it.
    fn sent(&self, id: &str) -> Value {
        let segments = self.segments.iter().map(String::as_str);
        let segments = segments.chain(["allvisitors"]).map(|id| json!({ "id": id }));
        let properties = [("tier", &self.tier), ("city", &self.city)];
        let properties = properties
            .into_iter()
            .filter_map(|(id, value)| Some(json!({"id": id, "values": [value.as_ref()?]})));
        let name = json!({"id": "name", "values": [self.name]});
        let stages = self
            .stages
            .iter()
            .map(|(lifecycle, stage)| json!({"lifecycle": {"id": lifecycle}, "stage": {"id": stage}}));
        json!({
            "id": id,
            "properties": properties.chain([name]).collect::<Vec<_>>(),
            "segments": segments.collect::<Vec<_>>(),
            "consentedObjectives": self.consented,
            "refusedObjectives": self.refused,
            "lifecycleStages": stages.collect::<Vec<_>>(),
            "replaces": self.replaces,
        })
    }
}

fn settings(tenant: &str, database: &str, more: &[(&str, &str)]) -> Settings {
    let own = [
        ("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "20"),
    ];
    let all = [own.as_slice(), more].concat();
    load(None, &variables(tenant, database, &all), RESOURCES).unwrap()
}

/// A tenant, a database, and an engine.
struct Scene {
    held: Arc<Mutex<Profiles>>,
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
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

    /// Forty profiles in two segments each, in a stage, with consent and a tier, and histories that have begun.
    async fn recording() -> Self {
        let scene = Self::with(&ALL_ON).await;
        for number in 0..40 {
            scene.put(&format!("p{number:02}"), &settled(number));
        }
        scene.walk().await;
        scene
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

    fn put(&self, id: &str, person: &Person) {
        self.held.lock().unwrap().put(person.sent(id));
    }

    fn remove(&self, id: &str) {
        self.held.lock().unwrap().remove(id);
    }

    /// What a look-up of an id answers that is not listed.
    fn answers(&self, id: &str, answer: Value) {
        self.held.lock().unwrap().unlisted.insert(id.to_owned(), answer);
    }

    /// Walks over everything, and gives the run's row.
    async fn walk(&self) -> Value {
        let overrides = Overrides {
            scope: Some(Scope::Full),
            ..Overrides::default()
        };
        let run = run(&self.app, &self.settings, "profiles", overrides).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_history(&self.database).await;
        run
    }

    /// The rows of all tables of intervals.
    async fn stored(&self) -> i64 {
        let mut rows = 0;
        for table in TABLES {
            rows += self.database.count(table).await;
        }
        rows
    }

    /// The segments of a profile: id and, of the walks, the one that brought it and the one that ended it.
    async fn segments_of(&self, profile: &str) -> Vec<String> {
        let walk = |time: &str| {
            format!(
                "(select count(*) from sync.runs as r where r.resource = 'profiles' and r.started_at <= {time})"
            )
        };
        let rows = format!(
            "with own as materialized (
               select segment_id, valid_from, valid_to
               from blueconic.segment_membership_history where profile_id = '{profile}' and segment_id <> 'allvisitors'
             )
             select concat_ws(' ', segment_id, {}, '-', case when valid_to is not null then {} end)
             from own order by segment_id, valid_from",
            walk("valid_from"),
            walk("valid_to")
        );
        self.database.texts(&rows).await
    }
}

/// One of the profiles of [`Scene::recording`].
fn settled(number: usize) -> Person {
    Person {
        consented: BTreeSet::from(["mail".to_owned()]),
        stages: BTreeSet::from([("life".to_owned(), "new".to_owned())]),
        tier: Some("gold".to_owned()),
        ..Person::within(&["a", if number.is_multiple_of(2) { "even" } else { "odd" }])
    }
}
