//! The process dies before and after each commit that changes what becomes of personal data, that scrubs, and of a load after it. The next
//! run makes up for it: nothing is hashed twice, and no value is left.

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use serde_json::json;

use super::{Scene, hash, profile, settings};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled, left_alone};
use crate::support::described::run;
use crate::support::traces::traces;
use crate::support::typed::assert_typed_columns;

const RULES: &str = "sensitivity:PII=hash";
/// More than are scrubbed in two transactions.
const PROFILES: u32 = 4_100;

/// The run that dies.
struct Scrub;

impl Dying for Scrub {
    const WORKER: &'static str = "personal_data::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "personal/change/before",
        "personal/change/after",
        "personal/scrub/before",
        "personal/scrub/after",
        "personal/analyzed/before",
        "personal/analyzed/after",
        "readers/grant/before",
        "readers/grant/after",
        "columns/change/before",
        "columns/change/after",
        "load/before",
        "load/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        let rows = "select concat_ws(' ', w.id, w.name, w.visits, w.visits_text, j.properties)
                    from blueconic.profiles_wide as w join blueconic.profiles_json as j on j.id = w.id order by 1";
        database.texts(rows).await
    }

    async fn assert_sound(database: &Database, has_ended: bool) {
        if has_ended {
            assert_typed_columns(database).await;
            for value in ["tracename", "7700042"] {
                let traces = traces(database, value).await;
                assert!(traces.is_empty(), "{traces:#?}");
            }
        }
    }
}

/// What a process of its own does; without its variables, nothing.
#[tokio::test(flavor = "multi_thread")]
async fn worker() {
    let Some((tenant, database)) = given() else {
        return;
    };
    let _orders = failpoint::listen();
    let settings = settings(&tenant, &database, RULES, &[]);
    let app = App::start(&settings).await.unwrap();
    let run = run(&app, &settings, "profiles", Overrides::default()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let scene = Scene::new(RULES, &[]).await;
    scene.lists("name", "None", "NON_PII").await;
    scene.lists("visits", "RANGE", "NON_PII").await;
    for number in 0..PROFILES {
        let properties = json!({"name": ["tracename"], "visits": [(7_700_000 + number).to_string()]});
        scene.put(&format!("p{number:04}"), &properties);
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
    let template = turned(&tenant.url, &template).await;
    // An increment brings a few of them.
    let _former = std::mem::take(&mut *held.lock().unwrap());
    for number in 0..10 {
        let changed = profile(&format!("p{number:04}"), &json!({"name": ["tracename changed"]}));
        held.lock().unwrap().put(changed);
    }
    let expected = left_alone::<Scrub>(&tenant.url, &template).await;
    assert!(expected[5].contains(&hash("tracename changed")) && expected[42].contains(&hash("7700042")));
    let deaths = die_everywhere::<Scrub>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("personal/change/before") == 1
            && deaths.at("personal/scrub/before") == 3
            && deaths.at("personal/analyzed/before") == 1
            && deaths.at("columns/change/before") == 1
            && deaths.at("load/before") >= 1,
        "{deaths:?}"
    );
}

/// A template whose profiles were stored before the tenant called their properties personal data, and whose statistics have samples.
async fn turned(tenant: &str, template: &str) -> String {
    let filled = filled::<Scrub>(tenant, template).await;
    let database = Database::copy(Cluster::shared(), &filled).await;
    database
        .run("update blueconic.profile_properties set data_sensitivity = 'PII'; analyze")
        .await;
    database.pool.close().await;
    create(Cluster::shared(), &database.name).await
}
