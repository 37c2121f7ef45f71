//! A plain list is one description and one migration. One that exists only here, made by exactly these two, is read, swept,
//! shown, checked, served by the simulated tenant and documented as those of the program are; and nothing else in the
//! repository names a plain list. The tests of `src/config/tests.rs` hold its documents.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::app::{self, App, Overrides};
use blueconic_sync::commands::simulated_lists;
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::description::{Description, List, Reading, Registry};
use blueconic_sync::model::liveness::Liveness;
use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::{Observer as _, Source as _};
use blueconic_sync::model::table::{Column, ColumnKind, Merge, Table};
use blueconic_sync::resources::registry::{Entry, RESOURCES};
use blueconic_sync::schedule::jobs::jobs;
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::WhenHeld;
use blueconic_sync::web::server::{Health, WebServer};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use simulated_tenant::tenant::{Settings as TenantSettings, Tenant, start};
use tokio_util::sync::CancellationToken;

use crate::support::database::Database;
use crate::support::described::{registry_with_list, run, variables};
use crate::support::registry::{FEW_URLS, is_by_day, list_names, of_urls, urls};
use crate::support::scripted::{Scripted, list, scripted};
use crate::support::small;
use crate::support::sources::files;
use crate::support::truth::assert_list_equal;

/// The one description.
const GADGETS: Description = Description {
    title: "Gadgets of the tests",
    holds: "Gadgets.",
    path: "/gadgets",
    // The tenant calls the array by its newer name.
    arrays: &["gadgets", "gadgetsV2"],
    oauth_scope: "read:gadgets",
    table: &Table {
        name: "gadgets",
        columns: &[
            Column::new("id", ColumnKind::Text)
                .from("id")
                .comment("The gadget's id."),
            Column::new("maker", ColumnKind::Text)
                .from("made.by")
                .comment("Who made it."),
            Column::new("weight", ColumnKind::Int)
                .from("weight")
                .comment("In grams."),
            Column::new("tags", ColumnKind::TextArray)
                .from("tags")
                .comment("Its tags."),
        ],
        key: &["id"],
        merge: Merge::Upsert,
        children: &[],
    },
    reading: Reading::List(List {
        enabled: true,
        schedule: "11 * * * *",
        page_size: 100,
        owner: None,
        ..List::PLAIN
    }),
};

