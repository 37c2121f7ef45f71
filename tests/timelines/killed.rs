//! The process dies before and after each commit of a load and of a sweep, and while it copies. The next walk makes up for it. Every
//! event that the tenant ever listed for a profile is there, under the profile's own id. The process is this very test binary.

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{World, assert_no_orphans, event, events, profile, settings};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled, left_alone};
use crate::support::described::run;

/// The walk that dies.
struct Timelines;

impl Dying for Timelines {
    const WORKER: &'static str = "timelines::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "load/before",
        "load/after",
        "copy/before",
        "sweep/before",
        "sweep/after",
        "page/tail/after",
        "partitions/staged/before",
        "partitions/staged/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        events(database).await
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
    let settings = settings(&tenant, &database, &[]);
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
    for number in 0..PROFILES {
        let listed = [
            event("order", "a", 1, "one"),
            event("view", "a", 2, "two"),
            event("order", "c", 3, "three"),
        ];
        world.put(&id(number), &listed[..number as usize % 4]);
    }
}

/// Timelines change and are forgotten; profiles change, merge and vanish.
fn change(world: &World) {
    for number in (0..PROFILES).step_by(3) {
        world.put(
            &id(number),
            &[event("order", "a", 1, "changed"), event("order", "d", 4, "new")],
        );
    }
    for number in (1..PROFILES).step_by(9) {
        world.put_raw(profile(&id(number), "y", &[]));
    }
    for number in (8..PROFILES).step_by(18) {
        world.remove(&id(number));
    }
    for number in (5..PROFILES - 10).step_by(18) {
        world.remove(&id(number));
        let mut winner = profile(&id(number + 2), "x", &[event("order", "e", 5, "of the winner")]);
        winner["replaces"] = json!([id(number)]);
        world.put_raw(winner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let world = World::default();
    fill(&world);
    let tenant = world.tenant().await;
    let empty = Database::empty().await;
    let settings = settings(&tenant.url, &empty.url, &[]);
    let app = App::start(&settings).await.unwrap();
    app.close().await.unwrap();
    empty.pool.close().await;
    let template = create(Cluster::shared(), &empty.name).await;
    let expected = left_alone::<Timelines>(&tenant.url, &template).await;
    assert_eq!(expected.len(), 163);
    let deaths = die_everywhere::<Timelines>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 6
            && deaths.at("copy/before") >= 12
            && deaths.at("partitions/staged/before") >= 1,
        "{deaths:?}"
    );

    let template = filled::<Timelines>(&tenant.url, &template).await;
    change(&world);
    let expected = left_alone::<Timelines>(&tenant.url, &template).await;
    // Profile 7 has what it had, what the loser 5 had, and what it lists.
    let of_seven = expected.iter().filter(|row| row.starts_with("p007 "));
    assert_eq!(of_seven.count(), 4, "{expected:#?}");
    let deaths = die_everywhere::<Timelines>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 5 && deaths.at("sweep/before") == 1,
        "{deaths:?}"
    );
}
