//! The history of profiles' consent: whom it is asked of and when, what is stored of it, and what leaves with whom.

#[cfg(feature = "failpoints")]
mod killed;
mod leaving;
mod loading;
mod tenant;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::position::Scope;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::scripted::{Answer, Asked, Profiles, Scripted, list, scripted};

/// The settings of histories.
const ON: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__CONSENT_HISTORY__ENABLED", "true");
const PAGE_SIZE: &str = "BLUECONIC_SYNC__RESOURCES__CONSENT_HISTORY__PAGE_SIZE";

/// The path of histories, before the profile's id.
const PATH: &str = "/profileEvents/";

/// An event as the tenant sends it, on a day of October 2026.
fn event(day: u32, objective: &str) -> Value {
    json!({
        "date": format!("2026-10-{day:02}T10:00:00.000Z"),
        "type": "ConsentChanged",
        "properties": [
            {"id": "FromConsented", "values": []},
            {"id": "ToConsented", "values": [objective]},
            {"id": "ToLegislation", "values": ["GDPR"]},
            {"id": "Source", "values": ["REST"]},
        ],
    })
}

/// A profile as the tenant sends it.
fn profile(id: &str, name: &str) -> Value {
    json!({
        "id": id,
        "properties": [
            {"id": "lastmodifieddate", "values": ["1700000000000"]},
            {"id": "name", "values": [name]},
        ],
        "segments": [{"id": "allvisitors"}],
    })
}

/// What happens before a history is sent.
type Before = Box<dyn Fn(&str) + Send + Sync>;

/// What a tenant holds.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    profiles: Profiles,
    histories: BTreeMap<String, Vec<Value>>,
    /// Other answers to requests for histories.
    others: BTreeMap<String, Answer>,
    /// It sends every history from its start.
    ignores_starts: bool,
    /// It has no histories.
    has_none: bool,
}

impl World {
    /// A profile with the history of one event.
    fn put(&self, id: &str) {
        self.change(id, "x", &[event(1, "first")]);
    }

    /// A profile whose name tells whether it has changed, and its history.
    fn change(&self, id: &str, name: &str, events: &[Value]) {
        self.put_raw(profile(id, name));
        let mut held = self.0.lock().unwrap();
        held.histories.insert(id.to_owned(), events.to_vec());
    }

    fn put_raw(&self, profile: Value) {
        self.0.lock().unwrap().profiles.put(profile);
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap().profiles.remove(id);
    }

    fn answers(&self, id: &str, answer: Answer) {
        self.0.lock().unwrap().others.insert(id.to_owned(), answer);
    }

    fn answers_again(&self, id: &str) {
        self.0.lock().unwrap().others.remove(id);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let held = self.0.lock().unwrap();
        let Some(id) = asked.path.strip_prefix(PATH) else {
            return held.profiles.answer(asked, |profile| profile);
        };
        if let Some(answer) = held.others.get(id) {
            return answer.clone();
        }
        let events = held
            .histories
            .get(id)
            .filter(|_| held.profiles.listed.contains_key(id));
        match events.filter(|_| !held.has_none) {
            None => (
                404,
                json!({"code": "404.001", "message": "The profile doesn't exist."}),
            ),
            Some(events) if held.ignores_starts => {
                (200, json!({"totalResults": events.len() + 1, "events": events}))
            }
            Some(events) => list("events", asked, events, 1000, &events.len().into()),
        }
    }

    async fn tenant(&self) -> Scripted {
        self.tenant_that(Box::new(|_| {})).await
    }

    async fn tenant_that(&self, before: Before) -> Scripted {
        let world = self.clone();
        scripted(move |asked| {
            if let Some(id) = asked.path.strip_prefix(PATH) {
                before(id);
            }
            world.answer(asked)
        })
        .await
    }
}

fn settings(tenant: &str, database: &str, more: &[(&str, &str)]) -> Settings {
    let own = [("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"), ON];
    let all = [own.as_slice(), more].concat();
    load(None, &variables(tenant, database, &all), RESOURCES).unwrap()
}

/// A tenant, a database, and an engine that reads histories.
struct Scene {
    world: World,
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
    /// Profiles `p00` to `p39` with one event each, which are stored without their histories.
    async fn filled(more: &[(&str, &str)], before: Before) -> Self {
        let world = World::default();
        for number in 0..40 {
            world.put(&format!("p{number:02}"));
        }
        let tenant = world.tenant_that(before).await;
        let database = Database::empty().await;
        let settings = settings(&tenant.url, &database.url, more);
        let app = App::start(&settings).await.unwrap();
        let scene = Self {
            world,
            tenant,
            database,
            settings,
            app,
        };
        scene.walk().await;
        scene
    }

    async fn new() -> Self {
        Self::filled(&[], Box::new(|_| {})).await
    }

    /// Walks over the profiles.
    async fn walk(&self) -> Value {
        let overrides = Overrides {
            scope: Some(Scope::Full),
            ..Overrides::default()
        };
        let run = run(&self.app, &self.settings, "profiles", overrides).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        run
    }

    /// Reads histories, and gives the run's row.
    async fn read(&self) -> Value {
        run(&self.app, &self.settings, "consent_history", Overrides::default()).await
    }

    /// Reads histories, which all succeed.
    async fn read_well(&self) -> Value {
        let run = self.read().await;
        assert_eq!(run["status"], "succeeded", "{run}");
        run
    }

    /// The ids of whom histories were asked for since the last call, in order.
    fn asked_since(&self, before: usize) -> Vec<String> {
        let asked = self.tenant.asked("");
        let asked = asked.iter().filter_map(|asked| asked.path.strip_prefix(PATH));
        let mut ids: Vec<String> = asked.skip(before).map(str::to_owned).collect();
        ids.sort();
        ids
    }

    /// How many requests for histories there were.
    fn requests(&self) -> usize {
        self.asked_since(0).len()
    }

    async fn events(&self) -> Vec<String> {
        events(&self.database).await
    }

    /// The rows of a profile's history: events, not stored, detail.
    async fn history(&self, id: &str) -> Vec<String> {
        let rows = format!(
            "select concat_ws(' ', events, not_stored, detail) from blueconic.consent_history where profile_id = '{id}'"
        );
        self.database.texts(&rows).await
    }

    async fn assert_no_orphans(&self) {
        assert_no_orphans(&self.database).await;
    }
}

/// The events: profile, day, number, what was consented to.
async fn events(database: &Database) -> Vec<String> {
    let rows = "select concat_ws(' ', profile_id, to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD'), ordinal, to_consented)
                from blueconic.consent_events order by 1";
    database.texts(rows).await
}

async fn assert_no_orphans(database: &Database) {
    for table in ["consent_events", "consent_history"] {
        let orphans = format!(
            "blueconic.{table} as child
             where not exists (select from blueconic.profiles as p where p.id = child.profile_id)"
        );
        assert_eq!(database.count(&orphans).await, 0, "{table}");
    }
}
