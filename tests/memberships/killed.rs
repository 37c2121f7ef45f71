//! The process dies before and after each commit of a load and of a sweep, and while it copies. The next walk makes up for it: the
//! memberships are those that the tenant lists. The process is this very test binary.

use std::os::unix::process::ExitStatusExt as _;

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use blueconic_sync::model::position::Scope;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::{ON, World, assert_no_orphans, memberships, profile, settings};
use crate::support::apart::{given, walk_apart};
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::described::run;

/// The test that walks in a process of its own.
const WORKER: &str = "memberships::killed::worker";

/// Where it dies, at each hit.
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
    let settings = settings(&tenant, &database, &ON);
    let app = App::start(&settings).await.unwrap();
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    let run = run(&app, &settings, "profiles", overrides).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    app.close().await.unwrap();
}

const PROFILES: u32 = 110;

fn id(number: u32) -> String {
    format!("p{number:03}")
}

fn fill(world: &World) {
    let groups = [("company", "c1"), ("household", "h1"), ("company", "c2")];
    for number in 0..PROFILES {
        let stages = [("life", "new"), ("other", "new")];
        world.put(
            &id(number),
            &groups[..number as usize % 4],
            &stages[..number as usize % 3],
        );
    }
}

/// Memberships and profiles change; profiles merge and vanish.
fn change(world: &World) {
    for number in (0..PROFILES).step_by(3) {
        world.put(&id(number), &[("company", "c2")], &[("life", "loyal")]);
    }
    for number in (1..PROFILES).step_by(9) {
        world.put_raw(profile(&id(number), "y", &[], &[]));
    }
    for number in (8..PROFILES).step_by(18) {
        world.remove(&id(number));
    }
    for number in (5..PROFILES - 10).step_by(18) {
        world.remove(&id(number));
        let mut winner = profile(&id(number + 2), "x", &[("household", "h9")], &[]);
        winner["replaces"] = json!([id(number)]);
        world.put_raw(winner);
    }
}

/// Dies at one hit of one place, and is made up for. False: it did not die, there are fewer hits.
async fn dies(expected: &[String], tenant: &str, template: &str, order: &str) -> bool {
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
    assert_eq!(memberships(&database).await, expected, "after {order}");
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
    let found = memberships(&database).await;
    database.remove(Cluster::shared()).await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let world = World::default();
    fill(&world);
    let tenant = world.tenant().await;
    let empty = Database::empty().await;
    let settings = settings(&tenant.url, &empty.url, &ON);
    let app = App::start(&settings).await.unwrap();
    app.close().await.unwrap();
    empty.pool.close().await;
    let template = create(Cluster::shared(), &empty.name).await;
    let expected = left_alone(&tenant.url, &template).await;
    assert_eq!(expected.len(), 272);
    let deaths = die_everywhere(&expected, &tenant.url, &template).await;
    assert!(
        hits(&deaths, "load/before") >= 6 && hits(&deaths, "copy/before") >= 12,
        "{deaths:?}"
    );

    let filled = Database::copy(Cluster::shared(), &template).await;
    assert!(walk_apart(WORKER, &tenant.url, &filled.url, "").await.success());
    filled.pool.close().await;
    let template = create(Cluster::shared(), &filled.name).await;
    change(&world);
    let expected = left_alone(&tenant.url, &template).await;
    // Profile 7 has what it lists, and nothing of the loser 5.
    let of_seven = expected.iter().filter(|row| row.starts_with("p007 "));
    assert_eq!(of_seven.collect::<Vec<_>>(), ["p007 household h9"]);
    let deaths = die_everywhere(&expected, &tenant.url, &template).await;
    assert!(
        hits(&deaths, "load/before") >= 5 && hits(&deaths, "sweep/before") == 1,
        "{deaths:?}"
    );
}

fn hits(deaths: &[(&str, u32)], place: &str) -> u32 {
    deaths.iter().find(|(name, _)| *name == place).unwrap().1
}
