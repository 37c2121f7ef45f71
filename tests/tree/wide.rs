//! A child table with one row for each parent and as many columns as a child table may be expected to have.

use blueconic_sync::model::table::{Child, Column, ColumnKind, Merge, Table};
use serde_json::{Map, Value, json};

use super::{Scene, profile, registry_with};

const COLUMNS: usize = 300;

fn leak(text: String) -> &'static str {
    text.leak()
}

/// A third texts, a third numbers, a third dates.
fn kind(place: usize) -> ColumnKind {
    [ColumnKind::Text, ColumnKind::Bigint, ColumnKind::Timestamptz][place % 3]
}

fn traits() -> &'static Table {
    let own = std::iter::once(Column::new("profile_id", ColumnKind::Text));
    let more = (0..COLUMNS).map(|place| {
        let name = leak(format!("t{place}"));
        Column::new(name, kind(place)).from(name)
    });
    Box::leak(Box::new(Table {
        name: "traits",
        columns: own.chain(more).collect::<Vec<_>>().leak(),
        key: &["profile_id"],
        merge: Merge::Child,
        children: &[],
    }))
}

fn migration() -> String {
    let columns: Vec<String> = (0..COLUMNS)
        .map(|place| {
            let kind = match kind(place) {
                ColumnKind::Bigint => "bigint",
                ColumnKind::Timestamptz => "timestamptz",
                _ => "text",
            };
            format!("t{place} {kind}")
        })
        .collect();
    format!(
        "create table blueconic.traits (
           profile_id text collate \"C\" primary key, {}, synced_at timestamptz not null
         );
         {}",
        columns.join(", "),
        super::MIGRATION
    )
}

fn element(id: &str, changed: Option<usize>) -> Value {
    let values: Map<String, Value> = (0..COLUMNS)
        .map(|place| {
            let number = 1_700_000_000_000 + i64::from(changed == Some(place));
            (
                format!("t{place}"),
                json!(number + i64::try_from(place).unwrap() * 1_000),
            )
        })
        .collect();
    let mut element = profile(id, "x", &[super::device("a", "one")]);
    element["traits"] = json!([values]);
    element
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_of_three_hundred_columns_for_each_parent_beside_many_rows_of_few() {
    let children = [
        Child::new(traits(), "traits"),
        Child::new(&super::DEVICES, "devices"),
    ];
    let scene = Scene::with(registry_with(Vec::from(children).leak()), &migration()).await;
    for id in ["p", "q", "r"] {
        scene.world.put_raw(element(id, None));
    }
    scene.walk().await;
    scene.assert_equal().await;
    scene.assert_nothing_to_write().await;
    let (rows, devices) = (
        scene.versions("blueconic.traits").await,
        scene.versions("blueconic.devices").await,
    );
    let parents = scene.versions("blueconic.profiles").await;

    scene.world.put_raw(element("q", Some(298)));
    let run = scene.walk().await;
    assert_eq!(run["rows_updated"], 1);
    let now = scene.versions("blueconic.traits").await;
    assert_eq!(now.iter().filter(|row| rows.contains(row)).count(), 2);
    let changed: i64 = scene
        .database
        .count("blueconic.traits where profile_id = 'q' and t298 = 1700000298001")
        .await;
    assert_eq!(changed, 1);
    assert_eq!(scene.versions("blueconic.devices").await, devices);
    assert_eq!(scene.versions("blueconic.profiles").await, parents);
    scene.assert_nothing_to_write().await;

    scene.world.remove("q");
    scene.walk().await;
    assert_eq!(scene.database.count("blueconic.traits").await, 2);
    scene.assert_equal().await;
}
