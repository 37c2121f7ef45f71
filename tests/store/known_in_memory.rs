//! What a full walk knows of stored profiles, in memory or from a file, while others change them.

use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::walk::Walk;
use blueconic_sync::postgres::erasures::{erase, lift};
use blueconic_sync::postgres::loader::PostgresLoader;

use super::erasures::waiting;
use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, compare, fixture, load,
    position, print,
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
    let known = compare(loader, &prints).await;
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

/// The smallest set that memory can hold: 19 hashes.
const LITTLE_ROOM: usize = 336;

/// A walk over 25 profiles.
async fn walk_over_25() -> (Fixture, Lease, Walk, PostgresLoader, Vec<String>) {
    let ids: Vec<String> = (0..25).map(|number| format!("p{number:02}")).collect();
    let borrowed: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (db, lease, walk, loader) = walk_over(&borrowed).await;
    (db, lease, walk, loader, ids)
}

/// Whether each of the 25 is known to be stored, and one more is not.
async fn all_are_known(loader: &mut PostgresLoader, ids: &[String]) -> bool {
    let asked: Vec<&str> = ids.iter().map(String::as_str).chain(["q"]).collect();
    same(loader, &asked).await == [vec![true; 25], vec![false]].concat()
}

#[tokio::test]
async fn what_does_not_fit_is_looked_up() {
    let (db, _lease, walk, mut loader, ids) = walk_over_25().await;
    // There were no statistics when the walk began.
    let read = db.store.read_known(walk, 0, LITTLE_ROOM).await.unwrap();
    assert_eq!((read.known, read.are_all, read.in_file), (19, false, false));
    assert!(all_are_known(&mut loader, &ids).await);
}

/// One test, since failpoints are those of the process.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_file_holds_what_memory_cannot_and_a_disk_that_fails_costs_look_ups() {
    use blueconic_sync::failpoint::order;

    let (db, lease, walk, mut loader, ids) = walk_over_25().await;
    let read = db.store.read_known(walk, 25, LITTLE_ROOM).await.unwrap();
    assert_eq!((read.known, read.are_all, read.in_file), (25, true, true));
    let all: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(same(&mut loader, &all[1..]).await, [true; 24]);
    assert!(!db.store.all_known_met(walk));
    assert_eq!(same(&mut loader, &all[..1]).await, [true]);
    assert!(db.store.all_known_met(walk));
    // What the walk or another transaction changes is not judged by the file.
    loader.known(&[print("p03", "p03 changed")]).await.unwrap();
    load(&mut loader, batch(&["p03"], "changed")).await;
    load(&mut incrementing(&db).await, batch(&["p04"], "changed")).await;
    assert_eq!(
        same(&mut loader, &["p02", "p03", "p04"]).await,
        [true, false, false]
    );
    change_unnoticed(&db).await;
    let mut lane = db.profiles(&lease, Some(walk)).await;
    assert_eq!(same(&mut lane, &["p02", "p24", "q"]).await, [true, true, false]);

    // A file that cannot be read is given up, and the database answers.
    order("hash_file/read/before", "return(error)").unwrap();
    assert_eq!(same(&mut lane, &["p02"]).await, [false]);
    order("hash_file/read/before", "off").unwrap();
    assert_eq!(
        same(&mut lane, &["p02"]).await,
        [false],
        "it is given up for this walk"
    );

    // A file that cannot be written leaves what memory holds.
    order("hash_file/write/before", "return(error)").unwrap();
    let (db, _lease, walk, mut loader, ids_2) = walk_over_25().await;
    assert_eq!(ids, ids_2);
    let read = db.store.read_known(walk, 25, LITTLE_ROOM).await.unwrap();
    order("hash_file/write/before", "off").unwrap();
    assert_eq!((read.known, read.are_all, read.in_file), (19, false, false));
    assert!(all_are_known(&mut loader, &ids).await);
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
