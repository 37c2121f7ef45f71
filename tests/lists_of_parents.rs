//! Lists that have a listing for each row of another list, lists that keep what the tenant no longer lists, and lists that a
//! tenant lacks or denies. The descriptions exist only here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use blueconic_sync::app::{self, App, Overrides};
use blueconic_sync::commands::Exit;
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::description::{Description, Each, List, Named, Parents, Reading, Registry};
use blueconic_sync::model::ledger::RunReport;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::model::table::{Column, ColumnKind, Merge, Table};
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::WhenHeld;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::database::Database;
use crate::support::described::variables;
use crate::support::registry::{of_urls, urls};
use crate::support::scripted::{Asked, Scripted, list, scripted};

const GADGETS: Description = Description {
    title: "Gadgets",
    holds: "Gadgets.",
    path: "/gadgets",
    arrays: &["gadgets"],
    oauth_scope: "read:gadgets",
    table: &Table {
        name: "gadgets",
        columns: &[
            Column::new("id", ColumnKind::Text).from("id"),
            Column::new("body", ColumnKind::Jsonb).rest(),
        ],
        key: &["id"],
        merge: Merge::Upsert,
        children: &[],
    },
    reading: Reading::List(List {
        schedule: "0 * * * *",
        ..List::PLAIN
    }),
};

const PARTS: Description = Description {
    title: "Parts",
    holds: "Parts.",
    path: "/gadgets/{parent}/parts",
    arrays: &["parts"],
    table: &Table {
        name: "parts",
        columns: &[
            Column::new("gadget_id", ColumnKind::Text),
            Column::new("part_id", ColumnKind::Text).from("partId"),
            Column::new("weight", ColumnKind::Int).from("weight"),
        ],
        key: &["gadget_id", "part_id"],
        merge: Merge::Upsert,
        children: &[],
    },
    reading: Reading::List(List {
        schedule: "1 * * * *",
        page_size: 10,
        each: Some(Each {
            parents: Parents::Stored(GADGETS.table),
            named: Named::InPath,
        }),
        ..List::PLAIN
    }),
    ..GADGETS
};

const REPAIRS: Description = Description {
    title: "Repairs",
    holds: "Repairs.",
    path: "/repairs",
    arrays: &["repairs"],
    table: &Table {
        name: "repairs",
        columns: &[
            Column::new("gadget_id", ColumnKind::Text),
            Column::new("id", ColumnKind::Text).from("id"),
        ],
        key: &["gadget_id", "id"],
        merge: Merge::Upsert,
        children: &[],
    },
    reading: Reading::List(List {
        schedule: "2 * * * *",
        paged: false,
        keeps: true,
        each: Some(Each {
            parents: Parents::Stored(GADGETS.table),
            named: Named::ByParameter("gadget"),
        }),
        ..List::PLAIN
    }),
    ..GADGETS
};

