//! Removing what a walk did not see, and nothing else.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::ports::{CountStore as _, LoadStore as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::seen::encode;
use blueconic_sync::model::verdict::Verdict;
use blueconic_sync::model::walk::Candidates;
use bytes::Bytes;

use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, SEGMENTS, SEGMENTS_TABLE, add_profile, add_segment, advance, fixture,
    id_hasher, load, position, recording,
};

async fn stored(db: &Fixture, ids: &[&str]) {
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    for id in ids {
        add_profile(&mut batch, id, None, "x");
    }
    load(&mut loader, batch).await;
    release(db).await;
}

/// The next walk begins after what was loaded.
async fn release(db: &Fixture) {
    sqlx::query("update sync.leases set expires_at = 'epoch'")
        .execute(&db.look)
        .await
        .unwrap();
}

#[tokio::test]
async fn candidates_are_neither_seen_nor_loaded_since() {
    let db = fixture().await;
    stored(&db, &["a", "b", "c", "d", "e"]).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let read = Batch {
        seen: vec!["b".to_owned()],
        ..Batch::default()
    };
    load(&mut loader, recording(walk, read)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "d", None, "changed");
    batch.seen.clear();
    load(&mut loader, batch).await;
    let found = db
        .store
        .candidates(&PROFILES, walk, &id_hasher(walk))
        .await
        .unwrap();
    assert_eq!(found, Candidates { stored: 5, unseen: 3 });
    assert_eq!(db.store.unseen(&PROFILES, walk, "", 2).await.unwrap(), ["a", "c"]);
    assert_eq!(db.store.unseen(&PROFILES, walk, "c", 2).await.unwrap(), ["e"]);
}

#[tokio::test]
async fn each_verdict_has_its_consequence() {
    let db = fixture().await;
    stored(
        &db,
        &["deleted", "kept", "merged", "missed", "out", "touched", "seen"],
    )
    .await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let found = db
        .store
        .candidates(&PROFILES, walk, &id_hasher(walk))
        .await
        .unwrap();
    assert_eq!(found.unseen, 7);
    // Loaded or protected between the listing of candidates and the removal.
    let mut batch = Batch::default();
    add_profile(&mut batch, "touched", None, "changed");
    batch.seen.clear();
    load(&mut loader, batch).await;
    sqlx::query("insert into sync.walk_seen (walk_id, part, read, hashes) values ($1, -1, false, $2)")
        .bind(walk.id)
        .bind(encode(vec![id_hasher(walk).hash("seen")]))
        .execute(&db.look)
        .await
        .unwrap();
    let verdicts = [
        ("deleted", Verdict::Deleted),
        ("out", Verdict::OutOfScope),
        (
            "merged",
            Verdict::Merged {
                survivor: "kept".to_owned(),
            },
        ),
        ("missed", Verdict::Missed(Bytes::new())),
        ("kept", Verdict::Kept),
        ("touched", Verdict::Deleted),
        ("seen", Verdict::Deleted),
        ("never here", Verdict::Deleted),
    ]
    .map(|(id, verdict)| (id.to_owned(), verdict));
    assert_eq!(
        db.store.remove(&PROFILES, &lease, walk, &verdicts).await.unwrap(),
        3
    );
    let left = db.texts("select id from blueconic.profiles order by id").await;
    assert_eq!(left, ["kept", "missed", "seen", "touched"]);
    let tombstones = db
        .texts(
            "select concat_ws(' ', profile_id, reason, survivor_id) from blueconic.profile_tombstones
             where run_id is not null order by 1",
        )
        .await;
    assert_eq!(
        tombstones,
        ["deleted deleted", "merged merged kept", "out out_of_scope"]
    );
    assert_eq!(
        db.texts("select profile_id from blueconic.profile_aliases").await,
        ["merged"]
    );
    assert_eq!(db.store.unseen(&PROFILES, walk, "", 9).await.unwrap(), ["kept"]);
    assert_eq!(db.seen(walk).await, (2, 0));
}

#[tokio::test]
async fn where_the_asking_stopped_is_kept_with_the_cursor() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut moved = advance();
    moved.position = Some(position(walk));
    db.store.advance(&lease, &moved).await.unwrap();
    db.store.remember_asked(&lease, Some("m")).await.unwrap();
    moved.position = None;
    db.store.advance(&lease, &moved).await.unwrap();
    let asked = async || db.store.cursor(PROFILES_FULL).await.unwrap().asked_through;
    assert_eq!(asked().await.as_deref(), Some("m"));
    db.store.remember_asked(&lease, None).await.unwrap();
    assert_eq!(asked().await, None);
}

#[tokio::test]
async fn rows_and_members_are_counted() {
    let db = fixture().await;
    assert_eq!(db.store.memberships().await.unwrap(), []);
    stored(&db, &["a", "b", "c"]).await;
    let mut members = db.store.memberships().await.unwrap();
    members.sort();
    assert_eq!(members, [("s1".to_owned(), 3), ("s2".to_owned(), 3)]);
    assert_eq!(db.store.rows(&PROFILES).await.unwrap(), 3);
    // What the planner knows nothing of is counted; else it is believed.
    assert_eq!(db.store.rows_estimated(&PROFILES).await.unwrap(), 3);
    db.store.after_full_walk(&PROFILES).await.unwrap();
    assert_eq!(db.store.rows_estimated(&PROFILES).await.unwrap(), 3);
    sqlx::query("delete from blueconic.profiles where id = 'a'")
        .execute(&db.look)
        .await
        .unwrap();
    assert_eq!(
        db.store.rows_estimated(&PROFILES).await.unwrap(),
        3,
        "no count is paid for"
    );
    assert_eq!(db.store.rows(&PROFILES).await.unwrap(), 2);
}

#[tokio::test]
async fn a_fenced_removal_removes_nothing() {
    let db = fixture().await;
    stored(&db, &["a"]).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    release(&db).await;
    db.lease(PROFILES_FULL).await;
    let fault = db
        .store
        .remove(&PROFILES, &lease, walk, &[("a".to_owned(), Verdict::Deleted)])
        .await
        .unwrap_err();
    assert_eq!(fault.kind, Kind::Fenced);
    assert_eq!(db.one::<i64>("select count(*) from blueconic.profiles").await, 1);
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.profile_tombstones")
            .await,
        0
    );
}

#[tokio::test]
async fn a_list_loses_its_rows_without_a_trace() {
    let db = fixture().await;
    let (lease, walk) = db.walk(SEGMENTS).await;
    let mut loader = db
        .store
        .loader(&SEGMENTS_TABLE, &lease, Some(walk))
        .await
        .unwrap();
    let mut batch = Batch::default();
    add_segment(&mut batch, "a", None, "a");
    add_segment(&mut batch, "b", None, "b");
    load(&mut loader, batch).await;
    let later = blueconic_sync::model::walk::Walk {
        id: uuid::Uuid::new_v4(),
        opened_at: blueconic_sync::model::ports::RunStore::now(&db.store)
            .await
            .unwrap(),
        passed: None,
    };
    db.store
        .candidates(&SEGMENTS_TABLE, later, &id_hasher(later))
        .await
        .unwrap();
    let removed = db
        .store
        .remove(
            &SEGMENTS_TABLE,
            &lease,
            later,
            &[("b".to_owned(), Verdict::Deleted)],
        )
        .await
        .unwrap();
    assert_eq!(removed, 1);
    assert_eq!(db.texts("select id from blueconic.segments").await, ["a"]);
}
