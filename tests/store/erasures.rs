//! An erasure and a load, interleaved by hand in both orders: whichever commits last, the person is gone. And no order of
//! them waits in a circle.

use std::time::Duration;

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::ports::{Loader as _, SweepStore as _};
use blueconic_sync::model::verdict::Verdict;
use blueconic_sync::postgres::erasures::{erase, lift};
use sqlx::Connection as _;

use crate::support::eventually;
use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, fixture, id_hasher, load, print,
    recording, run,
};

fn ids(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

/// Waits until so many sessions of this database wait for the erasures' lock.
pub(super) async fn waiting(db: &Fixture, sessions: i64) {
    eventually(
        "sessions wait for the lock",
        Duration::from_secs(20),
        async || {
            let waiting: i64 = db
                .one(
                    "select count(*) from pg_locks where locktype = 'advisory' and not granted
                 and database = (select oid from pg_database where datname = current_database())",
                )
                .await;
            (waiting == sessions).then_some(())
        },
    )
    .await;
}

async fn stored(db: &Fixture) -> Vec<String> {
    db.texts("select id from blueconic.profiles order by id").await
}

/// The load has asked who was erased (nobody) and is about to commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_erasure_waits_for_a_load_that_does_not_know_of_it() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut holding = db.look.acquire().await.unwrap();
    // The last statement of a load waits for this row; an erasure does not look at it.
    run(&mut holding, "begin; select from sync.leases for update").await;
    let loading = tokio::spawn(async move {
        let mut batch = Batch::default();
        add_profile(&mut batch, "person", Some(1), "x");
        add_profile(&mut batch, "another", Some(1), "x");
        loader.load(recording(walk, batch), None).await.unwrap()
    });
    eventually("the load waits", Duration::from_secs(20), async || {
        let waiting: i64 = db
            .one("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
            .await;
        (waiting == 1).then_some(())
    })
    .await;
    let store = db.store.clone();
    let erasing = tokio::spawn(async move {
        erase::erase(&store, &[&PROFILES], &ids(&["person"]))
            .await
            .unwrap()
    });
    waiting(&db, 1).await;
    run(&mut holding, "commit").await;
    let written = loading.await.unwrap();
    assert_eq!((written.inserted, written.suppressed), (2, 0));
    let receipt = erasing.await.unwrap();
    assert!(
        receipt.removed.contains(&("blueconic.profiles".to_owned(), 1)),
        "{receipt:?}"
    );
    assert_eq!(stored(&db).await, ["another"]);
    // The walk has seen both, and keeps neither the erased one's id nor counts it twice.
    assert_eq!(db.seen(walk).await, (2, 2));
    assert_eq!(witnesses(&db).await, ["another"]);
}

async fn witnesses(db: &Fixture) -> Vec<String> {
    db.texts("select unnest(witnesses) from sync.walk_seen order by 1")
        .await
}

/// The erasure has everything under its lock and has not committed; the load learned what is known before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_load_waits_for_an_erasure_and_then_knows_of_it() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "person", Some(1), "x");
    load(&mut loader, recording(walk, batch)).await;
    loader
        .known(&[print("person", "y"), print("new", "y")])
        .await
        .unwrap();
    let mut holding = db.look.acquire().await.unwrap();
    // An erasure comes here late; a load without rejects only reads it.
    run(&mut holding, "begin; lock table sync.rejects in exclusive mode").await;
    let store = db.store.clone();
    let erasing = tokio::spawn(async move {
        erase::erase(&store, &[&PROFILES], &ids(&["person"]))
            .await
            .unwrap()
    });
    eventually("the erasure waits", Duration::from_secs(20), async || {
        let waiting: i64 = db
            .one("select count(*) from pg_locks where relation = 'sync.rejects'::regclass and not granted")
            .await;
        (waiting == 1).then_some(())
    })
    .await;
    let loading = tokio::spawn(async move {
        let mut batch = Batch {
            rehash: vec![("person".to_owned(), [9; 16])],
            aliases: vec![
                ("person".to_owned(), "new".to_owned()),
                ("late".to_owned(), "person".to_owned()),
            ],
            ..Batch::default()
        };
        add_profile(&mut batch, "person", Some(2), "y");
        add_profile(&mut batch, "new", Some(2), "y");
        loader.load(recording(walk, batch), None).await.unwrap()
    });
    waiting(&db, 1).await;
    run(&mut holding, "commit").await;
    erasing.await.unwrap();
    let written = loading.await.unwrap();
    assert_eq!((written.inserted, written.updated, written.suppressed), (1, 0, 1));
    assert_eq!(stored(&db).await, ["new"]);
    for table in ["profile_aliases", "profile_tombstones"] {
        assert_eq!(
            db.one::<i64>(&format!("select count(*) from blueconic.{table}"))
                .await,
            0
        );
    }
    assert_eq!(db.store.distinct(&id_hasher(walk)).await.unwrap(), 2);
    assert_eq!(witnesses(&db).await, ["new"]);
}

