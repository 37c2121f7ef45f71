//! Profiles that come while histories are recorded.

use super::{ALL_ON, HISTORY, Person, STAGES_READ, Scene, settled};

/// Who arrived.
async fn arrived(scene: &Scene) -> Vec<String> {
    let ids = "select profile_id from sync.profile_arrivals order by 1";
    scene.database.texts(ids).await
}

/// The histories of a profile that are not of segments: what it had, the walk that brought it and the one that ended it, or 0.
async fn others(scene: &Scene, profile: &str) -> Vec<String> {
    let rows = format!(
        "with own as materialized (
           select objective_id as about, valid_from, valid_to from blueconic.profile_consent_history where profile_id = '{profile}'
           union all
           select stage_id, valid_from, valid_to from blueconic.lifecycle_stage_history where profile_id = '{profile}'
           union all
           select value, valid_from, valid_to from blueconic.profile_property_history where profile_id = '{profile}'
         )
         select concat_ws(' ', about, (select count(*) from sync.runs as r where r.resource = 'profiles' and r.started_at <= valid_from), '-',
           (select count(*) from sync.runs as r where r.resource = 'profiles' and r.started_at <= valid_to and valid_to is not null))
         from own order by 1"
    );
    scene.database.texts(&rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_says_when_a_profile_came_until_what_it_had_ends() {
    let scene = Scene::recording().await;
    // A whole page of new ones is copied, one beside known ones is merged.
    for number in 40..80 {
        scene.put(&format!("p{number}"), &settled(number));
    }
    scene.put("p005", &settled(5));
    scene.walk().await;
    assert_eq!((arrived(&scene).await.len(), scene.stored().await), (41, 0));
    for new in ["p005", "p41"] {
        assert_eq!(scene.segments_of(new).await, ["a 2 -", "odd 2 -"], "{new}");
        assert_eq!(
            others(&scene, new).await,
            ["gold 2 - 0", "mail 2 - 0", "new 2 - 0"],
            "{new}"
        );
    }
    assert_eq!(scene.segments_of("p01").await, ["a 1 -", "odd 1 -"]);

    let changed = Person {
        tier: Some("silver".to_owned()),
        stages: [("life".to_owned(), "loyal".to_owned())].into(),
        consented: [].into(),
        ..Person::within(&["a", "b"])
    };
    scene.put("p41", &changed);
    scene.walk().await;
    assert_eq!(scene.segments_of("p41").await, ["a 2 -", "b 3 -", "odd 2 - 3"]);
    let ended = [
        "gold 2 - 3",
        "loyal 3 - 0",
        "mail 2 - 3",
        "new 2 - 3",
        "silver 3 - 0",
    ];
    assert_eq!(others(&scene, "p41").await, ended);

    // Who leaves is no longer there, and gets an interval for each thing when back.
    scene.remove("p41");
    scene.remove("p42");
    let winner = Person {
        replaces: ["p42".to_owned()].into(),
        ..settled(44)
    };
    scene.put("p44", &winner);
    scene.walk().await;
    assert_eq!(arrived(&scene).await.len(), 39);
    assert_eq!(
        scene.segments_of("p41").await,
        ["a 2 - 4", "b 3 - 4", "odd 2 - 3"]
    );
    assert_eq!(scene.segments_of("p42").await, ["a 2 - 4", "even 2 - 4"]);
    scene.put("p41", &settled(41));
    scene.walk().await;
    assert_eq!(arrived(&scene).await.len(), 39);
    assert_eq!(
        scene.segments_of("p41").await,
        ["a 2 - 4", "a 5 -", "b 3 - 4", "odd 2 - 3", "odd 5 -"]
    );
    assert_eq!(
        others(&scene, "p41").await,
        [
            "gold 5 - 0",
            "loyal 3 - 4",
            "mail 2 - 3",
            "mail 5 - 0",
            "new 2 - 3",
            "new 5 - 0"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_switched_on_later_begins_later() {
    let scene = Scene::recording().await;
    scene.put("p50", &settled(50));
    scene.walk().await;
    let scene = scene.restarted(&[STAGES_READ, (HISTORY[1], "true")]).await;
    scene.walk().await;
    assert_eq!(arrived(&scene).await, ["p50"], "consent has been recorded since");
    let scene = scene.restarted(&ALL_ON).await;
    scene.walk().await;
    assert_eq!(scene.segments_of("p50").await, ["a 4 -", "even 4 -"]);
    assert_eq!(
        others(&scene, "p50").await,
        ["gold 4 - 0", "mail 2 - 0", "new 4 - 0"]
    );
    let scene = scene.restarted(&[]).await;
    scene.walk().await;
    assert_eq!(arrived(&scene).await, [""; 0], "nothing is recorded");
}

/// As if the clock had been ahead when the profile came.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_before_its_profile_came_was_never_there() {
    let scene = Scene::recording().await;
    scene.put("p50", &settled(50));
    scene.walk().await;
    let ahead = "update sync.profile_arrivals set arrived_at = now() + interval '1 hour'";
    scene.database.run(ahead).await;
    scene.put("p50", &Person::within(&["even"]));
    scene.walk().await;
    assert_eq!(scene.stored().await, 0);
    let segments =
        "select segment_id from blueconic.segment_membership_history where profile_id = 'p50' order by 1";
    assert_eq!(scene.database.texts(segments).await, ["allvisitors", "even"]);
}
