//! Removing what a walk did not see, and nothing else.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::{CountStore as _, LoadStore as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::seen::encode;
use blueconic_sync::model::verdict::Verdict;
use blueconic_sync::model::walk::{Candidates, Walk};
use blueconic_sync::postgres::reset;
use bytes::Bytes;

use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, SEGMENTS_TABLE, add_profile, add_segment,
    advance, fixture, id_hasher, load, position, recording,
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

/// A complete walk over profiles that missed all of these ids but `seen`, up to its candidates.
async fn walked(db: &Fixture, seen: &[&str]) -> (Lease, Walk, u64) {
    release(db).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let read = Batch {
        seen: seen.iter().map(|id| (*id).to_owned()).collect(),
        ..Batch::default()
    };
    load(&mut loader, recording(walk, read)).await;
    let hasher = id_hasher(walk);
    db.store.candidates(&PROFILES, walk, &hasher).await.unwrap();
    let again = db.store.note_missing(&PROFILES, &lease, walk).await.unwrap();
    (lease, walk, again)
}

const MISSING: &str = "select concat_ws(' ', id, walks, unclear) from sync.walk_missing order by id";

#[tokio::test]
async fn what_walks_miss_in_a_row_is_kept_across_them() {
    let db = fixture().await;
    stored(&db, &["a", "b", "c", "d", "e"]).await;
    let (lease, walk, again) = walked(&db, &["e"]).await;
    assert_eq!(again, 0);
    assert_eq!(db.texts(MISSING).await, ["a 1 f", "b 1 f", "c 1 f", "d 1 f"]);
    // The same walk counts once, however often its sweep begins.
    assert_eq!(db.store.note_missing(&PROFILES, &lease, walk).await.unwrap(), 0);
    assert_eq!(
        db.store.missed_again(&PROFILES, walk, "", 9).await.unwrap(),
        Vec::<String>::new()
    );
    let kept = [("d".to_owned(), Verdict::Kept)];
    db.store.remove(&PROFILES, &lease, walk, &kept).await.unwrap();
    // Seen again: it begins anew. Unclear: it takes a look-up.
    let (_, _, again) = walked(&db, &["a"]).await;
    assert_eq!(again, 2);
    assert_eq!(db.texts(MISSING).await, ["b 2 f", "c 2 f", "d 2 t", "e 1 f"]);
    let (lease, walk, _) = walked(&db, &[]).await;
    assert_eq!(
        db.texts(MISSING).await,
        ["a 1 f", "b 3 f", "c 3 f", "d 3 t", "e 2 f"]
    );
    assert_eq!(
        db.store.missed_again(&PROFILES, walk, "b", 9).await.unwrap(),
        ["c", "e"]
    );
    let mut sample = db.store.sample(&PROFILES, walk, 9).await.unwrap();
    sample.sort();
    assert_eq!(sample, ["b", "c", "e"]);
    assert_eq!(db.store.sample(&PROFILES, walk, 2).await.unwrap().len(), 2);
    // What a look-up decides about leaves.
    let verdicts = [("b", Verdict::Deleted), ("c", Verdict::Missed(Bytes::new()))]
        .map(|(id, verdict)| (id.to_owned(), verdict));
    db.store.remove(&PROFILES, &lease, walk, &verdicts).await.unwrap();
    assert_eq!(db.texts(MISSING).await, ["a 1 f", "d 3 t", "e 2 f"]);
}

#[tokio::test]
async fn a_row_that_was_loaded_since_is_missed_for_the_first_time() {
    let db = fixture().await;
    stored(&db, &["a", "b"]).await;
    walked(&db, &[]).await;
    let lease = db.lease(PROFILES_INCREMENT).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "a", None, "changed");
    load(&mut db.profiles(&lease, None).await, batch).await;
    assert_eq!(walked(&db, &[]).await.2, 1);
    assert_eq!(db.texts(MISSING).await, ["a 1 f", "b 2 f"]);
}

#[tokio::test]
async fn another_segment_or_a_reset_forgets_what_walks_missed() {
    let db = fixture().await;
    stored(&db, &["a"]).await;
    let (lease, ..) = walked(&db, &[]).await;
    let over = |segment: &str| {
        let mut moved = advance();
        moved.segment = Some(segment.to_owned());
        moved
    };
    db.store.advance(&lease, &over("one")).await.unwrap();
    db.store.advance(&lease, &over("one")).await.unwrap();
    assert_eq!(db.texts(MISSING).await, ["a 1 f"]);
    db.store.advance(&lease, &over("two")).await.unwrap();
    assert_eq!(db.texts(MISSING).await, Vec::<String>::new());
    walked(&db, &[]).await;
    release(&db).await;
    reset::resource(&db.store, "profiles").await.unwrap();
    assert_eq!(db.texts(MISSING).await, Vec::<String>::new());
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
    db.store.after_full_walk(&PROFILES, None).await.unwrap();
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
    let later = Walk {
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
