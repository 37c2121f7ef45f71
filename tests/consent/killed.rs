//! The process dies before and after each commit, while it copies, and while it makes partitions. The next run makes up for it, and asks for
//! no history that is stored. The process is this very test binary.

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use blueconic_sync::model::position::Scope;

use super::{World, assert_no_orphans, event, events, settings};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, left_alone};
use crate::support::described::run;

/// The run that dies.
struct Histories;

impl Dying for Histories {
    const WORKER: &'static str = "consent::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "load/before",
        "load/after",
        "copy/before",
        "partitions/staged/before",
        "partitions/staged/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        events(database).await
    }

    async fn assert_sound(database: &Database, _has_ended: bool) {
        assert_no_orphans(database).await;
        // A history is stored with the record that it was read, or neither is.
        let apart = "blueconic.consent_history as h
                     where h.events <> (select count(*) from blueconic.consent_events as e where e.profile_id = h.profile_id)";
        assert_eq!(database.count(apart).await, 0);
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
    let run = run(&app, &settings, "consent_history", Overrides::default()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    app.close().await.unwrap();
}

/// More than are loaded at once.
const PROFILES: usize = 650;

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_is_made_up_for() {
    let world = World::default();
    for number in 0..PROFILES {
        let all = [event(1, "a"), event(1, "b"), event(2, "c")];
        world.change(&format!("p{number:03}"), "x", &all[..number % 4]);
    }
    let tenant = world.tenant().await;
    let database = Database::empty().await;
    let settings = settings(&tenant.url, &database.url, &[]);
    let app = App::start(&settings).await.unwrap();
    let overrides = Overrides {
        scope: Some(Scope::Full),
        ..Overrides::default()
    };
    run(&app, &settings, "profiles", overrides).await;
    app.close().await.unwrap();
    database.pool.close().await;
    let template = create(Cluster::shared(), &database.name).await;
    let expected = left_alone::<Histories>(&tenant.url, &template).await;
    assert_eq!(expected.len(), 973);
    let deaths = die_everywhere::<Histories>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 4
            && deaths.at("copy/before") >= 8
            && deaths.at("partitions/staged/before") >= 1,
        "{deaths:?}"
    );
}
