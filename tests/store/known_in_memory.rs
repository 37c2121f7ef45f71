//! What a full walk knows of stored profiles in memory, while others change them.

use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::walk::Walk;
use blueconic_sync::postgres::erasures::{erase, lift};
use blueconic_sync::postgres::loader::PostgresLoader;

use super::erasures::waiting;
use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, fixture, load, position,
    print,
};

const ROOM: usize = 1024 * 1024;

/// A database with some profiles, and an open full walk over them.
async fn walk_over(ids: &[&str]) -> (Fixture, Lease, Walk, PostgresLoader) {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut first = db.profiles(&lease, None).await;
    load(&mut first, batch(ids, "stored")).await;
    let mut moved = advance();
    moved.position = Some(position(walk));
    db.store.advance(&lease, &moved).await.unwrap();
    let loader = db.profiles(&lease, Some(walk)).await;
    (db, lease, walk, loader)
}

fn batch(ids: &[&str], content: &str) -> Batch {
    let mut batch = Batch::default();
    for id in ids {
        add_profile(&mut batch, id, Some(1), &format!("{id} {content}"));
    }
    batch
}

async fn incrementing(db: &Fixture) -> PostgresLoader {
    let (lease, walk) = db.walk(PROFILES_INCREMENT).await;
    db.profiles(&lease, Some(walk)).await
}

/// Which of these are stored as they came, as this loader knows.
async fn same(loader: &mut PostgresLoader, ids: &[&str]) -> Vec<bool> {
    let prints: Vec<_> = ids.iter().map(|id| print(id, &format!("{id} stored"))).collect();
    let known = loader.known(&prints).await.unwrap();
    known.iter().map(|known| *known == Known::Same).collect()
}

/// Rows change behind everybody's back, which a walk does not notice that knows them in memory.
async fn change_unnoticed(db: &Fixture) {
    sqlx::query("update blueconic.profiles set source_hash = decode(repeat('00', 16), 'hex')")
        .execute(&db.look)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_known_in_memory_is_not_asked_for() {
    let (db, lease, walk, mut loader) = walk_over(&["a", "b", "c"]).await;
    let read = db.store.read_known(walk, 0, ROOM).await.unwrap();
    assert_eq!((read.known, read.are_all), (3, true));
    change_unnoticed(&db).await;
    assert_eq!(same(&mut loader, &["c", "x", "a"]).await, [true, false, true]);
    // Another lane of the walk knows the same, a later process of it or another walk does not.
    let mut lane = db.profiles(&lease, Some(walk)).await;
    assert_eq!(same(&mut lane, &["b"]).await, [true]);
    assert_eq!(same(&mut incrementing(&db).await, &["b"]).await, [false]);
    db.store.forget_known(walk);
    assert_eq!(same(&mut loader, &["a"]).await, [false]);
}

#[tokio::test]
async fn what_does_not_fit_is_looked_up() {
    let ids: Vec<String> = (0..25).map(|number| format!("p{number:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (db, _lease, walk, mut loader) = walk_over(&ids).await;
    // The smallest set.
    let read = db.store.read_known(walk, 25, 336).await.unwrap();
    assert_eq!((read.known, read.are_all), (19, false));
    let answers = same(&mut loader, &[ids.as_slice(), &["q"]].concat()).await;
    assert_eq!(answers, [vec![true; 25], vec![false]].concat());
}

#[tokio::test]
async fn a_row_that_another_walk_loaded_is_not_judged_by_memory() {
    let (db, _lease, walk, mut loader) = walk_over(&["a", "b", "loser"]).await;
    let mut increment = incrementing(&db).await;
    db.store.read_known(walk, 0, ROOM).await.unwrap();
    load(&mut increment, batch(&["a"], "changed")).await;
    assert_eq!(same(&mut loader, &["a", "b"]).await, [false, true]);
    let mut merge = batch(&["b"], "stored");
    merge.aliases.push(("loser".to_owned(), "b".to_owned()));
    load(&mut increment, merge).await;
    assert_eq!(same(&mut loader, &["loser"]).await, [false]);
}

#[tokio::test]
async fn a_row_that_the_walk_itself_changed_is_not_judged_by_memory() {
    let (db, _lease, walk, mut loader) = walk_over(&["a", "b", "loser"]).await;
    db.store.read_known(walk, 0, ROOM).await.unwrap();
    let print = print("a", "a changed");
    assert!(matches!(
        loader.known(&[print]).await.unwrap()[..],
        [Known::Differs { .. }]
    ));
    load(&mut loader, batch(&["a"], "changed")).await;
    assert_eq!(same(&mut loader, &["a"]).await, [false]);
    let mut merge = batch(&["b"], "stored");
    merge.aliases.push(("loser".to_owned(), "b".to_owned()));
    load(&mut loader, merge).await;
    assert_eq!(same(&mut loader, &["loser"]).await, [false]);
}

#[tokio::test]
async fn an_erased_person_who_may_come_back_is_loaded() {
    let (db, _lease, walk, mut loader) = walk_over(&["person", "other"]).await;
    db.store.read_known(walk, 0, ROOM).await.unwrap();
    let ids = ["person".to_owned()];
    erase::erase(&db.store, &[&PROFILES], &ids).await.unwrap();
    lift::lift(&db.store, &ids).await.unwrap();
    assert_eq!(same(&mut loader, &["person", "other"]).await, [false, true]);
    load(&mut loader, batch(&["person"], "stored")).await;
    assert_eq!(db.one::<i64>("select count(*) from blueconic.profiles").await, 2);
}

/// A load that began before the walk was there knows nothing of it, and tells it nothing: its commit is waited for.
#[tokio::test]
async fn what_is_loaded_while_a_walk_opens_is_waited_for() {
    let (db, _lease, walk, mut loader) = walk_over(&["a"]).await;
    let mut before = db.look.begin().await.unwrap();
    sqlx::query("select sync.load_beside_erasures()")
        .execute(&mut *before)
        .await
        .unwrap();
    sqlx::query("update blueconic.profiles set source_hash = decode(repeat('00', 16), 'hex')")
        .execute(&mut *before)
        .await
        .unwrap();
    let store = db.store.clone();
    let reading = tokio::spawn(async move { store.read_known(walk, 0, ROOM).await });
    waiting(&db, 1).await;
    before.commit().await.unwrap();
    reading.await.unwrap().unwrap();
    assert_eq!(same(&mut loader, &["a"]).await, [false]);
}

/// Behind the lock, an opening walk is seen though the statement began before it was there.
#[tokio::test]
async fn a_load_that_waited_for_the_opening_of_a_walk_tells_it() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut increment = incrementing(&db).await;
    let mut barrier = db.look.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(sync.erasures_lock())")
        .execute(&mut *barrier)
        .await
        .unwrap();
    let loading = tokio::spawn(async move { load(&mut increment, batch(&["a"], "stored")).await });
    waiting(&db, 1).await;
    let mut moved = advance();
    moved.position = Some(position(walk));
    db.store.advance(&lease, &moved).await.unwrap();
    barrier.commit().await.unwrap();
    loading.await.unwrap();
    assert_eq!(db.one::<i64>("select count(*) from sync.walk_notices").await, 1);
    db.store.forget(&lease, walk.id).await.unwrap();
    assert_eq!(db.one::<i64>("select count(*) from sync.walk_notices").await, 0);
}
