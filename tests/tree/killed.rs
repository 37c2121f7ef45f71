//! The process dies before and after each commit of a load and of a sweep, and while it copies; the next walk makes up for it,
//! and the tables are those of the tenant, with no child that belongs to nobody. The process is this very test binary, since
//! the program itself knows nothing of the child table.

use std::os::unix::process::ExitStatusExt as _;

use blueconic_sync::app::App;
use blueconic_sync::failpoint;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::{World, assert_no_orphans, device, devices, profile, registry, settings, walk};
use crate::support::apart::{given, walk_apart};
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};

/// The test that walks in a process of its own.
const WORKER: &str = "tree::killed::worker";

/// Where it dies. At `load` and `copy` it does so at each hit.
const PLACES: [&str; 6] = [
    "load/before",
    "load/after",
    "copy/before",
    "sweep/before",
    "sweep/after",
    "page/tail/after",
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
    let settings = settings(&tenant, &database, registry());
    let app = App::start(&settings).await.unwrap();
    let run = walk(&app, &settings).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    app.close().await.unwrap();
}

fn fill(world: &World) {
    for number in 0..110 {
        let devices = [("a", "one"), ("b", "two"), ("c", "three")];
        world.put(&format!("p{number:03}"), "x", &devices[..number % 4]);
    }
}

/// Children change, come and go; parents change, merge and vanish.
fn change(world: &World) {
    for number in (0..110).step_by(3) {
        world.put(&format!("p{number:03}"), "x", &[("a", "changed"), ("d", "new")]);
    }
    for number in (1..110).step_by(9) {
        world.put(&format!("p{number:03}"), "y", &[]);
    }
    for number in (8..110).step_by(18) {
        world.remove(&format!("p{number:03}"));
    }
    for number in (5..100).step_by(18) {
        world.remove(&format!("p{number:03}"));
        let mut winner = profile(
            &format!("p{:03}", number + 2),
            "x",
            &[device("e", "of the winner")],
        );
        winner["replaces"] = json!([format!("p{number:03}")]);
        world.put_raw(winner);
    }
}

/// Dies at one hit of one place, and is made up for. False: it did not die, there are fewer hits.
async fn dies(world: &World, tenant: &str, template: &str, order: &str) -> bool {
    let database = Database::copy(Cluster::shared(), template).await;
    let ended = walk_apart(WORKER, tenant, &database.url, order).await;
    let died = ended.signal() == Some(9);
    assert!(died || ended.success(), "{order}: {ended:?}");
    assert_no_orphans(&database).await;
    if died {
        assert!(
            walk_apart(WORKER, tenant, &database.url, "").await.success(),
            "after {order}"
        );
    }
    assert_eq!(devices(&database).await, world.devices(), "after {order}");
    assert_no_orphans(&database).await;
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
async fn die_everywhere(world: &World, tenant: &str, template: &str) -> Vec<(&'static str, u32)> {
    stream::iter(PLACES)
        .map(|place| async move {
            for hit in 0..MOST_HITS {
                let order = format!("{place}={hit}*off->return(kill)");
                if !dies(world, tenant, template, &order).await {
                    return (place, hit);
                }
            }
            panic!("{place}: no end of hits");
        })
        .buffered(PLACES.len())
        .collect()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let world = World::default();
    fill(&world);
    let tenant = world.tenant().await;
    let empty = Database::empty().await;
    let settings = settings(&tenant.url, &empty.url, registry());
    let app = App::start(&settings).await.unwrap();
    app.close().await.unwrap();
    empty.run(super::MIGRATION).await;
    empty.pool.close().await;
    let template = create(Cluster::shared(), &empty.name).await;
    let deaths = die_everywhere(&world, &tenant.url, &template).await;
    assert!(
        hits(&deaths, "load/before") >= 6 && hits(&deaths, "copy/before") >= 12,
        "{deaths:?}"
    );

    let filled = Database::copy(Cluster::shared(), &template).await;
    assert!(walk_apart(WORKER, &tenant.url, &filled.url, "").await.success());
    filled.pool.close().await;
    let template = create(Cluster::shared(), &filled.name).await;
    change(&world);
    let deaths = die_everywhere(&world, &tenant.url, &template).await;
    assert!(
        hits(&deaths, "load/before") >= 5 && hits(&deaths, "sweep/before") == 1,
        "{deaths:?}"
    );
}

fn hits(deaths: &[(&str, u32)], place: &str) -> u32 {
    deaths.iter().find(|(name, _)| *name == place).unwrap().1
}
