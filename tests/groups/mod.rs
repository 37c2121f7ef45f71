//! Groups: a list that is walked by cursor, with a listing for each group type. What is loaded, where a walk goes on, and what is asked
//! before a group is removed.

#[cfg(feature = "failpoints")]
mod killed;
mod sweeping;
mod tenant;
mod walking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use blueconic_sync::app::{self, App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::ledger::RunReport;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::WhenHeld;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::database::Database;
use crate::support::described::variables;
use crate::support::scripted::{Answer, Asked, Scripted, list, scripted};

/// What a tenant holds.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    types: Vec<&'static str>,
    /// The groups by type and id, with the value of their one property.
    groups: BTreeMap<(&'static str, String), String>,
    /// Groups that no listing has, and that are there.
    unlisted: BTreeSet<(&'static str, String)>,
    /// Every look-up answers 404.
    denies_look_ups: bool,
    /// The status in place of an answer, by type and cursor.
    refused: BTreeMap<(&'static str, &'static str), u16>,
    /// Each page leads to one more.
    endless: bool,
    /// No total is reported.
    untold: bool,
}

fn group(group_type: &str, id: &str, name: &str) -> Value {
    json!({
        "id": id,
        "groupTypeId": group_type,
        "creationDate": "2026-10-01T10:00:00.000Z",
        "lastModifiedDate": "2026-10-02T10:00:00.000Z",
        "properties": [{"id": format!("{group_type}_name"), "values": [name]}],
    })
}

/// A property of profiles, and those of two types of groups.
fn properties() -> [Value; 4] {
    [
        json!({"id": "name", "name": "Name"}),
        json!({"id": "name", "name": "Name of a company", "groupTypeId": "company"}),
        json!({"id": "size", "name": "Size", "groupTypeId": "household"}),
        json!({"id": "name", "name": "Name of a household", "groupTypeId": "household"}),
    ]
}

impl World {
    /// Two types with so many groups each.
    fn filled(each: u32) -> Self {
        let world = Self::default();
        world.change(|held| {
            held.types = vec!["company", "household"];
            for (group_type, number) in ["company", "household"]
                .iter()
                .flat_map(|one| (0..each).map(move |number| (*one, number)))
            {
                held.groups
                    .insert((group_type, format!("g{number:03}")), "Acme".to_owned());
            }
        });
        world
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.0.lock().unwrap());
    }

    fn put(&self, group_type: &'static str, id: &str, name: &str) {
        self.change(|held| {
            held.groups.insert((group_type, id.to_owned()), name.to_owned());
        });
    }

    fn remove(&self, group_type: &'static str, id: &str) {
        self.change(|held| {
            held.groups.remove(&(group_type, id.to_owned())).unwrap();
        });
    }

    fn unlist(&self, group_type: &'static str, id: &str) {
        self.change(|held| {
            held.unlisted.insert((group_type, id.to_owned()));
        });
    }

    async fn tenant(&self) -> Scripted {
        let world = self.clone();
        scripted(move |asked| world.0.lock().unwrap().answer(asked)).await
    }
}

impl Held {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.path == "/groupTypes" {
            let types: Vec<Value> = self
                .types
                .iter()
                .map(|id| json!({"id": id, "name": id}))
                .collect();
            return (200, json!({"groupTypes": types, "totalResults": types.len()}));
        }
        let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
        let known = |id: &str| self.types.iter().find(|one| **one == id).copied();
        match parts.as_slice() {
            // It heeds no filter.
            ["profileProperties"] => list("profileProperties", asked, &properties(), 1000, &4.into()),
            ["groups", of] => known(of).map_or((404, json!({})), |of| self.page(of, asked)),
            ["groups", of, id] => {
                let key = known(of).map(|of| (of, (*id).to_owned()));
                let found = key.and_then(|key| Some((key.clone(), self.groups.get(&key)?)));
                match found {
                    Some(((of, id), name)) if !self.denies_look_ups => (200, group(of, &id, name)),
                    _ => (404, json!({})),
                }
            }
            _ => (404, json!({})),
        }
    }

