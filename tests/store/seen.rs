//! Seen ids: what a walk read itself, what others protect, large pages, and how much of it is kept.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::ports::{Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::seen::{IdHasher, PART_ROWS, SeenIds};
use blueconic_sync::model::walk::Candidates;

use crate::support::fixture::{
    PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, fixture, id_hasher, load, position,
    recording,
};

fn seen(ids: &[&str]) -> Batch {
    Batch {
        seen: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..Batch::default()
    }
}

#[tokio::test]
async fn an_increment_protects_from_the_open_walk_and_does_not_count_for_it() {
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let mut moved = advance();
    moved.position = Some(position(walk));
    db.store.advance(&full, &moved).await.unwrap();
    let (increment, other) = db.walk(PROFILES_INCREMENT).await;
    let mut walking = db.profiles(&full, Some(walk)).await;
    let mut incrementing = db.profiles(&increment, Some(other)).await;

    load(&mut incrementing, recording(other, seen(&["a", "b", "a"]))).await;
    assert_eq!(db.seen(walk).await, (2, 0));
    assert_eq!(db.seen(other).await, (2, 2));
    // What an increment protected the walk has not read; what it reads again counts once.
    assert_eq!(db.store.distinct(&id_hasher(walk)).await.unwrap(), 0);
    load(&mut walking, recording(walk, seen(&["a", "c", "c", ""]))).await;
    load(&mut walking, recording(walk, seen(&["a", "c"]))).await;
    assert_eq!(db.seen(walk).await, (6, 4));
    assert_eq!(db.store.distinct(&id_hasher(walk)).await.unwrap(), 2);
    assert!(db.has_seen(walk, "b").await && !db.has_seen(walk, "d").await);

    db.store.forget(&increment, other.id).await.unwrap();
    assert_eq!(db.seen(other).await, (0, 0));
    assert_eq!(db.seen(walk).await, (6, 4));
    // Once the walk is closed, its ids are forgotten with it, and nobody writes for it any more.
    moved.position = None;
    db.store.advance(&full, &moved).await.unwrap();
    assert_eq!(db.seen(walk).await, (0, 0));
    load(&mut incrementing, seen(&["d"])).await;
    assert_eq!(db.seen(walk).await, (0, 0));
}

/// Each transaction asserts the lease: without it only what opens none succeeds.
#[tokio::test]
async fn an_unchanged_batch_of_a_full_walk_opens_no_transaction() {
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let mut walking = db.profiles(&full, Some(walk)).await;
    sqlx::query("update sync.leases set fence = fence + 1")
        .execute(&db.look)
        .await
        .unwrap();
    load(&mut walking, seen(&["a", "b"])).await;
    let recorded = walking.load(recording(walk, seen(&["a", "b"])), None).await;
    assert_eq!(recorded.unwrap_err().kind, Kind::Fenced);
    assert_eq!(db.seen(walk).await, (0, 0));
}

/// The hashes of a part that does not fit into memory are read in ranges.
#[tokio::test]
async fn what_does_not_fit_into_memory_is_compared_range_by_range() {
    const PAGES: u32 = 5;
    const IDS: u32 = 900_000;
    let db = fixture().await;
    let (full, before) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&full, Some(before)).await;
    let mut batch = Batch::default();
    for id in ["1", "2", "nowhere", "4"] {
        add_profile(&mut batch, id, None, "x");
    }
    load(&mut loader, batch).await;
    let (_, walk) = db.walk(PROFILES_INCREMENT).await;
    let hasher = id_hasher(walk);
    for page in 0..PAGES {
        // A tenth of each page stands on the next one, too.
        let from = page * IDS / 10 * 9;
        let ids: Vec<String> = (from..from + IDS).map(|number| number.to_string()).collect();
        let recorded = SeenIds::of(&hasher, ids.iter().map(String::as_str));
        let mut walking = db.profiles(&full, Some(walk)).await;
        load(
            &mut walking,
            Batch {
                recorded,
                ..Batch::default()
            },
        )
        .await;
    }
    assert_eq!(db.seen(walk).await.0, i64::from(PAGES * IDS));
    let different = u64::from((PAGES - 1) * IDS / 10 * 9 + IDS);
    assert_eq!(db.store.distinct(&hasher).await.unwrap(), different);
    let found = db.store.candidates(&PROFILES, walk, &hasher).await.unwrap();
    assert_eq!(found, Candidates { stored: 4, unseen: 1 });
    assert_eq!(
        db.store.unseen(&PROFILES, walk, "", 9).await.unwrap(),
        ["nowhere"]
    );
}

