//! The process dies before and after each commit that switches, begins or records histories, or writes sizes by day. The next walk makes up for it. The process is
//! this very test binary.

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::failpoint;
use blueconic_sync::model::position::Scope;

use super::{ALL_ON, Person, Scene, settings, settled};
use crate::support::apart::given;
use crate::support::cluster::Cluster;
use crate::support::database::{Database, create};
use crate::support::deaths::{Dying, die_everywhere, filled, left_alone};
use crate::support::described::run;
use crate::support::history::assert_history;

const PAGES: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", "100");

/// All intervals without their times, of whatever history.
const ROWS: &str = "
select concat_ws(' ', 'segment', profile_id, segment_id, is_current) from blueconic.segment_membership_history
union all select concat_ws(' ', 'consent', profile_id, objective_id, state, is_current) from blueconic.profile_consent_history
union all select concat_ws(' ', 'stage', profile_id, lifecycle_id, stage_id, is_current) from blueconic.lifecycle_stage_history
union all select concat_ws(' ', 'value', profile_id, property_id, value, is_current) from blueconic.profile_property_history
union all select concat_ws(' ', 'recorded', history, property_id, recorded_since is not null) from blueconic.recorded_histories
union all select concat_ws(' ', 'size', segment_id, profiles) from blueconic.daily_segment_sizes
order by 1";

/// The walk that begins histories.
struct Beginning;

impl Dying for Beginning {
    const WORKER: &'static str = "history::killed::worker";
    const PLACES: &'static [&'static str] = &[
        "histories/switch/before",
        "histories/switch/after",
        "histories/begin/before",
        "histories/begin/after",
        "facts/before",
        "facts/after",
    ];

    async fn rows(database: &Database) -> Vec<String> {
        database.texts(ROWS).await
    }

    async fn assert_sound(database: &Database, _has_ended: bool) {
        assert_history(database).await;
    }
}

/// The walk that records changes.
struct Recording;

impl Dying for Recording {
    const WORKER: &'static str = "history::killed::worker";
    const PLACES: &'static [&'static str] = &["load/before", "load/after", "sweep/before", "sweep/after"];

    async fn rows(database: &Database) -> Vec<String> {
        database.texts(ROWS).await
    }

    async fn assert_sound(database: &Database, _has_ended: bool) {
        assert_history(database).await;
    }
}

/// What a process of its own does; without its variables, nothing.
#[tokio::test(flavor = "multi_thread")]
async fn worker() {
    let Some((tenant, database)) = given() else {
        return;
    };
    let _orders = failpoint::listen();
    let settings = settings(&tenant, &database, &[ALL_ON.as_slice(), &[PAGES]].concat());
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
    for number in 0..400 {
        scene.put(&format!("p{number:03}"), &settled(number));
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
    let expected = left_alone::<Beginning>(&tenant.url, &template).await;
    let deaths = die_everywhere::<Beginning>(&expected, &tenant.url, &template).await;
    assert_eq!(deaths.at("histories/switch/before"), 1, "{deaths:?}");
    assert_eq!(deaths.at("histories/begin/before"), 1, "{deaths:?}");
    assert_eq!(deaths.at("facts/before"), 1, "{deaths:?}");

    let template = filled::<Beginning>(&tenant.url, &template).await;
    {
        let mut held = held.lock().unwrap();
        for number in (0..300).step_by(10) {
            let changed = Person {
                tier: Some("silver".to_owned()),
                ..Person::within(&["b"])
            };
            held.put(changed.sent(&format!("p{number:03}")));
        }
        for number in [1, 101] {
            held.remove(&format!("p{number:03}"));
        }
        held.remove("p203");
        let winner = Person {
            replaces: ["p203".to_owned()].into(),
            ..settled(4)
        };
        held.put(winner.sent("p004"));
    }
    let expected = left_alone::<Recording>(&tenant.url, &template).await;
    let ended = expected.iter().filter(|row| row.ends_with(" f"));
    assert!(ended.count() > 30);
    let deaths = die_everywhere::<Recording>(&expected, &tenant.url, &template).await;
    assert!(
        deaths.at("load/before") >= 4 && deaths.at("sweep/before") >= 1,
        "{deaths:?}"
    );
}
