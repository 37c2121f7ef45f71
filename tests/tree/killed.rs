//! The process dies before and after each commit of a load and of a sweep, and while it copies; the next walk makes up for it,
//! and the tables are those of the tenant, with no child that belongs to nobody. The process is this very test binary, since
//! the program itself knows nothing of the child table.

use blueconic_sync::app::App;
use blueconic_sync::failpoint;
use serde_json::json;

use super::{World, assert_no_orphans, device, devices, profile, registry, settings, walk};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled};

/// The walk that dies.
struct Devices;

impl Dying for Devices {
    const WORKER: &'static str = "tree::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "load/before",
        "load/after",
        "copy/before",
        "sweep/before",
        "sweep/after",
        "page/tail/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        devices(database).await
    }

    async fn assert_sound(database: &Database, _has_ended: bool) {
        assert_no_orphans(database).await;
    }
}

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
    let deaths = die_everywhere::<Devices>(&world.devices(), &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 6 && deaths.at("copy/before") >= 12,
        "{deaths:?}"
    );

    let template = filled::<Devices>(&tenant.url, &template).await;
    change(&world);
    let deaths = die_everywhere::<Devices>(&world.devices(), &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 5 && deaths.at("sweep/before") == 1,
        "{deaths:?}"
    );
}
