//! Which of two rows stays, what counts as changed, and what an unchanged row costs.

use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::children::CHILDLESS;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _};

use crate::support::fixture::{
    PROFILES_FULL, SEGMENTS, SEGMENTS_TABLE, add_profile, add_profile_of, add_segment, fixture, hash, load,
    print,
};

#[tokio::test]
async fn a_row_of_which_nobody_knows_when_it_was_asked_for_never_replaces_a_newer_one() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    for (modified, content, stays) in [
        (None, "none", "none"),
        (None, "none again", "none again"),
        (Some(10), "ten", "ten"),
        (Some(5), "five", "ten"),
        (None, "none later", "ten"),
        (Some(10), "ten again", "ten again"),
        (Some(11), "eleven", "eleven"),
    ] {
        let mut batch = Batch::default();
        add_profile(&mut batch, "p", modified, content);
        let written = load(&mut loader, batch).await;
        let stored: String = db
            .one("select properties -> 'name' ->> 0 from blueconic.profiles")
            .await;
        assert_eq!(stored, stays, "after {content}");
        let changed = written.inserted + written.updated;
        assert_eq!(changed + written.unchanged, 1, "{content}: {written:?}");
        assert_eq!(changed == 1, stays == content, "{content}: {written:?}");
    }
}

#[tokio::test]
async fn of_repeated_ids_in_a_batch_the_latest_stays() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "b", Some(1), "b");
    add_profile(&mut batch, "a", Some(9), "newest");
    add_profile(&mut batch, "a", Some(3), "older");
    add_profile(&mut batch, "a", None, "oldest");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.inserted, written.updated), (2, 0));
    let stored = db
        .texts("select properties -> 'name' ->> 0 from blueconic.profiles order by id")
        .await;
    assert_eq!(stored, ["newest", "b"]);
}

#[tokio::test]
async fn what_is_known_decides_what_is_decoded() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "a", None, "a");
    add_profile(&mut batch, "b", None, "b");
    load(&mut loader, batch).await;
    let known = loader
        .known(&[
            print("b", "b"),
            print("none", "x"),
            print("a", "other"),
            print("b", "b"),
        ])
        .await
        .unwrap();
    let differs = Known::Differs {
        content: hash("a"),
        children: CHILDLESS,
    };
    assert_eq!(known, [Known::Same, Known::Absent, differs, Known::Same]);
}

#[tokio::test]
async fn other_bytes_with_the_same_meaning_refresh_the_source_hash_alone() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile_of(&mut batch, "p", None, "bytes", "meaning");
    add_profile_of(&mut batch, "q", None, "bytes", "meaning");
    load(&mut loader, batch).await;
    let before: String = db
        .one("select string_agg(synced_at::text, ',' order by id) from blueconic.profiles")
        .await;

    // The usual way: known, then a refreshed hash. And the one that was staged in vain.
    loader.known(&[print("p", "bytes, other order")]).await.unwrap();
    let mut batch = Batch {
        rehash: vec![("p".to_owned(), hash("bytes, other order"))],
        ..Batch::default()
    };
    add_profile_of(&mut batch, "q", None, "bytes, other order", "meaning");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.rehashed, written.unchanged, written.updated), (2, 1, 0));
    let known = loader
        .known(&[print("p", "bytes, other order"), print("q", "bytes, other order")])
        .await
        .unwrap();
    assert_eq!(known, [Known::Same, Known::Same]);
    let after: String = db
        .one("select string_agg(synced_at::text, ',' order by id) from blueconic.profiles")
        .await;
    assert_eq!(before, after, "synced_at moved though nothing changed");
}

