//! A resource fills a tree of tables: profiles with a child table that exists only here, made by its description and its
//! migration. What is loaded, what changes, and what leaves with a parent is seen here, and that no death leaves half of it.

#[cfg(feature = "failpoints")]
mod killed;
mod leaving;
mod lists;
mod loading;
mod readings;
mod wide;

use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::description::{Description, Reading, Registry};
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::table::{Child, Column, ColumnKind, Merge, Table};
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::described::{run, variables};
use crate::support::scripted::{Answer, Asked, Profiles, Scripted, scripted};

/// The description of the child table.
static DEVICES: Table = Table {
    name: "devices",
    columns: &[
        Column::new("profile_id", ColumnKind::Text).comment("The profile's id."),
        Column::new("id", ColumnKind::Text)
            .from("id")
            .comment("The device's id, unique within its profile."),
        Column::new("name", ColumnKind::Text)
            .from("name")
            .comment("Its name."),
        Column::new("maker", ColumnKind::Text)
            .from("made.by")
            .comment("Who made it."),
        Column::new("uses", ColumnKind::Bigint)
            .from("uses")
            .comment("How often it was used."),
        Column::new("first_seen_at", ColumnKind::Timestamptz)
            .from("firstSeen")
            .comment("When it was first seen."),
    ],
    key: &["profile_id", "id"],
    merge: Merge::Child,
    children: &[],
};

/// Its migration.
const MIGRATION: &str = "
create table blueconic.devices (
  profile_id text collate \"C\" not null,
  id text collate \"C\" not null,
  name text,
  maker text,
  uses bigint,
  first_seen_at timestamptz,
  synced_at timestamptz not null,
  primary key (profile_id, id)
);
comment on table blueconic.devices is 'Devices of profiles.';";

/// The program's resources, with child tables under profiles.
fn registry_with(children: &'static [Child]) -> Registry {
    let others = RESOURCES.others().map(|one| match one.reading {
        Reading::Walk(()) => Description {
            table: Box::leak(Box::new(with_children(one.table, children))),
            ..*one
        },
        _ => *one,
    });
    RESOURCES.with_others(others.collect::<Vec<_>>().leak())
}

/// A table with child tables.
fn with_children(table: &Table, children: &'static [Child]) -> Table {
    Table {
        name: table.name,
        columns: table.columns,
        key: table.key,
        merge: table.merge,
        children,
    }
}

/// The one description.
static CHILDREN: [Child; 1] = [Child::new(&DEVICES, "devices")];

fn registry() -> Registry {
    registry_with(&CHILDREN)
}

/// A device as the tenant sends it.
fn device(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "made": {"by": "Q"}, "uses": 3, "firstSeen": 1_700_000_000_000_i64, "other": [1]})
}

/// A profile as the tenant sends it.
fn profile(id: &str, name: &str, devices: &[Value]) -> Value {
    json!({
        "id": id,
        "properties": [
            {"id": "lastmodifieddate", "values": ["1700000000000"]},
            {"id": "name", "values": [name]},
        ],
        "segments": [{"id": "allvisitors"}],
        "devices": devices,
    })
}

/// What a tenant holds.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Profiles>>);

impl World {
    fn put(&self, id: &str, name: &str, devices: &[(&str, &str)]) {
        let devices: Vec<Value> = devices.iter().map(|(id, name)| device(id, name)).collect();
        self.put_raw(profile(id, name, &devices));
    }

    fn put_raw(&self, profile: Value) {
        self.0.lock().unwrap().put(profile);
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap().remove(id);
    }

    /// Its devices as the table should have them.
    fn devices(&self) -> Vec<String> {
        let profiles = &self.0.lock().unwrap().listed;
        let of = |(id, profile): (&String, &Value)| {
            let devices = profile["devices"].as_array().cloned().unwrap_or_default();
            let rows = devices.into_iter().map(|one| {
                let text = |name: &str| one[name].as_str().unwrap().to_owned();
                format!("{id}|{}|{}|{}", text("id"), text("name"), one["uses"])
            });
            let mut rows: Vec<String> = rows.collect();
            rows.sort_unstable();
            rows
        };
        profiles.iter().flat_map(of).collect()
    }

    fn answer(&self, asked: &Asked) -> Answer {
        self.0.lock().unwrap().answer(asked, |profile| profile)
    }

    /// A tenant that holds this.
    async fn tenant(&self) -> Scripted {
        let world = self.clone();
        scripted(move |asked| world.answer(asked)).await
    }
}

fn settings(tenant: &str, database: &str, registry: Registry) -> Settings {
    let more = [
        ("BLUECONIC_SYNC__SCHEDULE__LEASE_TTL", "2s"),
        ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "20"),
    ];
    load(None, &variables(tenant, database, &more), registry).unwrap()
}

/// A tenant, a database with the child tables, and an engine that knows both.
struct Scene {
    world: World,
    /// Answers as long as it lives.
    tenant: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
    async fn new() -> Self {
        Self::with(registry(), MIGRATION).await
    }

    async fn with(registry: Registry, migration: &str) -> Self {
        let world = World::default();
        let tenant = world.tenant().await;
        let database = Database::empty().await;
        let settings = settings(&tenant.url, &database.url, registry);
        let app = App::start(&settings).await.unwrap();
        database.run(migration).await;
        Self {
            world,
            tenant,
            database,
            settings,
            app,
        }
    }

    /// Walks over everything, and gives the run's row.
    async fn walk(&self) -> Value {
        let run = walk(&self.app, &self.settings).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["unexplained"], 0, "{run}");
        run
    }

    async fn devices(&self) -> Vec<String> {
        devices(&self.database).await
    }

    /// The table has what the tenant has, and nothing belongs to nobody.
    async fn assert_equal(&self) {
        assert_eq!(self.devices().await, self.world.devices());
        assert_no_orphans(&self.database).await;
    }

    /// Which versions of rows there are. Rows that are written again, with whatever they hold, have others.
    async fn versions(&self, table: &str) -> Vec<String> {
        let question =
            format!("select ctid::text || ' ' || xmin::text || ' ' || t::text from {table} as t order by 1");
        self.database.texts(&question).await
    }

    async fn all_versions(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in ["blueconic.profiles", "blueconic.devices", "sync.child_hashes"] {
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
}

async fn walk(app: &App, settings: &Settings) -> Value {
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    run(app, settings, "profiles", overrides).await
}

async fn devices(database: &Database) -> Vec<String> {
    let rows =
        "select concat_ws('|', profile_id, id, name, uses) from blueconic.devices order by profile_id, id";
    database.texts(rows).await
}

async fn assert_no_orphans(database: &Database) {
    for (table, column) in [
        ("blueconic.devices", "profile_id"),
        ("sync.child_hashes", "parent_id"),
    ] {
        let orphans = format!(
            "{table} as child where not exists (select from blueconic.profiles as p where p.id = child.{column})"
        );
        assert_eq!(database.count(&orphans).await, 0, "{table}");
    }
}
