//! Lists that have a listing for each URL of a setting: what leaves with a URL, what a refused URL keeps, and settings that are
//! refused. The description exists only here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use blueconic_sync::app::{self, App, Overrides};
use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::description::{Description, Each, List, Named, Parents, Reading, Registry};
use blueconic_sync::model::ledger::RunReport;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::model::table::{Column, ColumnKind, Merge, Table};
use blueconic_sync::sync::progress::NoListener;
use blueconic_sync::sync::run_spec::WhenHeld;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::database::Database;
use crate::support::described::{registry_with_list, variables};
use crate::support::scripted::{Asked, Scripted, scripted};

const POSTERS: Description = Description {
    title: "Posters",
    holds: "Posters.",
    path: "/posters",
    arrays: &["posters"],
    oauth_scope: "read:posters",
    table: &Table {
        name: "posters",
        columns: &[
            Column::new("url", ColumnKind::Text),
            Column::new("id", ColumnKind::Text).from("id"),
            Column::new("body", ColumnKind::Jsonb).rest(),
        ],
        key: &["url", "id"],
        merge: Merge::Upsert,
        children: &[],
    },
    reading: Reading::List(List {
        enabled: false,
        schedule: "3 * * * *",
        paged: false,
        each: Some(Each {
            parents: Parents::Urls,
            named: Named::ByParameter("url"),
        }),
        ..List::PLAIN
    }),
};

const MIGRATION: &str = "
create table blueconic.posters (
  url text collate \"C\" not null, id text collate \"C\" not null, body jsonb not null default '{}', synced_at timestamptz not null,
  primary key (url, id));";

const ENABLED: &str = "BLUECONIC_SYNC__RESOURCES__POSTERS__ENABLED";
const URLS: &str = "BLUECONIC_SYNC__RESOURCES__POSTERS__URLS";

/// Two URLs that need an encoding in a query.
const HOME: &str = "https://www.example.com/?a=b&c=%20d";
const SHOP: &str = "http://shop.example.com/é#top";

fn registry() -> Registry {
    registry_with_list(POSTERS)
}

/// What the tenant answers for a URL: a status, and the ids of posters.
type Pages = BTreeMap<&'static str, (u16, Vec<&'static str>)>;

fn two_pages() -> Pages {
    BTreeMap::from([(HOME, (200, vec!["x", "y"])), (SHOP, (200, vec!["x"]))])
}

fn answer(pages: &Pages, asked: &Asked) -> (u16, Value) {
    let page = pages.get(asked.text("url"));
    let Some((status, posters)) = page.filter(|_| asked.path == POSTERS.path) else {
        return (404, json!({}));
    };
    let posters: Vec<Value> = posters.iter().map(|id| json!({"id": id, "size": 1})).collect();
    (*status, json!({ "posters": posters }))
}

/// A tenant and a database, and the program before them with any URLs.
struct Scene {
    pages: Arc<Mutex<Pages>>,
    scripted: Scripted,
    database: Database,
}

impl Scene {
    async fn of(pages: Pages) -> Self {
        let pages = Arc::new(Mutex::new(pages));
        let answering = Arc::clone(&pages);
        let scripted = scripted(move |asked| answer(&answering.lock().unwrap(), asked)).await;
        let scene = Self {
            pages,
            scripted,
            database: Database::empty().await,
        };
        scene.open(&[]).await.1.close().await.unwrap();
        scene.database.run(MIGRATION).await;
        scene
    }

    async fn open(&self, more: &[(&str, &str)]) -> (Settings, App) {
        let variables = variables(&self.scripted.url, &self.database.url, more);
        let settings = load(None, &variables, registry()).unwrap();
        let app = App::start(&settings).await.unwrap();
        (settings, app)
    }

