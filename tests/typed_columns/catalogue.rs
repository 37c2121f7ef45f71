//! Typed columns follow the catalogue of properties: what comes, goes, is renamed or gets another type. Nothing that depends on the views
//! breaks, and queries wait for no change.

use std::sync::Arc;

use blueconic_sync::model::ports::ColumnStore as _;
use blueconic_sync::model::property_columns::WantedColumns;
use blueconic_sync::model::status::{ColumnUse, StaleColumn};
use serde_json::json;

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_property_is_filled_in_stored_profiles() {
    let scene = Scene::new().await;
    for number in 0..50 {
        scene.put(
            &format!("p{number}"),
            &json!({"visits": [number.to_string()], "name": ["x"]}),
        );
    }
    scene.walk().await;
    scene.lists("visits", "RANGE", "SUM").await;
    let run = scene.walk().await;
    assert_eq!(run["rows_unchanged"], 50, "{run}");
    let sum: i64 = scene
        .database
        .one("select sum(visits)::bigint from blueconic.profiles_wide")
        .await;
    assert_eq!(sum, 49 * 50 / 2);
    // A later one leaves the rows of profiles without it as they are.
    let versions = "select id || xmin::text from blueconic.profile_columns_1 order by id";
    let before = scene.texts(versions).await;
    scene.put("p7", &json!({"visits": ["7"], "name": ["x"], "late": ["1"]}));
    scene.walk().await;
    scene.lists("late", "RANGE", "SUM").await;
    scene.walk().await;
    let after = scene.texts(versions).await;
    assert_eq!(before.iter().filter(|row| !after.contains(row)).count(), 1);
    assert_eq!(
        scene
            .database
            .count("blueconic.profiles_wide where late = 1")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_the_view_outlives_every_change_of_the_catalogue() {
    let scene = Scene::new().await;
    scene.lists("a", "None", "LATEST").await;
    scene.lists("b", "None", "LATEST").await;
    scene.put("p", &json!({"a": ["12"], "b": ["x", "y"]}));
    scene.walk().await;
    scene
        .database
        .run("create view public.report as select id, a, b from blueconic.profiles_wide")
        .await;
    let report = "select concat_ws('|', id, a, b) from public.report";
    assert_eq!(scene.texts(report).await, ["p|12|x"]);
    assert_eq!(scene.status().await.stale_uses, []);

    scene
        .database
        .run("delete from blueconic.profile_properties where id = 'b'")
        .await;
    scene.walk().await;
    assert_eq!(scene.texts(report).await, ["p|12"]);
    let stale = |column: &str, why| ColumnUse {
        relation: "public.report".to_owned(),
        column: column.to_owned(),
        why,
    };
    assert_eq!(scene.status().await.stale_uses, [stale("b", StaleColumn::Gone)]);
    scene.lists("b", "None", "BOTH").await;
    scene.lists("a", "RANGE", "LATEST").await;
    scene.walk().await;
    assert_eq!(scene.texts(report).await, ["p|12|x"]);
    let new =
        "select jsonb_build_object('a_bigint', a_bigint, 'b_all', b_all)::text from blueconic.profiles_wide";
    let row: serde_json::Value = serde_json::from_str(&scene.texts(new).await[0]).unwrap();
    assert_eq!(row, json!({"a_bigint": 12, "b_all": ["x", "y"]}));
    assert_eq!(
        scene.status().await.stale_uses,
        [stale("a", StaleColumn::Retyped)]
    );

    scene
        .database
        .run("update blueconic.profile_properties set name = 'Another name' where id = 'a'")
        .await;
    scene.walk().await;
    let comment = "select col_description('blueconic.profiles_wide'::regclass, attnum)
                   from pg_attribute where attrelid = 'blueconic.profiles_wide'::regclass and attname = 'a_bigint'";
    let comment: String = scene.database.one(comment).await;
    assert_eq!(comment, "Another name. Property a, type RANGE.");
}

/// A release that makes other views over the same columns makes them anew.
#[tokio::test(flavor = "multi_thread")]
async fn views_of_an_earlier_release_are_made_anew() {
    let scene = Scene::new().await;
    scene.lists("a", "RANGE", "LATEST").await;
    scene.put("p", &json!({"a": ["1"]}));
    scene.walk().await;
    scene
        .database
        .run(
            "update sync.column_layout set views_version = 1;
             create or replace view blueconic.profiles_wide as
             select id, created_at, modified_at, privacy_legislation, permission_level, problems, synced_at, -a as a
             from blueconic.profile_columns_1",
        )
        .await;
    let values = "select a::text from blueconic.profiles_wide";
    assert_eq!(scene.texts(values).await, ["-1"]);
    scene.walk().await;
    assert_eq!(scene.texts(values).await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_columns_than_one_table_and_one_view_hold_are_spread() {
    let scene = Scene::new().await;
    scene
        .database
        .run(
            "insert into blueconic.profile_properties (id, filter_type, synced_at)
             select 'p' || n, 'RANGE', now() from generate_series(1, 1650) as n",
        )
        .await;
    scene.put("few", &json!({"p1": ["1"], "p999": ["2"], "p500": ["3"]}));
    scene.walk().await;
    let first = "select concat_ws('|', p1, p500, p2) from blueconic.profiles_wide";
    assert_eq!(scene.texts(first).await, ["1|3"]);
    let second = "select concat_ws('|', id, p999, p998) from blueconic.profiles_wide_2 order by id";
    assert_eq!(scene.texts(second).await, ["few|2"]);

    // Beyond the first table, a row comes and goes with the values.
    let rows = "select concat_ws('|', (select count(*) from blueconic.profile_columns_1), (select count(*) from blueconic.profile_columns_2),
                  (select count(*) from blueconic.profile_columns_6))";
    let before = scene.texts(rows).await;
    scene.put("few", &json!({"p1": ["1"]}));
    scene.put("none", &json!({}));
    scene.walk().await;
    assert_eq!(scene.texts(rows).await, ["2|0|0"]);
    assert_eq!(scene.texts(second).await, ["few", "none"]);
    scene.put("few", &json!({"p1": ["1"], "p999": ["2"], "p500": ["3"]}));
    scene.put("none", &json!({"p500": ["4"], "p998": ["5"]}));
    scene.walk().await;
    assert_eq!(scene.texts(second).await, ["few|2", "none|5"]);
    assert_eq!(
        scene
            .texts("select count(*)::text from blueconic.profile_columns_6")
            .await,
        ["2"]
    );
    assert_ne!(before, ["2|0|0"]);
}

/// A query holds the view: the run goes on with the columns that are there, and a later one adds the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_way_delays_the_change_and_not_the_run() {
    let scene = Scene::new().await;
    scene.lists("a", "None", "LATEST").await;
    scene.put("p", &json!({"a": ["1"], "b": ["2"]}));
    scene.walk().await;
    let mut reader = scene.database.pool.begin().await.unwrap();
    sqlx::query("select from blueconic.profiles_wide")
        .execute(&mut *reader)
        .await
        .unwrap();
    scene.lists("b", "None", "LATEST").await;
    scene.put("q", &json!({"a": ["3"], "b": ["4"]}));
    scene.walk().await;
    assert_eq!(
        scene
            .texts("select id || a from blueconic.profiles_wide order by id")
            .await,
        ["p1", "q3"]
    );
    let postponed = scene.status().await.postponed.unwrap();
    assert!(postponed.why.contains("others hold locks"), "{postponed:?}");
    reader.commit().await.unwrap();
    scene.walk().await;
    assert_eq!(scene.status().await.postponed, None);
    assert_eq!(
        scene
            .texts("select id || a || b from blueconic.profiles_wide order by id")
            .await,
        ["p12", "q34"]
    );
}

/// So many changes of the catalogue, one after another.
const CHANGES: usize = 1_000;

/// Properties come, go, come back, are renamed and get other types. Readers have a view of their own over the first ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_changes_of_the_catalogue_break_nothing() {
    let scene = Scene::new().await;
    for id in ["first", "second"] {
        scene.lists(id, "None", "LATEST").await;
    }
    scene.put(
        "p",
        &json!({"first": ["1"], "second": ["x"], "p7": ["7"], "p8": ["8"]}),
    );
    scene.walk().await;
    scene
        .database
        .run("create view public.report as select id, first, second from blueconic.profiles_wide")
        .await;
    let wanted = WantedColumns {
        are_on: true,
        properties: Vec::new(),
        stores_rest: false,
        treatment: Arc::default(),
    };
    let kinds = ["None", "RANGE", "DECIMAL", "DATETIME"];
    for number in 0..CHANGES {
        let id = format!("p{}", number % 400);
        let change = match number % 5 {
            0 | 1 => format!(
                "insert into blueconic.profile_properties (id, synced_at) values ('{id}', now()) on conflict do nothing"
            ),
            2 => format!(
                "insert into blueconic.profile_properties (id, filter_type, merge_strategy, synced_at)
                 values ('{id}', '{0}', 'BOTH', now()) on conflict (id) do update set filter_type = '{0}'",
                kinds[number / 5 % kinds.len()]
            ),
            3 => format!(
                "update blueconic.profile_properties set name = 'name {number}' where id = 'p{}'",
                number % 100
            ),
            _ => format!(
                "delete from blueconic.profile_properties where id = 'p{}'",
                number % 50
            ),
        };
        scene.database.run(&change).await;
        let brought = scene.app.store.bring_columns(&wanted).await.unwrap();
        assert_eq!(brought.postponed, None);
        assert!(brought.columns.is_some());
    }
    scene.walk().await;
    let report = "select concat_ws('|', id, first, second) from public.report";
    assert_eq!(scene.texts(report).await, ["p|1|x"]);
    let most: i64 = scene
        .database
        .one("select max(c) from (select count(*) as c from sync.property_columns group by table_number) as tables")
        .await;
    assert!((100..=300).contains(&most), "{most}");
    assert_eq!(scene.database.count("blueconic.profiles_wide").await, 1);
}
