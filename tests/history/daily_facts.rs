//! Sizes by day: what they say, when they are measured anew, and that earlier days stay.

use serde_json::json;

use super::{Person, Scene, settled};

const SIZES: &str = "select concat_ws(' ', segment_id, profiles) from blueconic.daily_segment_sizes
                     where day = (sync.clock() at time zone 'UTC')::date order by 1";
const KINDS: &str = "select concat_ws(' ', coalesce(is_known::text, 'unclear'), privacy_legislation, permission_level, profiles)
                     from blueconic.daily_profile_counts
                     where day = (sync.clock() at time zone 'UTC')::date order by 1";
const FILL: &str = "select concat_ws(' ', property_id, profiles) from blueconic.daily_property_fill
                    where day = (sync.clock() at time zone 'UTC')::date order by 1";
/// As if all had been measured two hours ago.
const AGE: &str = "update blueconic.daily_profile_counts set measured_at = measured_at - interval '2 hours'";
const TYPED_OFF: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__PROFILES__TYPED_COLUMNS", "false");
const FACTS_OFF: (&str, &str) = ("BLUECONIC_SYNC__RESOURCES__PROFILES__DAILY_FACTS", "false");

/// Thirty profiles, of which all but p05 have a tier, which the tenant indexes, and one has a city.
async fn scene(more: &[(&str, &str)]) -> Scene {
    let scene = Scene::with(more).await;
    scene
        .database
        .run(
            "insert into blueconic.profile_properties (id, filter_type, indexed, synced_at)
             values ('tier', 'None', true, now()), ('city', 'None', false, now()), ('none', 'None', false, now())",
        )
        .await;
    for number in 0..30 {
        let mut person = settled(number);
        if number == 5 {
            (person.tier, person.city) = (None, Some("Utrecht".to_owned()));
        }
        let mut sent = person.sent(&format!("p{number:02}"));
        if number < 10 {
            sent["privacyLegislation"] = "GDPR".into();
            sent["permissions"] = json!({"level": "PERSONAL"});
        }
        scene.held.lock().unwrap().put(sent);
    }
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_measures_at_its_end_and_an_hour_later_again() {
    let scene = scene(&[]).await;
    scene.walk().await;
    assert_eq!(
        scene.database.texts(SIZES).await,
        ["a 30", "allvisitors 30", "even 15", "odd 15"]
    );
    let kinds = scene.database.texts(KINDS).await;
    assert_eq!(
        kinds.iter().filter(|kind| kind.starts_with("false")).count(),
        1,
        "{kinds:?}"
    );
    let sum = |condition: &str| {
        format!(
            "select coalesce(sum(profiles), 0)::bigint from blueconic.daily_profile_counts where {condition}"
        )
    };
    assert_eq!(scene.database.one::<i64>(&sum("true")).await, 30);
    assert_eq!(scene.database.one::<i64>(&sum("is_known")).await, 29);
    assert_eq!(
        scene
            .database
            .one::<i64>(&sum(
                "permission_level = 'PERSONAL' and privacy_legislation = 'GDPR'"
            ))
            .await,
        10
    );
    assert_eq!(scene.database.texts(FILL).await, ["city 1", "none 0", "tier 29"]);

    // Within the hour nothing is measured again.
    scene.put("p05", &Person::within(&["b"]));
    scene.walk().await;
    assert!(scene.database.texts(SIZES).await.contains(&"odd 15".to_owned()));
    // Then what is no longer there leaves, and earlier days stay.
    scene
        .database
        .run(
            "insert into blueconic.daily_segment_sizes
             select day - 1, segment_id, profiles, measured_at from blueconic.daily_segment_sizes;
             insert into blueconic.daily_profile_counts
             select day - 1, is_known, privacy_legislation, permission_level, profiles, measured_at from blueconic.daily_profile_counts",
        )
        .await;
    for number in (1..30).step_by(2) {
        scene.put(&format!("p{number:02}"), &Person::within(&["b"]));
    }
    scene.database.run(AGE).await;
    scene.walk().await;
    assert_eq!(
        scene.database.texts(SIZES).await,
        ["a 15", "allvisitors 30", "b 15", "even 15"]
    );
    assert_eq!(scene.database.texts(FILL).await, ["city 0", "none 0", "tier 15"]);
    assert_eq!(
        scene
            .database
            .one::<i64>(&sum("day = (sync.clock() at time zone 'UTC')::date"))
            .await,
        30
    );
    let yesterday = "blueconic.daily_segment_sizes where day < (sync.clock() at time zone 'UTC')::date";
    assert_eq!(scene.database.count(yesterday).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_not_said() {
    let scene = scene(&[TYPED_OFF]).await;
    scene.walk().await;
    let kinds = scene.database.texts(KINDS).await;
    assert!(kinds.iter().all(|kind| kind.starts_with("unclear")), "{kinds:?}");
    assert_eq!(scene.database.texts(FILL).await, [""; 0]);
    assert_eq!(scene.database.texts(SIZES).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn off_measures_nothing() {
    let scene = scene(&[FACTS_OFF]).await;
    scene.walk().await;
    for table in ["segment_sizes", "profile_counts", "property_fill"] {
        assert_eq!(scene.database.count(&format!("blueconic.daily_{table}")).await, 0);
    }
}