    /// Runs the list with these URLs in the settings.
    async fn report(&self, urls: &[&str]) -> RunReport {
        let urls = urls.join(",");
        let (settings, app) = self.open(&[(URLS, &urls)]).await;
        let mut entries = app.entries.iter();
        let entry = entries.find(|entry| entry.name() == POSTERS.name()).unwrap();
        let engine = app.engine(&settings, None, Arc::new(NoListener));
        let spec = app::run_spec(&settings, entry, Overrides::default(), WhenHeld::Wait);
        let report = engine.run(&spec, &CancellationToken::new()).await.unwrap();
        if report.ledger.status == RunStatus::Succeeded {
            let found = engine.verify(&[spec], &CancellationToken::new()).await.unwrap();
            let compared = &found.tables[0];
            assert_eq!(compared.by_the_tenant, Some(compared.in_the_table));
        }
        app.close().await.unwrap();
        report
    }

    /// Reads the list; returns the numbers of inserted, updated and removed rows.
    async fn read(&self, urls: &[&str]) -> [u64; 3] {
        let report = self.report(urls).await;
        assert_eq!(report.ledger.status, RunStatus::Succeeded, "{:?}", report.ledger);
        let counts = report.ledger.counts;
        [counts.inserted, counts.updated, counts.removed]
    }