const MIGRATION: &str = "
create table blueconic.gadgets (
  id text collate \"C\" primary key, body jsonb not null default '{}', synced_at timestamptz not null);
create table blueconic.parts (
  gadget_id text collate \"C\" not null, part_id text collate \"C\" not null, weight integer, synced_at timestamptz not null,
  primary key (gadget_id, part_id));
create table blueconic.repairs (
  gadget_id text collate \"C\" not null, id text collate \"C\" not null, synced_at timestamptz not null,
  primary key (gadget_id, id));";

fn registry() -> Registry {
    let lists = RESOURCES.lists().map(|(list, _)| *list);
    let lists = lists.chain([GADGETS, PARTS, REPAIRS]);
    RESOURCES.with_lists(lists.collect::<Vec<_>>().leak())
}

/// The parts of a gadget: ids and weights.
type Parts = Vec<(&'static str, u32)>;

/// What the tenant answers by path: a status, and the elements with the reported total.
#[derive(Default)]
struct Tenant {
    gadgets: Vec<&'static str>,
    /// The parts and the reported total of each gadget.
    parts: BTreeMap<&'static str, (Parts, usize)>,
    repairs: BTreeMap<&'static str, Vec<&'static str>>,
    /// In place of an answer.
    refused: BTreeMap<&'static str, u16>,
}

impl Tenant {
    fn answer(&self, asked: &Asked) -> (u16, Value) {
        if let Some(status) = self.refused.get(asked.path.as_str()) {
            return (*status, json!({"code": status}));
        }
        let text = |id: &&str| json!({ "id": id, "maker": {"name": "Q"} });
        match asked.path.as_str() {
            "/gadgets" => {
                let gadgets: Vec<Value> = self.gadgets.iter().map(text).collect();
                list("gadgets", asked, &gadgets, 1000, &gadgets.len().into())
            }
            "/repairs" => {
                let repairs = self.repairs.get(asked.text("gadget")).into_iter().flatten();
                (200, json!({"repairs": repairs.map(text).collect::<Vec<_>>()}))
            }
            path => {
                let gadget = path
                    .strip_prefix("/gadgets/")
                    .and_then(|rest| rest.strip_suffix("/parts"));
                let Some((parts, total)) = gadget.and_then(|gadget| self.parts.get(gadget)) else {
                    return (404, json!({}));
                };
                let part = |(id, weight): &(&str, u32)| json!({"partId": id, "weight": weight});
                let parts: Vec<Value> = parts.iter().map(part).collect();
                list("parts", asked, &parts, 10, &(*total).into())
            }
        }
    }

    fn has(&mut self, gadget: &'static str, parts: &[(&'static str, u32)]) {
        self.parts.insert(gadget, (parts.to_vec(), parts.len()));
    }
}

/// A program before such a tenant.
struct Scene {
    tenant: Arc<Mutex<Tenant>>,
    scripted: Scripted,
    database: Database,
    settings: Settings,
    app: App,
}

impl Scene {
    async fn of(tenant: Tenant) -> Self {
        let tenant = Arc::new(Mutex::new(tenant));
        let answering = Arc::clone(&tenant);
        let scripted = scripted(move |asked| answering.lock().unwrap().answer(asked)).await;
        let database = Database::empty().await;
        let variables = variables(&scripted.url, &database.url, &[]);
        let settings = load(None, &variables, registry()).unwrap();
        let app = App::start(&settings).await.unwrap();
        database.run(MIGRATION).await;
        Self {
            tenant,
            scripted,
            database,
            settings,
            app,
        }
    }

    /// Changes the tenant.
    fn change(&self, change: impl FnOnce(&mut Tenant)) {
        change(&mut self.tenant.lock().unwrap());
    }

    async fn report(&self, name: &str, is_named: bool) -> RunReport {
        let mut entries = self.app.entries.iter();
        let entry = entries.find(|entry| entry.name() == name).unwrap();
        let engine = self.app.engine(&self.settings, None, Arc::new(NoListener));
        let overrides = Overrides {
            is_named,
            ..Overrides::default()
        };
        let spec = app::run_spec(&self.settings, entry, overrides, WhenHeld::Wait);
        engine.run(&spec, &CancellationToken::new()).await.unwrap()
    }

    /// Reads a list; returns the numbers of inserted, updated and removed rows.
    async fn read(&self, name: &str) -> [u64; 3] {
        let report = self.report(name, false).await;
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{:?}", report.ledger);
        let counts = report.ledger.counts;
        [counts.inserted, counts.updated, counts.removed]
    }

    async fn parts(&self) -> Vec<String> {
        let rows = "select concat_ws('|', gadget_id, part_id, weight) from blueconic.parts order by gadget_id, part_id";
        self.database.texts(rows).await
    }

    async fn repairs(&self) -> Vec<String> {
        let rows = "select concat_ws('|', gadget_id, id) from blueconic.repairs order by gadget_id, id";
        self.database.texts(rows).await
    }

    async fn stop(self) {
        self.app.close().await.unwrap();
    }
}