/// A look-up that was under way when its candidate was erased.
#[tokio::test]
async fn a_sweep_that_comes_late_writes_nothing_of_an_erased_person() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, None).await;
    let mut batch = Batch::default();
    for id in ["deleted", "into-erased", "missed", "plain"] {
        add_profile(&mut batch, id, Some(1), "x");
    }
    load(&mut loader, batch).await;
    run(
        &mut db.look.acquire().await.unwrap(),
        "update blueconic.profiles set synced_at = synced_at - interval '1 day'",
    )
    .await;
    erase::erase(&db.store, &[&PROFILES], &ids(&["deleted", "survivor", "missed"]))
        .await
        .unwrap();
    let merged = |survivor: &str| Verdict::Merged {
        survivor: survivor.to_owned(),
    };
    let verdicts = [
        ("deleted".to_owned(), Verdict::Deleted),
        ("into-erased".to_owned(), merged("survivor")),
        ("missed".to_owned(), Verdict::Missed(bytes::Bytes::new())),
        ("plain".to_owned(), merged("winner")),
    ];
    db.store
        .candidates(&PROFILES, walk, &id_hasher(walk))
        .await
        .unwrap();
    let removed = db.store.remove(&PROFILES, &lease, walk, &verdicts).await.unwrap();
    assert_eq!(removed, 2);
    let tombstones = db
        .texts("select profile_id from blueconic.profile_tombstones")
        .await;
    let aliases = db.texts("select profile_id from blueconic.profile_aliases").await;
    assert_eq!(
        (tombstones, aliases),
        (vec!["plain".to_owned()], vec!["plain".to_owned()])
    );
    assert_eq!(db.one::<i64>("select count(*) from sync.walk_seen").await, 0);
}

/// Ids of one chain are lifted together, also where they were erased one after the other.
#[tokio::test]
async fn a_person_is_lifted_whole() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    erase::erase(&db.store, &[&PROFILES], &ids(&["old"]))
        .await
        .unwrap();
    let mut batch = Batch {
        aliases: vec![("one".to_owned(), "two".to_owned())],
        ..Batch::default()
    };
    add_profile(&mut batch, "two", Some(1), "x");
    add_profile(&mut batch, "stranger", Some(1), "x");
    load(&mut loader, batch).await;
    erase::erase(&db.store, &[&PROFILES], &ids(&["one"]))
        .await
        .unwrap();
    erase::erase(&db.store, &[&PROFILES], &ids(&["stranger"]))
        .await
        .unwrap();
    assert_eq!(db.one::<i64>("select count(*) from sync.erasures").await, 4);
    let lifted = lift::lift(&db.store, &ids(&["two"])).await.unwrap();
    assert_eq!((lifted.hashes.len(), lifted.unknown), (2, 0));
    assert_eq!(db.one::<i64>("select count(*) from sync.erasures").await, 2);
}

