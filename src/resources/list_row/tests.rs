//! Decoding elements by a description, and elements with errors.
#![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

use super::*;
use crate::model::table::Merge;

static TABLE: Table = Table {
    name: "things",
    columns: &[
        Column::new("id", ColumnKind::Text).from("id"),
        Column::new("owner", ColumnKind::Text).from("made.by.userName"),
        Column::new("level", ColumnKind::Int).from("made.level"),
        Column::new("tags", ColumnKind::TextArray).from("tags"),
        Column::new("modified_at", ColumnKind::Timestamptz).from("changed"),
    ],
    key: &["id"],
    merge: Merge::Upsert,
    children: &[],
};

/// The rows of an element, or why it has none.
fn read(element: &str) -> Result<Rows, String> {
    let (mut rows, mut fields) = (Rows::default(), Fields::default());
    let plan = Plan::of(&TABLE, Some("group"), None);
    let message = |problem| match problem {
        Problem::NoId => "no id".to_owned(),
        Problem::Shape(why) => why,
    };
    plan.row(element.as_bytes(), &mut fields, &mut rows)
        .map_err(message)?;
    rows.deduplicate();
    Ok(rows)
}

/// The expected row, encoded by hand.
fn row(id: &str, owner: Option<&str>, level: Option<i32>, tags: &[&str]) -> Vec<u8> {
    let mut rows = Rows::default();
    let mut row = rows.row(id.as_bytes(), None, 5);
    row.text(id)
        .text_or_null(owner)
        .int(level)
        .text_array(tags)
        .timestamp(None);
    rows.deduplicate();
    rows.tuples().next().unwrap().to_vec()
}

#[test]
fn columns_are_found_by_their_paths_in_any_order_and_by_any_spelling_of_a_key() {
    for element in [
        r#"{"id":"a","made":{"by":{"userName":"u"},"level":"3"},"tags":["x","y"]}"#,
        r#"{"tags":["x",null,"y"],"other":{"id":7},"made":{"level":3.0,"by":{"userName":"u","id":1}},"\u0069d":"a"}"#,
    ] {
        let rows = read(element).unwrap();
        assert_eq!(
            rows.tuples().next().unwrap(),
            row("a", Some("u"), Some(3), &["x", "y"]),
            "{element}"
        );
    }
    for absent in [
        r#"{"id":"a"}"#,
        r#"{"id":"a","made":null,"tags":null}"#,
        r#"{"id":"a","made":{"by":null}}"#,
    ] {
        let rows = read(absent).unwrap();
        assert_eq!(
            rows.tuples().next().unwrap(),
            row("a", None, None, &[]),
            "{absent}"
        );
    }
}

#[test]
fn what_has_an_owner_is_no_element_of_the_list_and_counts_under_its_owner() {
    let owned = r#"{"id":"a","group":"g"}"#;
    assert_eq!(read(owned).unwrap().len(), 0);
    assert_eq!(read(r#"{"id":"a","group":""}"#).unwrap().len(), 1);
    let id = |element: &str, owner| identity(element.as_bytes(), "id", owner, None).ok().unwrap();
    assert_eq!(id(owned, Some("group")), "g\u{1f}a");
    assert_eq!(id(owned, None), "a");
    assert_eq!(id(r#"{"id":"a","group":null}"#, Some("group")), "a");
}

static OF_PARENT: Table = Table {
    name: "runs",
    columns: &[
        Column::new("thing_id", ColumnKind::Text),
        Column::new("run_id", ColumnKind::Text).from("runId"),
        Column::new("made_by", ColumnKind::Text).from("made.by"),
        Column::new("counts", ColumnKind::Jsonb).from("counts"),
        Column::new("body", ColumnKind::Jsonb).rest(),
    ],
    key: &["thing_id", "run_id"],
    merge: Merge::Upsert,
    children: &[],
};

#[test]
fn the_rest_keeps_what_no_column_holds_as_a_whole_and_a_parent_comes_first() {
    let plan = Plan::of(&OF_PARENT, None, Some(About::Parent("p".to_owned())));
    let element = r#"{"counts":[1,{"n":"\u0000"}],"runId":"r","made":{"by":"u","at":7},"new \"key\"":{"x":null},"none":null}"#;
    let (mut rows, mut fields) = (Rows::default(), Fields::default());
    assert!(plan.row(element.as_bytes(), &mut fields, &mut rows).is_ok());
    rows.deduplicate();
    assert_eq!(rows.ids().collect::<Vec<_>>(), ["p\u{1f}r"]);
    assert_eq!(fields.replaced, 1);
    let mut wanted = Rows::default();
    wanted
        .row(b"p", None, 5)
        .text("p")
        .text("r")
        .text("u")
        .jsonb("[1,{\"n\":\"\u{fffd}\"}]".as_bytes())
        .jsonb(br#"{"made":{"by":"u","at":7},"new \"key\"":{"x":null}}"#);
    wanted.deduplicate();
    assert_eq!(rows.tuples().next().unwrap(), wanted.tuples().next().unwrap());
    assert_eq!(id_member(&OF_PARENT), "runId");
    assert_eq!(
        identity(element.as_bytes(), "runId", None, None).ok().unwrap(),
        "r"
    );
}

#[test]
fn an_element_that_contradicts_itself_or_its_columns_is_reported() {
    for (element, says) in [
        (r#"{"id":"a","id":"b"}"#, "duplicate field `id`"),
        (
            r#"{"id":"a","made":{"level":1,"level":2}}"#,
            "duplicate field `level`",
        ),
        (
            r#"{"id":"a","made":"u"}"#,
            "`made.by.userName` is not in an object: \"u\"",
        ),
        (
            r#"{"id":"a","made":{"level":3000000000}}"#,
            "`made.level` is not a small whole number: 3000000000",
        ),
        (r#"{"id":"a","tags":7}"#, "`tags` is not a list: 7"),
        (r#"{"id":"a","changed":"soon"}"#, "`changed` is not a date: soon"),
        (r#"{"id":""}"#, "no id"),
        (r#"{"made":{}}"#, "no id"),
    ] {
        let message = read(element).unwrap_err();
        assert!(message.contains(says), "{element}: {message}");
    }
}

#[test]
fn a_listing_of_a_parent_keeps_the_elements_of_that_owner_alone() {
    let id = |element: &str| {
        identity(element.as_bytes(), "id", Some("owner"), Some("o"))
            .ok()
            .unwrap()
    };
    let (own, others, nobodys) = (
        r#"{"id": "a", "owner": "o"}"#,
        r#"{"id": "a", "owner": "p"}"#,
        r#"{"id": "a"}"#,
    );
    assert_eq!(id(own), "a");
    assert_eq!(id(others), of("p", "a"));
    assert_eq!(id(nobodys), of("", "a"));
}
