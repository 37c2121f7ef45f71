//! Identity merges: the loser leaves, is remembered, may return, and never slips in beside its own removal.

use std::time::Duration;

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _};

use crate::support::fixture::{Fixture, PROFILES_FULL, PROFILES_INCREMENT, add_profile, fixture, load};

fn alias(loser: &str, survivor: &str) -> (String, String) {
    (loser.to_owned(), survivor.to_owned())
}

async fn identity(db: &Fixture) -> Vec<String> {
    db.texts(
        "select profile_id || '>' || coalesce(current_id, 'null') from blueconic.profile_identity order by profile_id",
    )
    .await
}

#[tokio::test]
async fn a_loser_leaves_and_stays_findable() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "loser", None, "x");
    load(&mut loader, batch).await;

    let mut batch = Batch {
        aliases: vec![alias("loser", "winner"), alias("never here", "winner")],
        ..Batch::default()
    };
    add_profile(&mut batch, "winner", None, "y");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.inserted, written.removed, written.unchanged), (1, 1, 0));
    assert_eq!(db.texts("select id from blueconic.profiles").await, ["winner"]);
    assert_eq!(
        identity(&db).await,
        ["loser>winner", "never here>winner", "winner>winner"]
    );
    let tombstones = db
        .texts("select profile_id || ' ' || reason || ' ' || survivor_id from blueconic.profile_tombstones order by 1")
        .await;
    assert_eq!(tombstones, ["loser merged winner", "never here merged winner"]);
    let run: uuid::Uuid = db
        .one("select run_id from blueconic.profile_tombstones limit 1")
        .await;
    assert_eq!(run, lease.run_id);
}

#[tokio::test]
async fn a_loser_that_comes_in_the_same_walk_is_not_brought_back() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch {
        aliases: vec![alias("loser", "winner")],
        ..Batch::default()
    };
    // In one batch, in either order of reading, and in a later one.
    add_profile(&mut batch, "loser", Some(9), "x");
    add_profile(&mut batch, "winner", None, "y");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.inserted, written.removed), (1, 0));
    let mut batch = Batch::default();
    add_profile(&mut batch, "loser", Some(10), "x");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.inserted, written.removed), (0, 0));
    assert_eq!(db.texts("select id from blueconic.profiles").await, ["winner"]);
    assert_eq!(identity(&db).await, ["loser>winner", "winner>winner"]);
}

#[tokio::test]
async fn a_profile_that_returns_leaves_tombstones_and_aliases() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch {
        aliases: vec![alias("loser", "winner")],
        ..Batch::default()
    };
    add_profile(&mut batch, "winner", None, "y");
    load(&mut loader, batch).await;
    drop(loader);

    let (lease, walk) = db.walk(PROFILES_INCREMENT).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "loser", Some(10), "x");
    assert_eq!(load(&mut loader, batch).await.inserted, 1);
    assert_eq!(
        db.texts("select id from blueconic.profiles order by id").await,
        ["loser", "winner"]
    );
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.profile_tombstones")
            .await,
        0
    );
    assert_eq!(identity(&db).await, ["loser>loser", "winner>winner"]);
}

#[tokio::test]
async fn chains_are_followed_and_circles_end_in_null() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let late = [
        ("a", "b"),
        ("c", "d"),
        ("b", "c"),
        ("x", "y"),
        ("y", "z"),
        ("z", "y"),
        ("self", "self"),
    ];
    for (loser, survivor) in late {
        load(
            &mut loader,
            Batch {
                aliases: vec![alias(loser, survivor)],
                ..Batch::default()
            },
        )
        .await;
    }
    assert_eq!(
        identity(&db).await,
        ["a>d", "b>d", "c>d", "x>null", "y>null", "z>null"]
    );
    let before: String = db
        .one("select noticed_at::text from blueconic.profile_aliases where profile_id = 'a'")
        .await;
    load(
        &mut loader,
        Batch {
            aliases: vec![alias("a", "b")],
            ..Batch::default()
        },
    )
    .await;
    let after: String = db
        .one("select noticed_at::text from blueconic.profile_aliases where profile_id = 'a'")
        .await;
    assert_eq!(before, after);
    load(
        &mut loader,
        Batch {
            aliases: vec![alias("a", "x")],
            ..Batch::default()
        },
    )
    .await;
    let later: bool = db
        .one(&format!(
            "select noticed_at > '{before}' from blueconic.profile_aliases where profile_id = 'a'"
        ))
        .await;
    assert!(later);
    let tombstone: String = db
        .one("select survivor_id from blueconic.profile_tombstones where profile_id = 'a'")
        .await;
    assert_eq!(tombstone, "x");
}