#[tokio::test]
async fn a_hash_is_not_refreshed_on_a_row_that_changed_meanwhile_or_is_gone() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut other = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "changed", None, "one");
    add_profile(&mut batch, "gone", None, "one");
    load(&mut loader, batch).await;
    loader
        .known(&[print("changed", "one!"), print("gone", "one!")])
        .await
        .unwrap();
    let mut batch = Batch::default();
    add_profile(&mut batch, "changed", None, "two");
    load(&mut other, batch).await;
    sqlx::query("delete from blueconic.profiles where id = 'gone'")
        .execute(&db.look)
        .await
        .unwrap();

    let rehash = vec![
        ("changed".to_owned(), hash("one!")),
        ("gone".to_owned(), hash("one!")),
    ];
    let written = load(
        &mut loader,
        Batch {
            rehash,
            ..Batch::default()
        },
    )
    .await;
    assert_eq!(written.rehashed, 0);
    let known = loader
        .known(&[print("changed", "two"), print("gone", "one!")])
        .await
        .unwrap();
    assert_eq!(
        known,
        [Known::Same, Known::Absent],
        "no placeholder may stay behind"
    );
}

#[tokio::test]
async fn an_unchanged_walk_writes_nothing_to_the_table() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let ids: Vec<String> = (0..2_000).map(|number| format!("p{number}")).collect();
    let all = || {
        let mut batch = Batch::default();
        for id in &ids {
            add_profile(&mut batch, id, Some(1), "same");
        }
        batch
    };
    load(&mut loader, all()).await;
    drop(loader);
    end_sessions(&db).await;
    let before = writes(&db).await;
    assert!(before.contains("profiles:2000,0,0"), "{before}");

    let store = crate::support::fixture::another_store(&db.options, std::time::Duration::from_secs(30)).await;
    let mut loader = store
        .loader(&crate::support::fixture::PROFILES, &lease, Some(walk))
        .await
        .unwrap();
    let prints: Vec<_> = ids.iter().map(|id| print(id, "same")).collect();
    let known = loader.known(&prints).await.unwrap();
    assert!(known.iter().all(|known| *known == Known::Same));
    let written = load(
        &mut loader,
        Batch {
            seen: ids.clone(),
            ..Batch::default()
        },
    )
    .await;
    assert_eq!((written.inserted, written.updated), (0, 0));
    // Staged all the same, as a tenant that answers in another order would make us.
    let written = load(&mut loader, all()).await;
    assert_eq!(
        (written.unchanged, written.updated, written.rehashed),
        (2_000, 0, 0)
    );
    drop(loader);
    store.disconnect().await;
    end_sessions(&db).await;
    assert_eq!(before, writes(&db).await);
}

