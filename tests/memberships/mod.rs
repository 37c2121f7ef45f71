//! Groups and lifecycle stages of profiles: what is loaded, what the next reading replaces, and what leaves with whom.

#[cfg(feature = "failpoints")]
mod killed;
mod leaving;
mod loading;
mod tenant;

use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::position::Scope;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::scripted::{Answer, Asked, Profiles, Scripted, scripted};

/// The settings of groups and stages.
const BOTH: [&str; 2] = [
    "BLUECONIC_SYNC__RESOURCES__PROFILES__GROUPS",
    "BLUECONIC_SYNC__RESOURCES__PROFILES__LIFECYCLE_STAGES",
];
const ON: [(&str, &str); 2] = [(BOTH[0], "with_profiles"), (BOTH[1], "with_profiles")];
const OFF: [(&str, &str); 2] = [(BOTH[0], "off"), (BOTH[1], "off")];

/// A profile as the tenant sends it, in these groups, each a type with an id, and in these stages, each a lifecycle with a stage.
fn profile(id: &str, name: &str, groups: &[(&str, &str)], stages: &[(&str, &str)]) -> Value {
    let group = |(group_type, id): &(&str, &str)| {
        json!({
            "id": id,
            "groupTypeId": group_type,
            "creationDate": "2026-10-01T10:00:00.000Z",
            "properties": [{"id": "company_name", "values": ["Acme"]}],
        })
    };
    let stage = |(lifecycle, stage): &(&str, &str)| {
        json!({
            "lifecycle": {"id": lifecycle, "name": "Customers"},
            "stage": {"id": stage, "name": "Loyal"},
        })
    };
    json!({
        "id": id,
        "properties": [
            {"id": "lastmodifieddate", "values": ["1700000000000"]},
            {"id": "name", "values": [name]},
        ],
        "segments": [{"id": "allvisitors"}],
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "lifecycleStages": stages.iter().map(stage).collect::<Vec<_>>(),
    })
}

/// What a tenant holds.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Profiles>>);

impl World {
    fn put(&self, id: &str, groups: &[(&str, &str)], stages: &[(&str, &str)]) {
        self.put_raw(profile(id, "x", groups, stages));
    }

    fn put_raw(&self, profile: Value) {
        self.0.lock().unwrap().put(profile);
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap().remove(id);
    }

    fn answers(&self, id: &str, profile: Value) {
        self.0.lock().unwrap().unlisted.insert(id.to_owned(), profile);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        // No look-up brings groups.
        let expanded = |mut profile: Value| {
            if asked.text("expand") != "profiles.profile.groups" {
                profile.as_object_mut().unwrap().remove("groups");
            }
            profile
        };
        self.0.lock().unwrap().answer(asked, expanded)
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
    ];
    let all = [own.as_slice(), more].concat();
    load(None, &variables(tenant, database, &all), RESOURCES).unwrap()
}

/// A tenant, a database, and an engine that reads groups and stages.
struct Scene {
    world: World,
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
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

    /// Forty profiles, so that few of them may go, each in a company, a household and a stage.
    async fn filled() -> Self {
        let scene = Self::with(&ON).await;
        scene.fill();
        scene.walk().await;
        scene
    }

    fn fill(&self) {
        for number in 0..40 {
            let groups = [("company", "c1"), ("household", "h1")];
            self.world
                .put(&format!("p{number:02}"), &groups, &[("life", "new")]);
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

    /// Walks over everything, and gives the run's row.
    async fn walk(&self) -> Value {
        let overrides = Overrides {
            scope: Some(Scope::Full),
            ..Overrides::default()
        };
        let run = run(&self.app, &self.settings, "profiles", overrides).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["rows_rejected"], 0, "{run}");
        run
    }

    /// What a profile is in.
    async fn of(&self, id: &str) -> Vec<String> {
        let mut all = memberships(&self.database).await;
        all.retain(|row| row.starts_with(&format!("{id} ")));
        all
    }

    /// Which versions of rows there are. Rows that are written again have others.
    async fn versions(&self, tables: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        for table in tables {
            let question = format!(
                "select ctid::text || ' ' || xmin::text || ' ' || t::text from {table} as t order by 1"
            );
            all.extend(self.database.texts(&question).await);
        }
        all
    }

    /// Walks, and nothing is written.
    async fn assert_nothing_to_write(&self) {
        let tables = [
            "blueconic.profiles",
            "blueconic.profile_groups",
            "blueconic.profile_lifecycle_stages",
            "sync.child_hashes",
        ];
        let before = self.versions(&tables).await;
        let run = self.walk().await;
        assert_eq!(run["rows_unchanged"], run["rows_read"], "{run}");
        assert_eq!(run["rows_rehashed"], 0, "{run}");
        assert_eq!(self.versions(&tables).await, before);
    }
}

/// All memberships: profile, group with its type or stage with its lifecycle.
async fn memberships(database: &Database) -> Vec<String> {
    let rows = "select concat_ws(' ', profile_id, group_type_id, group_id) from blueconic.profile_groups
                union all
                select concat_ws(' ', profile_id, lifecycle_id, stage_id) from blueconic.profile_lifecycle_stages
                order by 1";
    database.texts(rows).await
}

async fn assert_no_orphans(database: &Database) {
    for (table, column) in [
        ("blueconic.profile_groups", "profile_id"),
        ("blueconic.profile_lifecycle_stages", "profile_id"),
        ("sync.child_hashes", "parent_id"),
    ] {
        let orphans = format!(
            "{table} as child where not exists (select from blueconic.profiles as p where p.id = child.{column})"
        );
        assert_eq!(database.count(&orphans).await, 0, "{table}");
    }
}