/// Two gadgets: their ids need an encoding in a path, and their parts have the same ids.
fn two_gadgets() -> Tenant {
    let mut tenant = Tenant {
        gadgets: vec!["a b", "c"],
        ..Tenant::default()
    };
    tenant.has("a%20b", &[("x", 1), ("y", 2)]);
    tenant.has("c", &[("x", 3)]);
    tenant.repairs = BTreeMap::from([("a b", vec!["1", "1", "2"]), ("c", vec![])]);
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn each_parent_has_a_listing_and_what_no_listing_has_is_removed() {
    let scene = Scene::of(two_gadgets()).await;
    let before = scene.report("parts", false).await;
    assert_eq!(
        before.ledger.status,
        RunStatus::Skipped,
        "the gadgets were never read"
    );
    assert!(before.ledger.error.unwrap().contains("`gadgets`"));

    assert_eq!(scene.read("gadgets").await, [2, 0, 0]);
    let body = "select count(*) from blueconic.gadgets where body = '{\"maker\": {\"name\": \"Q\"}}'";
    assert_eq!(scene.database.one::<i64>(body).await, 2);
    assert_eq!(scene.read("parts").await, [3, 0, 0]);
    assert_eq!(scene.parts().await, ["a b|x|1", "a b|y|2", "c|x|3"]);
    assert_eq!(
        scene.scripted.asked("/parts").len(),
        2,
        "a request for each gadget"
    );
    assert_eq!(scene.read("parts").await, [0, 0, 0]);
    assert_eq!(scene.scripted.asked("/parts").len(), 4);

    scene.change(|tenant| {
        tenant.has("a%20b", &[("y", 2)]);
        tenant.has("c", &[("x", 4), ("z", 5)]);
    });
    assert_eq!(scene.read("parts").await, [1, 1, 1]);
    assert_eq!(scene.parts().await, ["a b|y|2", "c|x|4", "c|z|5"]);

    // The parts of a gadget that is gone go with it.
    scene.change(|tenant| {
        tenant.gadgets = vec!["c"];
        tenant.parts.remove("a%20b");
    });
    assert_eq!(scene.read("gadgets").await, [0, 0, 1]);
    assert_eq!(scene.read("parts").await, [0, 0, 1]);
    assert_eq!(scene.parts().await, ["c|x|4", "c|z|5"]);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_while_one_listing_does_not_add_up() {
    let scene = Scene::of(two_gadgets()).await;
    scene.read("gadgets").await;
    scene.read("parts").await;
    scene.change(|tenant| {
        tenant.has("a%20b", &[("y", 2)]);
        tenant.parts.insert("c", (vec![("x", 3)], 2));
    });
    let report = scene.report("parts", false).await;
    assert_eq!(report.ledger.status, RunStatus::Partial, "{:?}", report.ledger);
    assert_eq!(report.ledger.counts.removed, 0);
    assert_eq!(scene.parts().await.len(), 3);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_keeps_its_rows_removes_none_and_a_listing_without_pages_takes_one_request() {
    let scene = Scene::of(two_gadgets()).await;
    scene.read("gadgets").await;
    assert_eq!(
        scene.read("repairs").await,
        [2, 0, 0],
        "one of the two equal ones"
    );
    let asked = scene.scripted.asked("/repairs");
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| asked.text("startIndex").is_empty()));
    scene.change(|tenant| {
        tenant.repairs = BTreeMap::from([("a b", vec!["3"])]);
    });
    assert_eq!(scene.read("repairs").await, [1, 0, 0]);
    assert_eq!(scene.repairs().await, ["a b|1", "a b|2", "a b|3"]);
    // Also those of a gadget that is gone.
    scene.change(|tenant| tenant.gadgets = vec!["c"]);
    scene.read("gadgets").await;
    scene.read("repairs").await;
    assert_eq!(scene.repairs().await.len(), 3);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_gone_meanwhile_has_no_elements() {
    let scene = Scene::of(two_gadgets()).await;
    scene.read("gadgets").await;
    scene.read("parts").await;
    scene.change(|tenant| {
        tenant.parts.remove("c");
    });
    assert_eq!(scene.read("parts").await, [0, 0, 1]);
    assert_eq!(scene.parts().await, ["a b|x|1", "a b|y|2"]);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_tenant_lacks_is_skipped_and_its_rows_stay() {
    let scene = Scene::of(two_gadgets()).await;
    scene.read("gadgets").await;
    scene.read("parts").await;
    scene.change(|tenant| {
        tenant.parts.clear();
        tenant.refused.insert("/gadgets", 404);
    });
    for (name, is_named) in [("parts", false), ("gadgets", false), ("gadgets", true)] {
        let report = scene.report(name, is_named).await;
        assert_eq!(report.ledger.status, RunStatus::Skipped, "{:?}", report.ledger);
        assert_eq!(Exit::of_run(&report), Exit::Done);
    }
    assert_eq!(scene.parts().await.len(), 3);
    assert_eq!(scene.database.count("blueconic.gadgets").await, 2);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_list_is_skipped_unless_somebody_named_it() {
    let scene = Scene::of(two_gadgets()).await;
    scene.change(|tenant| {
        tenant.refused.insert("/gadgets", 403);
    });
    let report = scene.report("gadgets", false).await;
    assert_eq!(report.ledger.status, RunStatus::Skipped, "{:?}", report.ledger);
    assert!(report.ledger.error.as_deref().unwrap().contains("read:gadgets"));
    assert_eq!(Exit::of_run(&report), Exit::Done);
    let named = scene.report("gadgets", true).await;
    assert_eq!(named.ledger.status, RunStatus::Failed, "{:?}", named.ledger);
    assert_eq!(Exit::of_run(&named), Exit::Partial);
    // The lists that everything else needs are never skipped.
    scene.change(|tenant| {
        tenant.refused.insert("/segments", 403);
    });
    let segments = scene.report("segments", false).await;
    assert_eq!(segments.ledger.status, RunStatus::Failed, "{:?}", segments.ledger);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_without_a_known_array_is_a_fault_and_no_empty_list() {
    let scene = Scene::of(two_gadgets()).await;
    scene.read("gadgets").await;
    let renamed = scripted(|asked| match asked.path.as_str() {
        "/gadgets" => (200, json!({"gizmos": [], "totalResults": 0})),
        _ => (404, json!({})),
    })
    .await;
    let database = &scene.database;
    let settings = load(None, &variables(&renamed.url, &database.url, &[]), registry()).unwrap();
    database.run("delete from sync.tenant").await;
    let app = App::start(&settings).await.unwrap();
    let mut entries = app.entries.iter();
    let entry = entries.find(|entry| entry.name() == "gadgets").unwrap();
    let engine = app.engine(&settings, None, Arc::new(NoListener));
    let spec = app::run_spec(&settings, entry, Overrides::default(), WhenHeld::Wait);
    let report = engine.run(&spec, &CancellationToken::new()).await.unwrap();
    assert_eq!(report.ledger.status, RunStatus::Failed, "{:?}", report.ledger);
    assert!(report.ledger.error.unwrap().contains("gadgets"));
    assert_eq!(database.count("blueconic.gadgets").await, 2);
    app.close().await.unwrap();
    scene.stop().await;
}

/// Objects of each list of the program that has no parents and is no parent.
const MANY: usize = 3_400;
/// Objects of each parent's list, and of each listing of a parent.
const FEW: usize = 25;

/// The elements of a listing.
fn elements(list: &Description, parent: &str, count: usize) -> Vec<Value> {
    let id = list.table.key.last().unwrap();
    let mut columns = list.table.columns.iter();
    let id = columns.find(|column| column.name == *id).unwrap().source;
    let owner = list.as_list().unwrap().owner.filter(|_| !parent.is_empty());
    let element = |number: usize| {
        let mut element = json!({
            id: format!("{}-{number:05}", list.name()),
            "name": format!("Number {number} of {parent}"),
            "description": "An object.",
            "creationDate": "2026-01-01T00:00:00.000Z",
            "pluginId": "plugin",
            "lastRun": {"runId": "r", "state": "FINISHED"},
        });
        if let Some(owner) = owner {
            element[owner] = parent.into();
        }
        element
    };
    (0..count).map(element).collect()
}

/// A tenant with some 40,000 objects in the lists of the program.
fn of_many_objects(asked: &Asked) -> (u16, Value) {
    let each = |list: &Description| list.as_list().unwrap().each;
    let is_parent = |list: &Description| {
        let mut lists = RESOURCES.lists();
        lists.any(|(_, other)| other.parents().is_some_and(|parents| parents.name == list.name()))
    };
    // Of two lists at one path, the one with parents is named by its parameter.
    let mut lists: Vec<&Description> = RESOURCES.lists().map(|(list, _)| list).collect();
    lists.sort_by_key(|list| each(list).is_none());
    for described in lists {
        let (before, after) = described
            .path
            .split_once("{parent}")
            .unwrap_or((described.path, ""));
        let parent = asked
            .path
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        let (parent, count) = match (each(described).map(|each| each.named), parent) {
            (Some(Named::InPath), Some(parent)) if !parent.is_empty() && !parent.contains('/') => {
                (parent, FEW)
            }
            (Some(Named::ByParameter(name)), Some("")) if !asked.text(name).is_empty() => {
                (asked.text(name), FEW)
            }
            (Some(Named::ByDay(by)), Some("")) => (asked.text(by.days[0]), FEW),
            (None, Some("")) if is_parent(described) => ("", FEW),
            (None, Some("")) => ("", MANY),
            _ => continue,
        };
        let all = elements(described, parent, count);
        let most = if asked.text("count").is_empty() { 0 } else { 1000 };
        if most == 0 {
            return (200, json!({ described.arrays[0]: all }));
        }
        return list(described.arrays[0], asked, &all, most, &count.into());
    }
    (404, json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_thousand_objects_take_a_request_a_page_and_one_a_parent_and_are_written_once() {
    let tenant = scripted(of_many_objects).await;
    let database = Database::empty().await;
    let urls = of_urls(&urls(FEW));
    let urls: Vec<_> = urls
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let settings = load(None, &variables(&tenant.url, &database.url, &urls), RESOURCES).unwrap();
    let app = App::start(&settings).await.unwrap();
    let engine = app.engine(&settings, None, Arc::new(NoListener));
    let mut objects = 0;
    for round in ["first", "second"] {
        for entry in app
            .entries
            .iter()
            .filter(|entry| RESOURCES.lists().any(|(list, _)| list.name() == entry.name()))
        {
            let spec = app::run_spec(&settings, entry, Overrides::default(), WhenHeld::Wait);
            let report = engine.run(&spec, &CancellationToken::new()).await.unwrap();
            let (name, counts) = (entry.name(), &report.ledger.counts);
            assert_eq!(
                report.ledger.status,
                RunStatus::Succeeded,
                "{name}: {:?}",
                report.ledger
            );
            let written = counts.inserted + counts.updated + counts.removed;
            if round == "first" {
                assert_eq!(counts.inserted, counts.distinct, "{name}");
                objects += counts.inserted;
            } else {
                assert_eq!(written, 0, "{name}: {counts:?}");
            }
            let each = entry.description.as_list().unwrap().each;
            let listings = match each.map(|each| each.named) {
                None => 1,
                Some(Named::InPath | Named::ByParameter(_)) => FEW as u64,
                // All parents and one day.
                Some(Named::ByDay(by)) if round == "first" => u64::from(by.first) + 1,
                // The second reading may begin on the next day.
                Some(Named::ByDay(by)) => counts
                    .requests
                    .clamp(u64::from(by.again) + 1, u64::from(by.again) + 2),
            };
            let is_paged = entry.description.as_list().unwrap().paged;
            let pages = if is_paged {
                counts.distinct.div_ceil(1000)
            } else {
                1
            }
            .max(listings);
            assert_eq!(counts.requests, pages, "{name}: {counts:?}");
        }
    }
    assert!(objects > 40_000, "only {objects} objects");
    app.close().await.unwrap();
}
