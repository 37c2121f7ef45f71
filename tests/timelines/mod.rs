//! Timelines of profiles: what is loaded, what stays when the tenant forgets it, what is recorded as missing, and what leaves with
//! whom.

mod adversarial;
mod gaps;
#[cfg(feature = "failpoints")]
mod killed;
mod leaving;
mod listed;
mod loading;
mod merges;
mod switching;
mod tenant;

use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::Time;
use blueconic_sync::model::position::Scope;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::scripted::{Answer, Asked, Profiles, Scripted, scripted};

/// The variables that name the settings of timelines.
const TIMELINE: &str = "BLUECONIC_SYNC__RESOURCES__PROFILES__TIMELINE";
const COUNT: &str = "BLUECONIC_SYNC__RESOURCES__PROFILES__TIMELINE_COUNT";

/// An event as the tenant sends it, on a day of October 2026.
fn event(event_type: &str, id: &str, day: u32, order: &str) -> Value {
    json!({
        "id": id,
        "eventTypeId": event_type,
        "date": format!("2026-10-{day:02}T10:00:00.000Z"),
        "source": "connection_1",
        "data": [{"id": "order_number", "values": [order]}],
    })
}

/// A profile as the tenant sends it.
fn profile(id: &str, name: &str, events: &[Value]) -> Value {
    json!({
        "id": id,
        "properties": [
            {"id": "lastmodifieddate", "values": ["1700000000000"]},
            {"id": "name", "values": [name]},
        ],
        "segments": [{"id": "allvisitors"}],
        "events": events,
    })
}

/// What a tenant holds.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    profiles: Profiles,
    /// It sends more events than a request asks for.
    ignores_counts: bool,
}

impl World {
    fn put(&self, id: &str, events: &[Value]) {
        self.put_raw(profile(id, "x", events));
    }

    fn put_raw(&self, profile: Value) {
        self.0.lock().unwrap().profiles.put(profile);
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap().profiles.remove(id);
    }

    fn answers(&self, id: &str, profile: Value) {
        let unlisted = &mut self.0.lock().unwrap().profiles.unlisted;
        unlisted.insert(id.to_owned(), profile);
    }

    fn ignores_counts(&self) {
        self.0.lock().unwrap().ignores_counts = true;
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let held = self.0.lock().unwrap();
        let expanded = |mut profile: Value| {
            let has_events = profile["events"].is_array();
            if asked.text("eventCount").is_empty() {
                profile.as_object_mut().unwrap().remove("events");
            } else if has_events && !held.ignores_counts {
                let events = profile["events"].as_array_mut().unwrap();
                events.truncate(asked.number("eventCount"));
            }
            profile
        };
        held.profiles.answer(asked, expanded)
    }

    async fn tenant(&self) -> Scripted {
        let world = self.clone();
        scripted(move |asked| world.answer(asked)).await
    }
}

fn settings(tenant: &str, database: &str, more: &[(&str, &str)]) -> Settings {
    let own = [
        ("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "20"),
        (TIMELINE, "with_profiles"),
    ];
    let all = [own.as_slice(), more].concat();
    load(None, &variables(tenant, database, &all), RESOURCES).unwrap()
}

/// A tenant, a database, and an engine that reads timelines.
struct Scene {
    world: World,
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let world = World::default();
        let tenant = world.tenant().await;
        let database = Database::empty().await;
        let settings = settings(&tenant.url, &database.url, more);
        let app = App::start(&settings).await.unwrap();
        Self {
            world,
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

    async fn run(&self, scope: Scope) -> Value {
        let overrides = Overrides {
            scope: Some(scope),
            ..Overrides::default()
        };
        let run = run(&self.app, &self.settings, "profiles", overrides).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["rows_rejected"], 0, "{run}");
        run
    }

    /// Walks over everything, and gives the run's row.
    async fn walk(&self) -> Value {
        self.run(Scope::Full).await
    }

    /// The events: profile, type, id, day.
    async fn events(&self) -> Vec<String> {
        events(&self.database).await
    }

    /// The gaps: profile, reason, number.
    async fn gaps(&self) -> Vec<String> {
        let rows =
            "select concat_ws(' ', profile_id, reason, events) from blueconic.timeline_gaps order by 1";
        self.database.texts(rows).await
    }

    /// As of when the timelines are complete.
    async fn complete_as_of(&self) -> Option<Time> {
        let as_of = "select complete_as_of from blueconic.freshness where resource = 'timeline_events'";
        let rows: Vec<(Time,)> = self.database.rows(as_of).await;
        rows.first().map(|row| row.0)
    }

    /// Makes the last complete walk an hour older. Dates of the tenant have whole seconds.
    async fn an_hour_ago(&self) -> Option<Time> {
        let earlier = "update sync.cursors set timelines_as_of = timelines_as_of - interval '1 hour'";
        self.database.run(earlier).await;
        self.complete_as_of().await
    }

    /// Which versions of rows there are. Rows that are written again have others.
    async fn versions(&self, table: &str) -> Vec<String> {
        let question = format!(
            "select tableoid::text || ctid::text || ' ' || xmin::text || ' ' || t::text from {table} as t order by 1"
        );
        self.database.texts(&question).await
    }

    async fn all_versions(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in [
            "blueconic.profiles",
            "blueconic.timeline_events",
            "blueconic.timeline_gaps",
            "sync.child_hashes",
        ] {
            all.extend(self.versions(table).await);
        }
        all
    }

    /// Walks, and nothing is written.
    async fn assert_nothing_to_write(&self) {
        let before = self.all_versions().await;
        let run = self.walk().await;
        assert_eq!(run["rows_unchanged"], run["rows_read"], "{run}");
        assert_eq!(run["rows_rehashed"], 0, "{run}");
        assert_eq!(self.all_versions().await, before);
    }

    async fn assert_no_orphans(&self) {
        assert_no_orphans(&self.database).await;
    }
}

async fn events(database: &Database) -> Vec<String> {
    let rows = "select concat_ws(' ', profile_id, event_type_id, event_id,
                  to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD'), data ->> 'order_number')
                from blueconic.timeline_events order by 1";
    database.texts(rows).await
}

async fn assert_no_orphans(database: &Database) {
    for (table, column) in [
        ("blueconic.timeline_events", "profile_id"),
        ("blueconic.timeline_gaps", "profile_id"),
        ("sync.child_hashes", "parent_id"),
    ] {
        let orphans = format!(
            "{table} as child where not exists (select from blueconic.profiles as p where p.id = child.{column})"
        );
        assert_eq!(database.count(&orphans).await, 0, "{table}");
    }
}
