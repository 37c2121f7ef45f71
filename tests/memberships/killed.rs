//! The process dies before and after each commit of a load and of a sweep, and while it copies. The next walk makes up for it: the
//! memberships are those that the tenant lists. The process is this very test binary.

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{ON, World, assert_no_orphans, memberships, profile, settings};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled, left_alone};
use crate::support::described::run;

/// The walk that dies.
struct Memberships;

impl Dying for Memberships {
    const WORKER: &'static str = "memberships::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "load/before",
        "load/after",
        "copy/before",
        "sweep/before",
        "sweep/after",
        "page/tail/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        memberships(database).await
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
    let expected = left_alone::<Memberships>(&tenant.url, &template).await;
    assert_eq!(expected.len(), 272);
    let deaths = die_everywhere::<Memberships>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 6 && deaths.at("copy/before") >= 12,
        "{deaths:?}"
    );

    let template = filled::<Memberships>(&tenant.url, &template).await;
    change(&world);
    let expected = left_alone::<Memberships>(&tenant.url, &template).await;
    // Profile 7 has what it lists, and nothing of the loser 5.
    let of_seven = expected.iter().filter(|row| row.starts_with("p007 "));
    assert_eq!(of_seven.collect::<Vec<_>>(), ["p007 household h9"]);
    let deaths = die_everywhere::<Memberships>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 5 && deaths.at("sweep/before") == 1,
        "{deaths:?}"
    );
}