/// A session hands in what it counted when it ends.
async fn end_sessions(db: &crate::support::fixture::Fixture) {
    db.store.disconnect().await;
    let others = "select count(*) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid() and application_name <> ''";
    while db.one::<i64>(others).await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn writes(db: &crate::support::fixture::Fixture) -> String {
    db.one(
        "select string_agg(relname || ':' || n_tup_ins || ',' || n_tup_upd || ',' || n_tup_del, ' ' order by relname)
         from pg_stat_user_tables where schemaname = 'blueconic'",
    )
    .await
}

#[tokio::test]
async fn a_list_is_updated_only_where_something_differs() {
    let db = fixture().await;
    let lease = db.lease(SEGMENTS).await;
    let mut loader = db.store.loader(&SEGMENTS_TABLE, &lease, None).await.unwrap();
    let mut batch = Batch::default();
    for id in ["c", "a", "b"] {
        add_segment(&mut batch, id, Some(5), "name");
    }
    assert_eq!(load(&mut loader, batch).await.inserted, 3);
    let mut batch = Batch::default();
    add_segment(&mut batch, "a", Some(5), "name");
    add_segment(&mut batch, "b", Some(6), "new name");
    add_segment(&mut batch, "c", Some(4), "old name");
    add_segment(&mut batch, "d", None, "name");
    let written = load(&mut loader, batch).await;
    // Its one reader read it later, whatever its date says.
    assert_eq!((written.inserted, written.updated, written.unchanged), (1, 2, 1));
    let names = db.texts("select name from blueconic.segments order by id").await;
    assert_eq!(names, ["name", "new name", "old name", "name"]);
    assert_eq!(loader.known(&[print("a", "a")]).await.unwrap(), [Known::Absent]);
}

#[tokio::test]
async fn every_kind_of_column_comes_through_copy() {
    let db = fixture().await;
    let lease = db.lease(SEGMENTS).await;
    let columns = "id text collate \"C\" primary key, t text, ta text[], b bigint, i int, f boolean,
                   w timestamptz, j jsonb, y bytea, synced_at timestamptz";
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "create table blueconic.kinds ({columns})"
    )))
    .execute(&db.look)
    .await
    .unwrap();
    let mut loader = db.store.loader(&KINDS, &lease, None).await.unwrap();
    let mut batch = Batch::default();
    let moment = chrono::DateTime::from_timestamp_micros(-1_234_567_890_123_457).unwrap();
    batch
        .rows
        .row(b"full", None, 9)
        .text("full")
        .text("Grüße \u{1f600}\n\t\\N\u{fffd}")
        .text_array(&["", "a,b", "{\"x\"}", "NULL"])
        .bigint(Some(i64::MIN))
        .int(Some(i32::MAX))
        .bool(Some(true))
        .timestamp(Some(moment))
        .jsonb(r#"{"a": ["ü", 1e400, null]}"#.as_bytes())
        .bytea(&[0, 255, 10]);
    batch
        .rows
        .row(b"empty", None, 9)
        .text("empty")
        .null()
        .text_array::<&str>(&[])
        .bigint(None)
        .int(None)
        .bool(None)
        .timestamp(None)
        .null()
        .null();
    assert_eq!(load(&mut loader, batch).await.inserted, 2);
    let full: (
        String,
        Vec<String>,
        i64,
        i32,
        bool,
        blueconic_sync::model::Time,
        String,
        Vec<u8>,
    ) = sqlx::query_as("select t, ta, b, i, f, w, j::text, y from blueconic.kinds where id = 'full'")
        .fetch_one(&db.look)
        .await
        .unwrap();
    assert_eq!(full.0, "Grüße \u{1f600}\n\t\\N\u{fffd}");
    assert_eq!(full.1, ["", "a,b", "{\"x\"}", "NULL"]);
    assert_eq!(
        (full.2, full.3, full.4, full.5),
        (i64::MIN, i32::MAX, true, moment)
    );
    assert!(full.6.starts_with(r#"{"a": ["ü", 1000"#), "{}", full.6);
    assert_eq!(full.7, [0, 255, 10]);
    let nulls: i32 = db
        .one(
            "select num_nulls(t, b, i, f, w, j, y) + cardinality(ta) from blueconic.kinds where id = 'empty'",
        )
        .await;
    assert_eq!(nulls, 7);
}

static KINDS: blueconic_sync::model::table::Table = {
    use blueconic_sync::model::table::{Column, ColumnKind as Kind, Merge, Table};
    Table {
        name: "kinds",
        columns: &[
            Column::new("id", Kind::Text),
            Column::new("t", Kind::Text),
            Column::new("ta", Kind::TextArray),
            Column::new("b", Kind::Bigint),
            Column::new("i", Kind::Int),
            Column::new("f", Kind::Bool),
            Column::new("w", Kind::Timestamptz),
            Column::new("j", Kind::Jsonb),
            Column::new("y", Kind::Bytea),
        ],
        key: &["id"],
        merge: Merge::Upsert,
        children: &[],
    }
};

#[tokio::test]
async fn a_batch_that_the_server_refuses_leaves_the_loader_usable() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "nul \0", None, "x");
    let fault = loader.load(batch, None).await.unwrap_err();
    assert!(fault.sentence().contains("0x00"), "{fault}");
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    assert_eq!(load(&mut loader, batch).await.inserted, 1);
    assert_eq!(db.texts("select id from blueconic.profiles").await, ["p"]);
}