    fn page(&self, of: &'static str, asked: &Asked) -> Answer {
        let cursor = asked.text("cursor");
        if let Some(status) = self.refused.get(&(of, cursor)) {
            return (*status, json!({}));
        }
        let listed = self.groups.iter().filter(|(key, _)| key.0 == of);
        let listed: Vec<Value> = listed
            .filter(|(key, _)| !self.unlisted.contains(key))
            .map(|((of, id), name)| group(of, id, name))
            .collect();
        let start: usize = cursor.trim_start_matches('p').parse().unwrap_or(0);
        let end = (start + asked.number("count")).min(listed.len());
        let total = (!self.untold).then_some(listed.len());
        let next = (end < listed.len()).then(|| format!("p{end}"));
        let next = next.or_else(|| self.endless.then(|| "p0".to_owned()));
        (
            200,
            json!({"totalResults": total, "nextCursor": next, "groups": listed[start..end]}),
        )
    }
}

fn settings(tenant: &str, database: &str) -> Settings {
    let own = [
        ("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"),
        ("BLUECONIC_SYNC__RESOURCES__GROUPS__PAGE_SIZE", "20"),
        ("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "100ms"),
        ("BLUECONIC_SYNC__RETRY__INITIAL_DELAY", "20ms"),
    ];
    load(None, &variables(tenant, database, &own), RESOURCES).unwrap()
}

/// Runs resources one after the other; the last report.
async fn sync(app: &App, settings: &Settings, resources: &[&str], approved: Option<u64>) -> RunReport {
    let engine = app.engine(settings, approved, Arc::new(NoListener));
    let mut last = None;
    for resource in resources {
        let mut entries = app.entries.iter();
        let entry = entries.find(|entry| entry.name() == *resource).unwrap();
        let spec = app::run_spec(settings, entry, Overrides::default(), WhenHeld::Wait);
        last = engine.run(&spec, &CancellationToken::new()).await;
    }
    last.unwrap()
}

/// A tenant, a database, and an engine.
struct Scene {
    world: World,
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
    async fn of(world: World) -> Self {
        let tenant = world.tenant().await;
        let database = Database::empty().await;
        let settings = settings(&tenant.url, &database.url);
        let app = App::start(&settings).await.unwrap();
        Self {
            world,
            tenant,
            database,
            settings,
            app,
        }
    }

    /// A tenant with so many groups of each type, all of them loaded.
    async fn loaded(each: u32) -> Self {
        let scene = Self::of(World::filled(each)).await;
        scene.walk().await;
        scene
    }

    /// Reads group types, then groups, and gives the report on groups.
    async fn read(&self) -> RunReport {
        sync(&self.app, &self.settings, &["group_types", "groups"], None).await
    }

    /// The same, and all is well.
    async fn walk(&self) -> RunReport {
        let report = self.read().await;
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{report:?}");
        report
    }

    async fn groups(&self) -> Vec<String> {
        groups(&self.database).await
    }

    /// The pages of a type that were asked for since the last time.
    fn asked(&self, group_type: &str) -> Vec<String> {
        let asked = self.tenant.asked(&format!("/groups/{group_type}"));
        asked
            .iter()
            .map(|asked| asked.text("cursor").to_owned())
            .collect()
    }

    /// Walks, and nothing is written.
    async fn assert_nothing_to_write(&self) {
        let versions =
            "select ctid::text || ' ' || xmin::text || ' ' || t::text from blueconic.groups as t order by 1";
        let before = self.database.texts(versions).await;
        let report = self.walk().await;
        let counts = &report.ledger.counts;
        assert_eq!(counts.unchanged, counts.read, "{counts:?}");
        assert_eq!(self.database.texts(versions).await, before);
        assert_nothing_left(&self.database).await;
    }
}

/// All groups: type, id, name.
async fn groups(database: &Database) -> Vec<String> {
    let rows = "select concat_ws(' ', group_type_id, id, name) from blueconic.groups order by 1";
    database.texts(rows).await
}

/// A walk that has ended leaves nothing behind.
async fn assert_nothing_left(database: &Database) {
    for left in [
        "sync.walk_seen",
        "sync.walk_unseen",
        "sync.cursors where resource = 'groups' and position is not null",
    ] {
        assert_eq!(database.count(left).await, 0, "{left}");
    }
}