/// Two lanes of a walk and an increment, all with the same ids: one says that they lost, the others bring them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_loser_that_is_inserted_while_it_is_removed_does_not_stay() {
    const ROUNDS: u32 = 150;
    const IDS: u32 = 8;
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let mut removing = db.profiles(&full, Some(walk)).await;
    let mut inserting = db.profiles(&full, Some(walk)).await;
    let mut incrementing = db.profiles(&increment, Some(walk)).await;
    for round in 0..ROUNDS {
        let ids: Vec<String> = (0..IDS).map(|number| format!("{round}-{number}")).collect();
        let mut removal = Batch::default();
        let mut insertion = Batch::default();
        let mut other = Batch::default();
        for (place, id) in ids.iter().enumerate() {
            if place % 2 == 0 {
                removal.aliases.push((id.clone(), format!("winner-{id}")));
                add_profile(&mut removal, &format!("winner-{id}"), Some(1), "w");
            } else {
                add_profile(&mut removal, id, Some(1), "r");
            }
            add_profile(&mut insertion, id, Some(2), "i");
            add_profile(&mut other, id, Some(3), "o");
        }
        let (one, two, three) = tokio::join!(
            removing.load(removal, None),
            inserting.load(insertion, None),
            incrementing.load(other, None)
        );
        let removed = one.unwrap().removed;
        let inserted = two.unwrap().inserted + three.unwrap().inserted;
        // Each insertion of a loser that was committed before the removal was removed by it, and nothing else was.
        assert!(removed <= inserted, "{removed} removed, {inserted} inserted");
        let stayed: i64 = db
            .one(&format!(
                "select count(*) from blueconic.profiles as p
                 join blueconic.profile_aliases as a on a.profile_id = p.id where p.id like '{round}-%'"
            ))
            .await;
        assert_eq!(stayed, 0, "round {round}");
    }
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.profiles where source_hash = ''")
            .await,
        0
    );
    let expected = i64::from(ROUNDS * IDS);
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.profiles").await,
        expected
    );
}

/// Batches that name each other's ids in opposite orders: one ordered statement takes all locks, so none waits in a
/// circle (the deadlock counter of the database stays at zero).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opposite_batches_do_not_deadlock() {
    let db = fixture().await;
    let (full, walk) = db.walk(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let mut left = db.profiles(&full, Some(walk)).await;
    let mut right = db.profiles(&increment, None).await;
    for round in 0..100 {
        let (mut one, mut two) = (Batch::default(), Batch::default());
        for number in 0..30 {
            let id = format!("p{number:02}");
            if number % 3 == round % 3 {
                one.aliases.push((id.clone(), format!("w{number}")));
                add_profile(&mut two, &id, Some(i64::from(round)), &format!("two {round}"));
            } else {
                add_profile(&mut one, &id, Some(i64::from(round)), &format!("one {round}"));
                two.aliases.push((id, format!("v{number}")));
            }
        }
        let (one, two) = tokio::join!(left.load(one, None), right.load(two, None));
        one.unwrap();
        two.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let deadlocks: i64 = db
        .one("select deadlocks from pg_stat_database where datname = current_database()")
        .await;
    assert_eq!(deadlocks, 0);
}

/// Whoever reads for long delays the index of a first load as little as the load itself; a table with rows is another matter
/// (`tests/torture/waiting.rs`).
#[tokio::test]
async fn a_long_reader_delays_no_index_of_a_first_load() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    load(&mut loader, batch).await;
    let mut reader = db.look.begin().await.unwrap();
    sqlx::query("set transaction isolation level repeatable read")
        .execute(&mut *reader)
        .await
        .unwrap();
    sqlx::query("select count(*) from blueconic.profiles")
        .execute(&mut *reader)
        .await
        .unwrap();
    let table = &crate::support::fixture::PROFILES;
    let put_off = db.store.after_full_walk(table, Some(1)).await.unwrap();
    assert_eq!(put_off, Vec::<String>::new());
    let valid =
        "select indisvalid from pg_index where indexrelid = to_regclass('blueconic.profiles_segment_ids')";
    assert!(db.one::<bool>(valid).await);
    reader.rollback().await.unwrap();
}

#[tokio::test]
async fn members_of_a_segment_are_found_through_the_index() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    for number in 0..500 {
        add_profile(&mut batch, &format!("p{number}"), None, "x");
    }
    load(&mut loader, batch).await;
    for _ in 0..2 {
        db.store
            .after_full_walk(&crate::support::fixture::PROFILES, None)
            .await
            .unwrap();
    }
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.segment_members('s2')")
            .await,
        500
    );
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.profile_segments where segment_id = 's1'")
            .await,
        500
    );
    let plan = db
        .texts("explain select id from blueconic.segment_members('nobody')")
        .await
        .join("\n");
    assert!(plan.contains("profiles_segment_ids"), "{plan}");
}