/// Batches that name each other's ids in opposite orders, and erasures of the same ids between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loads_and_erasures_do_not_deadlock() {
    const ROUNDS: i64 = 60;
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let mut left = db.profiles(&full, Some(walk)).await;
    let mut right = db.profiles(&increment, None).await;
    for round in 0..ROUNDS {
        let (mut one, mut two) = (Batch::default(), Batch::default());
        for number in 0..30 {
            let id = format!("p{number:02}");
            if number % 3 == round % 3 {
                one.aliases.push((id.clone(), format!("w{number}")));
                add_profile(&mut two, &id, Some(round), &format!("two {round}"));
            } else {
                add_profile(&mut one, &id, Some(round), &format!("one {round}"));
                two.aliases.push((id, format!("v{number}")));
            }
        }
        let person = ids(&[&format!("p{:02}", round % 30)]);
        let tables = [&PROFILES];
        let (one, two, erased) = tokio::join!(
            left.load(one, None),
            right.load(two, None),
            erase::erase(&db.store, &tables, &person)
        );
        one.unwrap();
        two.unwrap();
        erased.unwrap();
        for table in [
            "profiles where id",
            "profile_aliases where profile_id",
            "profile_tombstones where profile_id",
        ] {
            let there: i64 = db
                .one(&format!(
                    "select count(*) from blueconic.{table} = '{}'",
                    person[0]
                ))
                .await;
            assert_eq!(there, 0, "round {round}: {table}");
        }
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let deadlocks: i64 = db
        .one("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
}

/// The building of an index waits for every transaction, and holds the lock that `analyze` wants.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn statistics_wait_for_an_index_without_a_deadlock() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    for number in 0..50 {
        add_profile(&mut batch, &format!("p{number:02}"), Some(1), "x");
    }
    load(&mut loader, batch).await;
    let mut holding = db.look.acquire().await.unwrap();
    // An old transaction for the index to wait for, while it holds its lock.
    run(
        &mut holding,
        "begin; lock table blueconic.profiles in row exclusive mode",
    )
    .await;
    let mut building = sqlx::PgConnection::connect_with(&db.options).await.unwrap();
    let index = tokio::spawn(async move {
        run(
            &mut building,
            "create index concurrently made on blueconic.profiles (synced_at)",
        )
        .await;
    });
    eventually("the index is being built", Duration::from_secs(20), async || {
        let waiting: i64 = db
            .one("select count(*) from pg_locks where locktype = 'virtualxid' and not granted")
            .await;
        (waiting > 0).then_some(())
    })
    .await;
    let store = db.store.clone();
    let erasing =
        tokio::spawn(async move { erase::erase(&store, &[&PROFILES], &ids(&["p07"])).await.unwrap() });
    // Longer than the server takes to look for a deadlock.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    run(&mut holding, "commit").await;
    assert!(erasing.await.unwrap().statistics);
    index.await.unwrap();
    assert_eq!(stored(&db).await.len(), 49);
}

/// Failing closed: hashes that nobody can compute any more would let everybody back in.
#[tokio::test]
async fn without_the_key_nothing_is_loaded_and_nobody_erased() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    erase::erase(&db.store, &[&PROFILES], &ids(&["person"]))
        .await
        .unwrap();
    run(
        &mut db.look.acquire().await.unwrap(),
        "delete from sync.erasure_key",
    )
    .await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "person", Some(1), "x");
    let fault = loader.load(batch, None).await.unwrap_err();
    assert!(fault.sentence().contains("sync.erasure_key is empty"), "{fault}");
    let error = erase::erase(&db.store, &[&PROFILES], &ids(&["another"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("sync.erasure_key"), "{error}");
    assert_eq!(stored(&db).await, Vec::<String>::new());
}

/// What a load pays while nobody was erased: one function call in a statement that is sent anyway.
#[tokio::test]
async fn without_erasures_a_load_takes_one_lock_and_asks_nothing_more() {
    let db = fixture().await;
    let mut connection = sqlx::PgConnection::connect_with(&db.options).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let key: Option<Vec<u8>> = sqlx::query_scalar("select sync.load_beside_erasures()")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(key, None);
    transaction.rollback().await.unwrap();
    erase::erase(&db.store, &[&PROFILES], &ids(&["person"]))
        .await
        .unwrap();
    let key: Option<Vec<u8>> = sqlx::query_scalar("select sync.load_beside_erasures()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(key.unwrap().len(), 32);
    lift::lift(&db.store, &ids(&["person"])).await.unwrap();
    let key: Option<Vec<u8>> = sqlx::query_scalar("select sync.load_beside_erasures()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(key, None);
}
