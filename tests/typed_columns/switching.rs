//! Typed columns are switched on and off, and properties are stored as a whole or as the rest.

use serde_json::json;

use super::{OFF, REST, Scene};

async fn scene_of(count: usize, more: &[(&str, &str)]) -> Scene {
    let scene = Scene::with(more).await;
    scene.lists("name", "None", "BOTH").await;
    scene.lists("visits", "RANGE", "SUM").await;
    for number in 0..count {
        scene.put(
            &format!("p{number}"),
            &json!({"name": ["x"], "visits": [number.to_string()], "other": ["y"]}),
        );
    }
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_switched_off_are_empty_and_are_filled_when_they_are_on_again() {
    let scene = scene_of(30, &[OFF]).await;
    scene.walk().await;
    assert_eq!(scene.database.count("blueconic.profiles_wide").await, 0);
    let scene = scene.restarted(&[]).await;
    let run = scene.walk().await;
    assert_eq!(
        (&run["rows_unchanged"], &run["rows_updated"]),
        (&json!(30), &json!(0)),
        "{run}"
    );
    assert_eq!(
        scene
            .database
            .count("blueconic.profiles_wide where name = 'x'")
            .await,
        30
    );
    let scene = scene.restarted(&[OFF]).await;
    scene.put("p1", &json!({"name": ["other"]}));
    scene.walk().await;
    assert_eq!(scene.database.count("blueconic.profiles_wide").await, 0);
    let scene = scene.restarted(&[]).await;
    scene.walk().await;
    assert_eq!(
        scene
            .database
            .count("blueconic.profiles_wide where name = 'other'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_what_no_column_holds_and_the_view_has_all() {
    let scene = scene_of(30, &[REST]).await;
    scene.put(
        "odd",
        &json!({"name": ["a", "b"], "visits": ["007"], "empty": []}),
    );
    scene.walk().await;
    let rest = "select distinct properties::text from blueconic.profiles where id <> 'odd'";
    assert_eq!(scene.texts(rest).await, [r#"{"other": ["y"]}"#]);
    let odd = "select properties::text from blueconic.profiles where id = 'odd'";
    assert_eq!(scene.texts(odd).await, [r#"{"empty": [], "visits": ["007"]}"#]);
    let all = "select properties::text from blueconic.profiles_json where id in ('odd', 'p7') order by id";
    assert_eq!(
        scene.texts(all).await,
        [
            r#"{"name": ["a", "b"], "empty": [], "visits": ["007"]}"#,
            r#"{"name": ["x"], "other": ["y"], "visits": ["7"]}"#,
        ]
    );
    assert_eq!(scene.walk().await["rows_unchanged"], 31);
    let scene = scene.restarted(&[]).await;
    assert_eq!(scene.walk().await["rows_updated"], 31);
    assert_eq!(scene.database.count("blueconic.profiles as p join blueconic.profiles_json as j on j.id = p.id where j.properties = p.properties").await, 31);
}

/// While a query holds the views, they cannot put the columns and the rest together: that run stores all properties.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_way_delays_the_rest() {
    let scene = scene_of(30, &[]).await;
    scene.walk().await;
    let scene = scene.restarted(&[REST]).await;
    let mut reader = scene.database.pool.begin().await.unwrap();
    sqlx::query("select from blueconic.profiles_json")
        .execute(&mut *reader)
        .await
        .unwrap();
    scene.put("p3", &json!({"name": ["new"], "other": ["z"]}));
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 1, "{run}");
    let whole = r#"{"name": ["new"], "other": ["z"]}"#;
    let of_p3 = |relation: &str| format!("select properties::text from blueconic.{relation} where id = 'p3'");
    assert_eq!(scene.texts(&of_p3("profiles_json")).await, [whole]);
    reader.commit().await.unwrap();
    assert_eq!(scene.walk().await["rows_updated"], 30);
    assert_eq!(scene.texts(&of_p3("profiles_json")).await, [whole]);
    assert_eq!(scene.texts(&of_p3("profiles")).await, [r#"{"other": ["z"]}"#]);
}

/// What a property's column holds is not lost when the property gets another type, goes, or comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_stays_whole_when_the_catalogue_changes() {
    let scene = scene_of(30, &[REST]).await;
    scene.walk().await;
    let all = "select id || properties::text from blueconic.profiles_json order by id";
    let before = scene.texts(all).await;
    scene.lists("name", "RANGE", "BOTH").await;
    scene.lists("other", "None", "BOTH").await;
    scene
        .database
        .run("delete from blueconic.profile_properties where id = 'visits'")
        .await;
    scene.walk().await;
    assert_eq!(scene.texts(all).await, before);
    scene.put(
        "p3",
        &json!({"name": ["x", "5"], "visits": ["3"], "other": ["z"]}),
    );
    scene.walk().await;
    let row = "select properties::text from blueconic.profiles_json where id = 'p3'";
    assert_eq!(
        scene.texts(row).await,
        [r#"{"name": ["x", "5"], "other": ["z"], "visits": ["3"]}"#]
    );
}
