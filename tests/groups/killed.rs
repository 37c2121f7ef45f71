//! The process dies before and after each commit of a walk over groups, and of its sweep. The next walk makes up for it: the groups are
//! those that the tenant lists. The process is this very test binary.

use std::os::unix::process::ExitStatusExt as _;

use blueconic_sync::app::App;
use blueconic_sync::failpoint;
use blueconic_sync::model::status::RunStatus;
use futures_util::{StreamExt as _, stream};

use super::{World, assert_nothing_left, groups, settings, sync};
use crate::support::apart::{given, walk_apart};
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};

/// The test that walks in a process of its own.
const WORKER: &str = "groups::killed::worker";

/// Where it dies, at each hit.
const PLACES: [&str; 11] = [
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
/// More hits than there are of any place.
const MOST_HITS: u32 = 40;

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

/// Dies at one hit of one place, and is made up for. False: it did not die, there are fewer hits.
async fn dies(expected: &[String], tenant: &str, template: &str, order: &str) -> bool {
    let database = Database::copy(Cluster::shared(), template).await;
    let ended = walk_apart(WORKER, tenant, &database.url, order).await;
    let died = ended.signal() == Some(9);
    assert!(died || ended.success(), "{order}: {ended:?}");
    if died {
        assert!(
            walk_apart(WORKER, tenant, &database.url, "").await.success(),
            "after {order}"
        );
    }
    assert_eq!(groups(&database).await, expected, "after {order}");
    assert_nothing_left(&database).await;
    let written =
        "select coalesce(sum(rows_inserted + rows_updated + rows_removed + rows_rehashed), 0)::bigint
                   from sync.runs where started_at = (select max(started_at) from sync.runs)";
    assert!(walk_apart(WORKER, tenant, &database.url, "").await.success());
    assert_eq!(
        database.one::<i64>(written).await,
        0,
        "the walk after {order} and one more"
    );
    database.remove(Cluster::shared()).await;
    died
}

/// Dies at each hit of each place, and gives how often at which.
async fn die_everywhere(expected: &[String], tenant: &str, template: &str) -> Vec<(&'static str, u32)> {
    stream::iter(PLACES)
        .map(|place| async move {
            for hit in 0..MOST_HITS {
                let order = format!("{place}={hit}*off->return(kill)");
                if !dies(expected, tenant, template, &order).await {
                    return (place, hit);
                }
            }
            panic!("{place}: no end of hits");
        })
        .buffered(PLACES.len())
        .collect()
        .await
}

/// What a walk that is left alone makes of a database.
async fn left_alone(tenant: &str, template: &str) -> Vec<String> {
    let database = Database::copy(Cluster::shared(), template).await;
    assert!(walk_apart(WORKER, tenant, &database.url, "").await.success());
    let found = groups(&database).await;
    database.remove(Cluster::shared()).await;
    found
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
    let expected = left_alone(&tenant.url, &template).await;
    assert_eq!(expected.len(), 90);
    let deaths = die_everywhere(&expected, &tenant.url, &template).await;
    assert!(
        hits(&deaths, "load/before") >= 6 && hits(&deaths, "advance/before") >= 2,
        "{deaths:?}"
    );

    let filled = Database::copy(Cluster::shared(), &template).await;
    assert!(walk_apart(WORKER, &tenant.url, &filled.url, "").await.success());
    filled.pool.close().await;
    let template = create(Cluster::shared(), &filled.name).await;
    change(&world);
    let expected = left_alone(&tenant.url, &template).await;
    assert_eq!(expected.len(), 90);
    assert!(expected.contains(&"company g000 Umbrella".to_owned()));
    assert!(expected.contains(&"company g001 Acme".to_owned()));
    assert!(!expected.contains(&"household g002 Acme".to_owned()));
    let deaths = die_everywhere(&expected, &tenant.url, &template).await;
    assert!(
        hits(&deaths, "candidates/before") == 1 && hits(&deaths, "sweep/before") == 1,
        "{deaths:?}"
    );
}

fn hits(deaths: &[(&str, u32)], place: &str) -> u32 {
    deaths.iter().find(|(name, _)| *name == place).unwrap().1
}
