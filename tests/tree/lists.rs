//! A plain list fills a tree as well, by its description alone.

use std::sync::{Arc, Mutex};

use blueconic_sync::app::{App, Overrides};
use blueconic_sync::config::settings::Settings;
use blueconic_sync::model::description::{Description, List, Reading};
use blueconic_sync::model::table::{Child, Column, ColumnKind, Merge, Table};
use serde_json::{Value, json};

use super::settings;
use crate::support::database::Database;
use crate::support::described::{registry_with_list, run};
use crate::support::scripted::{list, scripted};

static PARTS: Table = Table {
    name: "gadget_parts",
    columns: &[
        Column::new("gadget_id", ColumnKind::Text),
        Column::new("number", ColumnKind::Int).from("number"),
        Column::new("tags", ColumnKind::TextArray).from("tags"),
    ],
    key: &["gadget_id", "number"],
    merge: Merge::Child,
    children: &[],
};

const GADGETS: Description = Description {
    title: "Gadgets of the tests",
    holds: "Gadgets.",
    path: "/gadgets",
    arrays: &["gadgets"],
    oauth_scope: "read:gadgets",
    table: &Table {
        name: "gadgets",
        columns: &[
            Column::new("id", ColumnKind::Text).from("id"),
            Column::new("name", ColumnKind::Text).from("name"),
        ],
        key: &["id"],
        merge: Merge::Upsert,
        children: &[Child::new(&PARTS, "built.of")],
    },
    reading: Reading::List(List {
        enabled: true,
        schedule: "11 * * * *",
        page_size: 100,
        owner: None,
        ..List::PLAIN
    }),
};

const MIGRATION: &str = "
create table blueconic.gadgets (id text collate \"C\" primary key, name text, synced_at timestamptz not null);
create table blueconic.gadget_parts (
  gadget_id text collate \"C\" not null,
  number integer not null,
  tags text[] not null,
  synced_at timestamptz not null,
  primary key (gadget_id, number)
);";

fn gadget(id: &str, parts: &[(i32, &str)]) -> Value {
    let parts: Vec<Value> = parts
        .iter()
        .map(|(number, tag)| json!({"number": number, "tags": [tag]}))
        .collect();
    json!({"id": id, "name": "n", "built": {"of": parts}})
}

async fn sync(app: &App, settings: &Settings) -> Value {
    run(app, settings, "gadgets", Overrides::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_children_is_loaded_changed_and_swept() {
    let gadgets = Arc::new(Mutex::new(vec![
        gadget("a", &[(1, "x"), (2, "y")]),
        gadget("b", &[(1, "x")]),
        gadget("c", &[]),
    ]));
    let held = Arc::clone(&gadgets);
    let tenant = scripted(move |asked| {
        let gadgets = held.lock().unwrap().clone();
        list("gadgets", asked, &gadgets, 1000, &gadgets.len().into())
    })
    .await;
    let database = Database::empty().await;
    let settings = settings(&tenant.url, &database.url, registry_with_list(GADGETS));
    let app = App::start(&settings).await.unwrap();
    database.run(MIGRATION).await;
    let parts = "select concat_ws('|', gadget_id, number, tags) from blueconic.gadget_parts order by 1";
    let versions = "select xmin::text || ctid::text from blueconic.gadget_parts order by 1";

    assert_eq!(sync(&app, &settings).await["rows_inserted"], 3);
    assert_eq!(database.texts(parts).await, ["a|1|{x}", "a|2|{y}", "b|1|{x}"]);
    let before = database.texts(versions).await;
    assert_eq!(sync(&app, &settings).await["rows_unchanged"], 3);
    assert_eq!(database.texts(versions).await, before, "nothing is written");

    *gadgets.lock().unwrap() = vec![gadget("a", &[(2, "z"), (3, "new")]), gadget("c", &[(9, "first")])];
    let run = sync(&app, &settings).await;
    assert_eq!(
        (&run["status"], &run["rows_removed"]),
        (&json!("succeeded"), &json!(1))
    );
    assert_eq!(
        database.texts(parts).await,
        ["a|2|{z}", "a|3|{new}", "c|9|{first}"]
    );

    // A broken part is the reject of its gadget.
    *gadgets.lock().unwrap() = vec![
        gadget("a", &[]),
        json!({"id": "c", "name": "n", "built": {"of": [{"tags": []}]}}),
    ];
    let run = sync(&app, &settings).await;
    assert_eq!(
        (&run["status"], &run["rows_rejected"]),
        (&json!("partial"), &json!(1))
    );
    assert_eq!(database.texts(parts).await, ["c|9|{first}"]);
    app.close().await.unwrap();
}
