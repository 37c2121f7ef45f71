//! The process dies before and after each commit that changes or fills typed columns, and of a load beside them. The next walk makes up
//! for it. The process is this very test binary.

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{Scene, profile, settings};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled, left_alone};
use crate::support::described::run;
use crate::support::typed::assert_typed_columns;

const PAGES: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "1000");
/// More than are filled in two transactions.
const PROFILES: u32 = 4_100;

/// The walk that dies.
struct Columns;

impl Dying for Columns {
    const WORKER: &'static str = "typed_columns::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "columns/change/before",
        "columns/change/after",
        "columns/fill/before",
        "columns/fill/after",
        "load/before",
        "load/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        let rows =
            "select concat_ws(' ', id, name, visits, problems) from blueconic.profiles_wide order by 1";
        database.texts(rows).await
    }

    async fn assert_sound(database: &Database, has_ended: bool) {
        if has_ended {
            assert_typed_columns(database).await;
        }
        let orphans = "blueconic.profile_columns_1 as c
                       where not exists (select from blueconic.profiles as p where p.id = c.id)";
        assert_eq!(database.count(orphans).await, 0);
    }
}

/// What a process of its own does; without its variables, nothing.
#[tokio::test(flavor = "multi_thread")]
async fn worker() {
    let Some((tenant, database)) = given() else {
        return;
    };
    let _orders = failpoint::listen();
    let settings = settings(&tenant, &database, &[PAGES]);
    let app = App::start(&settings).await.unwrap();
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    let run = run(&app, &settings, "profiles", overrides).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let scene = Scene::with(&[PAGES]).await;
    for number in 0..PROFILES {
        scene.put(
            &format!("p{number:04}"),
            &json!({"name": ["x"], "visits": [if number % 7 == 0 { "n/a".to_owned() } else { number.to_string() }]}),
        );
    }
    let Scene {
        held,
        tenant,
        database,
        app,
        ..
    } = scene;
    app.close().await.unwrap();
    database.pool.close().await;
    let template = create(Cluster::shared(), &database.name).await;
    let template = filled_without_columns(&tenant.url, &template).await;
    for number in 0..50 {
        let changed = profile(&format!("p{number:04}"), &json!({"name": ["changed"]}));
        held.lock().unwrap().put(changed);
    }
    let expected = left_alone::<Columns>(&tenant.url, &template).await;
    let deaths = die_everywhere::<Columns>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("columns/change/before") == 1
            && deaths.at("columns/fill/before") >= 3
            && deaths.at("load/before") >= 5,
        "{deaths:?}"
    );
}

/// A template whose profiles were stored before the catalogue had a property.
async fn filled_without_columns(tenant: &str, template: &str) -> String {
    let filled = filled::<Columns>(tenant, template).await;
    let database = Database::copy(Cluster::shared(), &filled).await;
    database
        .run(
            "insert into blueconic.profile_properties (id, filter_type, synced_at)
             values ('name', 'None', now()), ('visits', 'RANGE', now())",
        )
        .await;
    database.pool.close().await;
    create(Cluster::shared(), &database.name).await
}