/// The one migration.
const MIGRATION: &str = "
create table blueconic.gadgets (
  id text collate \"C\" primary key,
  maker text,
  weight integer,
  tags text[] not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.gadgets is 'Gadgets.';
comment on column blueconic.gadgets.id is 'The gadget''s id.';
comment on column blueconic.gadgets.maker is 'Who made it.';
comment on column blueconic.gadgets.weight is 'In grams.';
comment on column blueconic.gadgets.tags is 'Its tags.';
comment on column blueconic.gadgets.synced_at is 'When the load began that last changed this row.';";

/// The program's resources and the gadgets.
fn registry() -> Registry {
    registry_with_list(GADGETS)
}

type Gadgets = Arc<Mutex<Vec<Value>>>;

/// A tenant that has gadgets.
async fn tenant(gadgets: &Gadgets) -> Scripted {
    let gadgets = Arc::clone(gadgets);
    scripted(move |asked| {
        let gadgets = gadgets.lock().unwrap().clone();
        match asked.path.as_str() {
            "/gadgets" => list("gadgetsV2", asked, &gadgets, 1000, &gadgets.len().into()),
            _ => (404, json!({})),
        }
    })
    .await
}

/// Reads a list once.
async fn sync(app: &App, settings: &Settings, list: &str) -> Value {
    let run = run(app, settings, list, Overrides::default()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    run
}

async fn rows(database: &Database) -> Vec<String> {
    database
        .texts("select concat_ws('|', id, maker, weight, tags) from blueconic.gadgets order by id")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_list_is_synced_swept_shown_and_checked() {
    let gadget = |id: &str, weight: u32| json!({"id": id, "made": {"by": "Q"}, "weight": weight, "tags": ["x"], "other": 1});
    let gadgets: Gadgets = Arc::new(Mutex::new(vec![gadget("a", 1), gadget("b", 2), gadget("c", 3)]));
    let tenant = tenant(&gadgets).await;
    let database = Database::empty().await;
    let more = [("BLUECONIC_SYNC__RESOURCES__GADGETS__PAGE_SIZE", "2")];
    let settings = load(None, &variables(&tenant.url, &database.url, &more), registry()).unwrap();
    let app = App::start(&settings).await.unwrap();
    database.run(MIGRATION).await;
    let entry = app
        .entries
        .iter()
        .find(|entry| entry.name() == "gadgets")
        .unwrap();
    assert!(entry.enabled);

    // Checked: as `check` asks for it.
    app.client
        .open(&entry.resource.resource().trial_request(), 0, &Meter::default())
        .await
        .unwrap();

    // Synced, in pages of the size that is set.
    let run = sync(&app, &settings, entry.name()).await;
    assert_eq!(
        (run["rows_read"].as_i64(), run["rows_inserted"].as_i64()),
        (Some(3), Some(3))
    );
    assert_eq!(rows(&database).await, ["a|Q|1|{x}", "b|Q|2|{x}", "c|Q|3|{x}"]);
    assert!(
        tenant
            .asked("/gadgets")
            .iter()
            .skip(1)
            .all(|asked| asked.text("count") == "2")
    );

    // Changed and swept.
    *gadgets.lock().unwrap() = vec![gadget("a", 1), gadget("c", 30)];
    let run = sync(&app, &settings, entry.name()).await;
    assert_eq!(
        (run["rows_updated"].as_i64(), run["rows_removed"].as_i64()),
        (Some(1), Some(1))
    );
    assert_eq!(rows(&database).await, ["a|Q|1|{x}", "c|Q|30|{x}"]);

    // Counted as `--verify` counts.
    let engine = app.engine(&settings, None, Arc::new(NoListener));
    let task = app::run_spec(&settings, entry, Overrides::default(), WhenHeld::Leave);
    let found = engine.verify(&[task], &CancellationToken::new()).await.unwrap();
    let compared = found.tables.first().unwrap();
    assert_eq!(
        (
            compared.name.as_str(),
            compared.by_the_tenant,
            compared.in_the_table
        ),
        ("gadgets", Some(2), 2)
    );

    // Shown.
    let status = serde_json::to_value(app.store.status().await.unwrap()).unwrap();
    let shown: Vec<&str> = status["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|resource| resource["resource"].as_str())
        .collect();
    let before = list_names().len();
    assert_eq!(shown.get(before), Some(&"gadgets"), "{shown:?}");
    assert_eq!(status["resources"][before]["last_run"]["status"], "succeeded");
    let complete = "blueconic.freshness where resource = 'gadgets' and complete_as_of is not null";
    assert_eq!(database.count(complete).await, 1);
    assert!(page(&app, &settings).await.contains(GADGETS.title));
    app.close().await.unwrap();
}

/// The status page.
async fn page(app: &App, settings: &Settings) -> String {
    let mut web = settings.web.clone();
    web.bind.set_port(0);
    let web = WebServer::open(&web).await.unwrap();
    let (url, stop) = (format!("http://{}/", web.address()), CancellationToken::new());
    let health = Health::new(Liveness::new(), Duration::from_secs(5));
    let observer = Arc::new(app.store.clone());
    let serving = web.serve(
        observer,
        settings.registry,
        health,
        stop.clone().cancelled_owned(),
    );
    let asking = async {
        let page = reqwest::get(url).await.unwrap().text().await.unwrap();
        stop.cancel();
        page
    };
    let (served, page) = tokio::join!(serving, asking);
    served.unwrap();
    page
}

#[test]
fn a_new_list_is_set_and_scheduled_and_a_misspelt_setting_of_it_is_reported() {
    let load = |name: &str, value: &str, registry| {
        let name = format!("BLUECONIC_SYNC__RESOURCES__GADGETS__{name}");
        load(
            None,
            &variables("https://t.example", "embedded", &[(&name, value)]),
            registry,
        )
    };
    let settings = load("PAGE_SIZE", "2", registry()).unwrap();
    let jobs = jobs(&settings);
    let job = jobs.iter().find(|task| task.job.name == "gadgets").unwrap();
    assert_eq!(
        (job.job.slot.resource, job.job.cron.as_str()),
        ("gadgets", "11 * * * *")
    );
    for (name, value, says) in [
        ("PAGESIZE", "2", "BLUECONIC_SYNC__RESOURCES__GADGETS__PAGE_SIZE"),
        ("PAGE_SIZE", "0", "from 1 to 10000"),
        ("SCHEDULE", "hourly", "resources.gadgets.schedule"),
        ("ENABLED", "perhaps", "`true` or `false`"),
    ] {
        let error = load(name, value, registry()).unwrap_err();
        let reported = format!("{error}; {}", error.hint());
        assert!(reported.contains(says), "{reported}");
    }
    // Without the description there is no such setting.
    load("PAGE_SIZE", "2", RESOURCES).unwrap_err();
}

/// Columns of tables as they are described and not in the database so, with their types and comments.
async fn undescribed(database: &Database, registry: Registry) -> Vec<String> {
    let mut differ = Vec::new();
    for description in registry.iter() {
        let name = description.name();
        let comment: String = database
            .one(&format!("select obj_description('blueconic.{name}'::regclass)"))
            .await;
        if comment != description.holds {
            differ.push(format!("{name}: {}", description.holds));
        }
        let described = description.table.columns.iter().map(|column| {
            let kind = match column.kind {
                ColumnKind::Text => "text",
                ColumnKind::TextArray => "text[]",
                ColumnKind::Bigint => "bigint",
                ColumnKind::Int => "integer",
                ColumnKind::Bool => "boolean",
                ColumnKind::Timestamptz => "timestamp with time zone",
                ColumnKind::Jsonb => "jsonb",
                ColumnKind::Date => "date",
                ColumnKind::Bytea => "bytea",
            };
            format!("{name}.{} {kind}: {}", column.name, column.comment)
        });
        let question = format!(
            "select '{name}.' || attname || ' ' || format_type(atttypid, atttypmod) || ': ' || col_description(attrelid, attnum)
             from pg_attribute where attrelid = 'blueconic.{name}'::regclass and attnum > 0 and not attisdropped"
        );
        let stored: BTreeSet<String> = database.texts(&question).await.into_iter().collect();
        differ.extend(described.filter(|column| !stored.contains(column)));
    }
    differ
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_says_of_each_column_what_its_description_says() {
    let database = Database::empty().await;
    let settings = load(
        None,
        &variables("http://127.0.0.1:1", &database.url, &[]),
        registry(),
    )
    .unwrap();
    let app = App::start(&settings).await.unwrap();
    database.run(MIGRATION).await;
    assert_eq!(undescribed(&database, registry()).await, Vec::<String>::new());
    database
        .run("comment on column blueconic.gadgets.weight is 'In pounds.'")
        .await;
    assert_eq!(
        undescribed(&database, registry()).await,
        ["gadgets.weight integer: In grams."]
    );
    app.close().await.unwrap();
}

/// Where a description becomes data: these files describe, the migration makes the table, script/docs writes the documents.
const HOME: &str = "src/resources/lists";

/// Arrays with names so common that other things have them, too.
const COMMON: [&str; 3] = ["runs", "entries", "items"];

/// What names a list in a text: its name or one of its arrays as a whole text, its settings, its table, its path.
fn names(list: &Description) -> Vec<String> {
    let name = list.name();
    let arrays = list.arrays.iter().filter(|array| !COMMON.contains(array));
    let arrays = arrays.map(|array| format!("\"{array}\""));
    let own = [
        format!("\"{name}\""),
        format!("resources.{name}"),
        format!("blueconic.{name}"),
        format!("\"{}\"", list.path),
    ];
    own.into_iter().chain(arrays).collect()
}

/// These mean more than a row: profiles are walked by segment and belong to groups, and their values are typed by property, so
/// that the simulated tenant, the tests and the queries of the documents know them.
const KNOWN_BY_HEART: [&str; 4] = ["segments", "profile_properties", "groups", "group_properties"];

/// Some are more than a list in the source, too. Profiles have a member of that name, and so has the answer of `--verify`. The demo
/// asks a question of the table of segments. A probe asks the tenant for segments and for the catalogue of properties. A walk over
/// profiles reads segments first, which a forecast counts. Groups are walked page by page, so that no node gets a copy of all of them.
const IN_THE_SOURCE: [(&str, &str); 12] = [
    ("groups", "src/postgres/distribution.rs"),
    ("profile_properties", "src/postgres/columns"),
    ("profile_properties", "src/postgres/personal_data.rs"),
    ("segments", "src/postgres/recorded"),
    ("segments", "src/commands/demo.rs"),
    ("segments", "src/commands/verification.rs"),
    ("segments", "src/probe/"),
    ("profile_properties", "src/probe/profiles.rs"),
    ("segments", "src/resources/profile_row"),
    ("segments", "src/resources/profile_lookup.rs"),
    ("groups", "src/resources/memberships.rs"),
    ("segments", "src/commands/check/forecast.rs"),
];

/// Tests of what a list means beside its rows: names for audit events, numbers by day, walks by cursor, views over its members, questions
/// of an analyst, what readers may see.
const OF_MEANING: [&str; 6] = [
    "tests/dictionary/",
    "tests/groups/",
    "tests/personal_data/roles.rs",
    "tests/queries/",
    "tests/store/audit_names.rs",
    "tests/third_party/vendor_examples.rs",
];

/// Every file that a person writes, by its path: source, tests, scripts, settings and the simulated tenant.
fn written_by_hand() -> Vec<(String, String)> {
    let sources = [
        ("src", ".rs"),
        ("crates", ".rs"),
        ("tests", ".rs"),
        ("config", ".toml"),
        ("script", ""),
    ];
    let mut found: Vec<(String, String)> = sources
        .into_iter()
        .flat_map(|(folder, ending)| files(folder, ending))
        .collect();
    found.retain(|(path, _)| !path.starts_with(HOME) && !OF_MEANING.iter().any(|one| path.starts_with(one)));
    assert!(found.len() > 300, "only {} files were found", found.len());
    found
}

#[test]
fn nothing_else_in_the_repository_names_a_plain_list() {
    let by_hand = written_by_hand();
    let described: String = files(HOME, ".rs").into_iter().map(|(_, text)| text).collect();
    let migrations = files("migrations", ".sql");
    let mut found = Vec::new();
    for (list, _) in RESOURCES.lists() {
        assert!(described.contains(&format!("\"{}\"", list.name())));
        let makes = format!("create table blueconic.{} (", list.name());
        let made = migrations.iter().filter(|(_, sql)| sql.contains(&makes)).count();
        assert_eq!(made, 1, "migrations that make the table of `{}`", list.name());
        let is_known = KNOWN_BY_HEART.contains(&list.name());
        let searched = by_hand
            .iter()
            .filter(|(path, _)| !is_known || path.starts_with("src/"));
        for (path, text) in searched {
            let mut excuses = IN_THE_SOURCE.iter();
            let is_excused = excuses.any(|(name, place)| *name == list.name() && path.starts_with(place));
            let named = names(list)
                .into_iter()
                .filter(|name| !is_excused && text.contains(name));
            found.extend(named.map(|name| format!("{path}: {name}")));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// The simulated tenant serves what it is given: the lists of the program and that of this test.
#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_tenant_serves_every_list_as_it_is_described() {
    let served = simulated_lists::of(registry());
    let tenant = start(small(5).with_lists(served)).await.unwrap();
    let database = Database::empty().await;
    let settings = load(None, &credentials(&tenant, &database), registry()).unwrap();
    let app = App::start(&settings).await.unwrap();
    database.run(MIGRATION).await;
    let lists: Vec<&Entry> = app
        .entries
        .iter()
        .filter(|entry| registry().lists().any(|(list, _)| list.name() == entry.name()))
        .collect();
    assert!(lists.len() > RESOURCES.lists().count());
    for entry in lists {
        // Whatever its default: a list that has to be asked for is asked for here.
        let run = sync(&app, &settings, entry.name()).await;
        assert!(run["rows_inserted"].as_i64() > Some(1), "{run}");
        if !KNOWN_BY_HEART.contains(&entry.name()) && !is_by_day(entry.description) {
            assert_list_equal(&database, &tenant, entry.description).await;
        }
    }
    app.close().await.unwrap();
    tenant.stop().await;
}

/// The variables of a program whose tenant is simulated.
fn credentials(tenant: &Tenant, database: &Database) -> Variables {
    let simulated = TenantSettings::default();
    let more = [
        ("BLUECONIC_CLIENT_ID", simulated.client_id.as_str()),
        ("BLUECONIC_CLIENT_SECRET", simulated.client_secret.expose_secret()),
    ];
    let urls = of_urls(&urls(FEW_URLS));
    let urls = urls.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let more: Vec<(&str, &str)> = more.into_iter().chain(urls).collect();
    variables(tenant.url(), &database.url, &more)
}