#[tokio::test]
async fn a_divided_table_is_compared_part_by_part() {
    let db = fixture().await;
    let (full, before) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&full, Some(before)).await;
    let mut batch = Batch::default();
    for id in ["a", "b", "ba", "c", "d", "e"] {
        add_profile(&mut batch, id, None, "x");
    }
    load(&mut loader, batch).await;
    let (_, walk) = db.walk(PROFILES_INCREMENT).await;
    let hasher = IdHasher::new(walk.id, vec!["b".to_owned(), "d".to_owned()]);
    let mut walking = db.profiles(&full, Some(walk)).await;
    for read in [&["a", "ba", "new"][..], &["d", "a"]] {
        let recorded = SeenIds::of(&hasher, read.iter().copied());
        let batch = Batch {
            recorded,
            ..Batch::default()
        };
        load(&mut walking, batch).await;
    }
    assert_eq!(db.store.distinct(&hasher).await.unwrap(), 4);
    let found = db.store.candidates(&PROFILES, walk, &hasher).await.unwrap();
    assert_eq!(found, Candidates { stored: 6, unseen: 3 });
    assert_eq!(
        db.store.unseen(&PROFILES, walk, "", 9).await.unwrap(),
        ["b", "c", "e"]
    );
    // A small table is one part.
    assert_eq!(
        db.store.divide(&PROFILES, PART_ROWS).await.unwrap(),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_large_table_is_divided_by_a_sample_of_its_ids() {
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&full, Some(walk)).await;
    for from in (0..6_000).step_by(1_000) {
        let mut batch = Batch::default();
        for number in from..from + 1_000 {
            add_profile(&mut batch, &format!("id-{number:04}"), None, "x");
        }
        loader.load(batch, None).await.unwrap();
    }
    sqlx::query("analyze blueconic.profiles")
        .execute(&db.look)
        .await
        .unwrap();
    // Its sample is half of the blocks of the table.
    let bounds = db.store.divide(&PROFILES, 200).await.unwrap();
    assert_eq!(bounds.len(), 29, "{bounds:?}");
    let mut ascending = bounds.windows(2);
    assert!(ascending.all(|pair| pair[0] < pair[1]), "{bounds:?}");
    // A bound is the start of an id, and separates ids.
    let (before, after): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where id <= $1), count(*) filter (where id > $2) from blueconic.profiles",
    )
    .bind(&bounds[0])
    .bind(&bounds[28])
    .fetch_one(&db.look)
    .await
    .unwrap();
    assert!(
        before > 0 && after > 0,
        "{before} ids before {bounds:?}, {after} after"
    );
    assert!(
        before + after < 3_000,
        "{before} ids before {bounds:?}, {after} after"
    );
}

#[tokio::test]
async fn what_a_walk_saw_survives_a_crash_and_takes_eight_bytes_a_profile() {
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let mut walking = db.profiles(&full, Some(walk)).await;
    let ids: Vec<String> = (0..10_000).map(|number| format!("profile-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for _ in 0..10 {
        load(&mut walking, recording(walk, seen(&ids))).await;
    }
    for table in ["sync.walk_seen", "sync.walk_unseen"] {
        let kind: String = db
            .one(&format!(
                "select relpersistence::text from pg_class where oid = '{table}'::regclass"
            ))
            .await;
        assert_eq!(kind, "p", "PostgreSQL would empty {table} after a crash");
    }
    let bytes: i64 = db.one("select pg_total_relation_size('sync.walk_seen')").await;
    assert!(
        (800_000..1_000_000).contains(&bytes),
        "{bytes} bytes for 100,000 ids"
    );
}
