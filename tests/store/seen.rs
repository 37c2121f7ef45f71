//! Seen ids: what a walk read itself, what others protect, and a loss that does not go unnoticed.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::ports::{Loader as _, RunStore as _, SweepStore as _};

use crate::support::fixture::{
    PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, fixture, load, position,
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

    assert_eq!(load(&mut incrementing, seen(&["a", "b", "a"])).await.recorded, 3);
    assert_eq!(db.store.seen(walk.id).await.unwrap(), (3, 0));
    assert_eq!(db.store.seen(other.id).await.unwrap(), (3, 3));
    // What an increment protected the walk has not read; what it reads again counts once.
    assert_eq!(db.store.distinct(walk.id).await.unwrap(), 0);
    assert_eq!(load(&mut walking, seen(&["a", "c", "c", ""])).await.recorded, 3);
    assert_eq!(load(&mut walking, seen(&["a", "c"])).await.recorded, 2);
    assert_eq!(db.store.seen(walk.id).await.unwrap(), (8, 5));
    assert_eq!(db.store.distinct(walk.id).await.unwrap(), 2);

    db.store.forget(&increment, other.id).await.unwrap();
    assert_eq!(db.store.seen(other.id).await.unwrap(), (0, 0));
    assert_eq!(db.store.seen(walk.id).await.unwrap(), (8, 5));
    // Once the walk is closed, its ids are forgotten with it, and nobody writes for it any more.
    moved.position = None;
    db.store.advance(&full, &moved).await.unwrap();
    assert_eq!(db.store.seen(walk.id).await.unwrap(), (0, 0));
    load(&mut incrementing, seen(&["d"])).await;
    assert_eq!(db.store.seen(walk.id).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn ids_that_a_crash_emptied_are_missing_from_the_count() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "a", None, "x");
    let mut moved = advance();
    let blueconic_sync::model::position::Position::Cursor(mut place) = position(walk) else {
        unreachable!()
    };
    place.seen_at_least = 1;
    moved.position = Some(blueconic_sync::model::position::Position::Cursor(place.clone()));
    loader.load(batch, Some(moved)).await.unwrap();
    let kind: String = db
        .one("select relpersistence::text from pg_class where oid = 'sync.walk_seen'::regclass")
        .await;
    assert_eq!(kind, "u", "PostgreSQL empties it after a crash");
    sqlx::query("truncate sync.walk_seen")
        .execute(&db.look)
        .await
        .unwrap();
    let (all, _) = db.store.seen(walk.id).await.unwrap();
    assert!(all < place.seen_at_least, "the loss goes unnoticed");
}