    fn page(&self, url: &'static str, status: u16, posters: &[&'static str]) {
        let mut pages = self.pages.lock().unwrap();
        pages.insert(url, (status, posters.to_vec()));
    }

    async fn rows(&self) -> Vec<String> {
        let rows = "select concat_ws('|', url, id) from blueconic.posters order by url, id";
        self.database.texts(rows).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_url_has_a_listing_and_its_rows_leave_with_it() {
    let scene = Scene::of(two_pages()).await;
    assert_eq!(scene.read(&[HOME, SHOP]).await, [3, 0, 0]);
    let all = [format!("{SHOP}|x"), format!("{HOME}|x"), format!("{HOME}|y")];
    assert_eq!(scene.rows().await, all);
    let asked = scene.scripted.asked(POSTERS.path);
    let asked: Vec<&str> = asked.iter().map(|asked| asked.text("url")).collect();
    assert_eq!(
        asked[..2],
        [HOME, SHOP],
        "the second half is that of the comparison"
    );
    assert_eq!(scene.read(&[SHOP, HOME]).await, [0, 0, 0]);
    assert_eq!(scene.read(&[HOME]).await, [0, 0, 1]);
    assert_eq!(scene.rows().await, all[1..]);
    assert_eq!(scene.read(&[HOME, SHOP]).await, [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_the_tenant_does_not_know_loses_only_its_own_rows() {
    let scene = Scene::of(two_pages()).await;
    scene.read(&[HOME, SHOP]).await;
    scene.page(SHOP, 404, &[]);
    assert_eq!(scene.read(&[HOME, SHOP]).await, [0, 0, 1]);
    assert_eq!(scene.rows().await, [format!("{HOME}|x"), format!("{HOME}|y")]);
    // A tenant that knows none of them has no such list.
    scene.page(HOME, 404, &[]);
    let report = scene.report(&[HOME, SHOP]).await;
    assert_eq!(report.ledger.status, RunStatus::Skipped, "{:?}", report.ledger);
    assert_eq!(scene.rows().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_the_tenant_refuses_is_named_and_the_others_are_read_without_a_removal() {
    let scene = Scene::of(two_pages()).await;
    scene.read(&[HOME, SHOP]).await;
    scene.page(HOME, 400, &[]);
    scene.page(SHOP, 200, &["z"]);
    let report = scene.report(&[HOME, SHOP]).await;
    assert_eq!(report.ledger.status, RunStatus::Failed, "{:?}", report.ledger);
    let error = report.ledger.error.unwrap();
    assert!(error.contains(HOME) && error.contains("400"), "{error}");
    assert!(report.ledger.hint.unwrap().contains("no row was removed"));
    let counts = report.ledger.counts;
    assert_eq!((counts.inserted, counts.removed), (1, 0));
    assert_eq!(scene.rows().await.len(), 4);
    // The next reading that is whole removes what is gone.
    scene.page(HOME, 200, &["x", "y"]);
    assert_eq!(scene.read(&[HOME, SHOP]).await, [0, 0, 1]);
    assert_eq!(scene.rows().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_ends_once_twenty_urls_were_refused() {
    let scene = Scene::of(Pages::new()).await;
    let urls: Vec<String> = (0..30)
        .map(|number| format!("https://{number}.example.com/"))
        .collect();
    for url in &urls {
        scene.page(url.clone().leak(), 400, &[]);
    }
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let report = scene.report(&urls).await;
    assert_eq!(report.ledger.status, RunStatus::Failed, "{:?}", report.ledger);
    assert!(report.ledger.error.unwrap().contains("https://0.example.com/"));
    assert_eq!(scene.scripted.asked(POSTERS.path).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_urls_a_named_list_removes_nothing() {
    let scene = Scene::of(two_pages()).await;
    scene.read(&[HOME, SHOP]).await;
    let report = scene.report(&[]).await;
    assert_eq!(report.ledger.status, RunStatus::Failed, "{:?}", report.ledger);
    let error = report.ledger.error.unwrap();
    assert!(error.contains("`resources.posters.urls` names no URL"), "{error}");
    assert_eq!(scene.rows().await.len(), 3);
}

/// The settings with these variables, or what is said against them.
fn with(more: &[(&str, &str)]) -> Result<Settings, String> {
    let variables = variables("https://t.example", "embedded", more);
    load(None, &variables, registry()).map_err(|error| format!("{error}; {}", error.hint()))
}

#[test]
fn urls_are_set_as_a_list_and_refused_by_name() {
    let list = POSTERS.as_list().unwrap();
    let urls = |settings: &Settings| settings.resources.list(&POSTERS, list).urls;
    assert_eq!(urls(&with(&[]).unwrap()), Vec::<String>::new());
    let two = format!("{HOME}, {SHOP}");
    assert_eq!(
        urls(&with(&[(ENABLED, "true"), (URLS, &two)]).unwrap()),
        [HOME, SHOP]
    );
    let comma = with(&[(URLS, "[\"https://www.example.com/a,b\"]")]).unwrap();
    assert_eq!(urls(&comma), ["https://www.example.com/a,b"]);

    let message = with(&[(ENABLED, "true")]).unwrap_err();
    assert!(
        message.contains("`resources.posters.urls` cannot be `[]`") && message.contains("`enabled`"),
        "{message}"
    );
    let long = |length: usize| format!("https://www.example.com/{}", "x".repeat(length - 24));
    let many = |count: usize| {
        let urls: Vec<String> = (0..count)
            .map(|number| format!("https://{number}.example"))
            .collect();
        urls.join(",")
    };
    with(&[(URLS, &long(2000))]).unwrap();
    with(&[(URLS, &many(1000))]).unwrap();
    for (value, shown, says) in [
        ("www.example.com", "www.example.com", "absolute URL"),
        ("/shop", "/shop", "absolute URL"),
        ("ftp://www.example.com/", "ftp://www.example.com/", "absolute URL"),
        ("https:www.example.com", "https:www.example.com", "absolute URL"),
        ("https:///shop", "https:///shop", "absolute URL"),
        ("https://", "https://", "absolute URL"),
        ("https://a.example/x y", "https://a.example/x y", "without spaces"),
        (
            "https://u:hunter2@a.example/",
            "https://…@a.example/",
            "without user name",
        ),
        (
            "https://a.example,https://A.example/",
            "https://A.example/",
            "once",
        ),
        (&*long(2001), "xxx…", "at most 2000 bytes"),
        (&*many(1001), "1001 URLs", "at most 1000 URLs"),
    ] {
        let message = with(&[(URLS, value)]).unwrap_err();
        assert!(
            message.contains("resources.posters.urls") && message.contains(shown) && message.contains(says),
            "{message}"
        );
        assert!(!message.contains("hunter2") && message.len() < 600, "{message}");
    }
    // A list of another kind has no such setting.
    with(&[("BLUECONIC_SYNC__RESOURCES__CHANNELS__URLS", HOME)]).unwrap_err();
}
