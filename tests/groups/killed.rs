//! The process dies before and after each commit of a walk over groups, and of its sweep. The next walk makes up for it: the groups are
//! those that the tenant lists. The process is this very test binary.

use blueconic_sync::app::App;
use blueconic_sync::failpoint;
use blueconic_sync::model::status::RunStatus;

use super::{World, assert_nothing_left, groups, settings, sync};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled, left_alone};

/// The walk that dies.
struct Groups;

impl Dying for Groups {
    const WORKER: &'static str = "groups::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "load/before",
        "load/after",
        "copy/before",
        "advance/before",
        "advance/after",
        "candidates/before",
        "candidates/after",
        "missing/before",
        "missing/after",
        "sweep/before",
        "sweep/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        groups(database).await
    }

    async fn assert_sound(database: &Database, has_ended: bool) {
        if has_ended {
            assert_nothing_left(database).await;
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
    let settings = settings(&tenant, &database);
    let app = App::start(&settings).await.unwrap();
    let report = sync(&app, &settings, &["groups"], None).await;
    assert_eq!(report.ledger.status, RunStatus::Succeeded, "{report:?}");
    app.close().await.unwrap();
}

/// Groups change, come and go; one is there and not listed.
fn change(world: &World) {
    for number in (0..45).step_by(4) {
        world.put("company", &format!("g{number:03}"), "Umbrella");
    }
    for number in (2..45).step_by(9) {
        world.remove("household", &format!("g{number:03}"));
        world.put("household", &format!("new{number}"), "Initech");
    }
    world.unlist("company", "g001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let world = World::filled(45);
    let tenant = world.tenant().await;
    let empty = Database::empty().await;
    let settings = settings(&tenant.url, &empty.url);
    let app = App::start(&settings).await.unwrap();
    sync(&app, &settings, &["group_types"], None).await;
    app.close().await.unwrap();
    empty.pool.close().await;
    let template = create(Cluster::shared(), &empty.name).await;
    let expected = left_alone::<Groups>(&tenant.url, &template).await;
    assert_eq!(expected.len(), 90);
    let deaths = die_everywhere::<Groups>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 6 && deaths.at("advance/before") >= 2,
        "{deaths:?}"
    );

    let template = filled::<Groups>(&tenant.url, &template).await;
    change(&world);
    let expected = left_alone::<Groups>(&tenant.url, &template).await;
    assert_eq!(expected.len(), 90);
    assert!(expected.contains(&"company g000 Umbrella".to_owned()));
    assert!(expected.contains(&"company g001 Acme".to_owned()));
    assert!(!expected.contains(&"household g002 Acme".to_owned()));
    let deaths = die_everywhere::<Groups>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("candidates/before") == 1 && deaths.at("sweep/before") == 1,
        "{deaths:?}"
    );
}
