//! The feed of changes: what is in it and why, that whoever follows it misses nothing whatever commits late, and that it is bounded.
//! The one who follows is the function that docs/analysts.md shows.

use std::time::Duration;

use blueconic_sync::model::batch::{Batch, Reject};
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::page::RejectReason;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::model::verdict::Verdict;
use blueconic_sync::postgres::erasures::erase;
use blueconic_sync::postgres::pool::Limits;
use sqlx::PgPool;

use crate::support::eventually;
use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, SEGMENTS_TABLE, add_profile, add_segment,
    fixture, id_hasher, load, run, store_with,
};
use crate::support::sources::root;

/// A day's feed, on.
async fn with_feed() -> Fixture {
    let db = fixture().await;
    db.store.switch_changes().await.unwrap();
    db
}

/// The feed without its start, in order: one text for each change.
async fn feed(db: &Fixture) -> Vec<String> {
    db.texts(
        "select concat_ws(' ', table_name, operation, reason, coalesce(array_to_string(keys, ','), '?'))
         from sync.changes where operation <> 'started' order by changed_by, change_id",
    )
    .await
}

/// The block of SQL in docs/analysts.md that makes a copy of profiles, and the function that follows the feed for it.
fn documented() -> String {
    let document = std::fs::read_to_string(root().join("docs/analysts.md")).unwrap();
    let mut blocks = document.split("```sql\n").skip(1);
    let block = blocks
        .find(|block| block.contains("create function copies.follow_profiles"))
        .unwrap();
    let (sql, _) = block.split_once("```").unwrap();
    let (sql, call) = sql.split_once("select copies.follow_profiles();").unwrap();
    assert!(call.trim().is_empty());
    sql.to_owned()
}

/// Somebody who follows the feed.
struct Follower(PgPool);

impl Follower {
    async fn of(db: &Fixture) -> Self {
        run(&mut db.look.acquire().await.unwrap(), &documented()).await;
        Self(db.look.clone())
    }

    /// One step: `copied` everything, or `followed`.
    async fn step(&self) -> String {
        sqlx::query_scalar("select copies.follow_profiles()")
            .fetch_one(&self.0)
            .await
            .unwrap()
    }

    /// How many rows of the copy and of the table are not the same.
    async fn differences(&self) -> i64 {
        sqlx::query_scalar(
            "select count(*) from blueconic.profiles as p
             full join copies.profiles as c on c.id = p.id
             where p.modified_at is distinct from c.modified_at or p.id is null or c.id is null",
        )
        .fetch_one(&self.0)
        .await
        .unwrap()
    }

    /// Follows until the copy is the table. Transactions of other tests' databases delay the feed. Never copies everything.
    async fn catches_up(&self) {
        eventually("the copy is the table", Duration::from_mins(1), async || {
            assert_eq!(self.step().await, "followed");
            (self.differences().await == 0).then_some(())
        })
        .await;
    }

    /// Copies everything once the feed has a row to stand at.
    async fn begins(&self) {
        eventually("the feed has begun", Duration::from_mins(1), async || {
            (self.step().await == "followed").then_some(())
        })
        .await;
    }
}

fn batch(profiles: &[(&str, i64)]) -> Batch {
    let mut batch = Batch::default();
    for (id, second) in profiles {
        add_profile(&mut batch, id, Some(*second), &format!("{id} {second}"));
    }
    batch
}

fn ledger() -> Ledger {
    Ledger {
        status: RunStatus::Succeeded,
        counts: Counts::default(),
        error: None,
        hint: None,
    }
}

fn alias(loser: &str, survivor: &str) -> (String, String) {
    (loser.to_owned(), survivor.to_owned())
}

#[tokio::test]
async fn inserted_changed_merged_and_returned_rows_are_in_the_feed_and_unchanged_ones_are_not() {
    let db = with_feed().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let direct = Batch {
        fresh: true,
        ..batch(&[("a", 1), ("b", 1)])
    };
    load(&mut loader, direct).await;
    load(&mut loader, batch(&[("a", 1), ("b", 2), ("c", 1)])).await;
    load(&mut loader, batch(&[("a", 1), ("b", 2)])).await;
    assert_eq!(
        feed(&db).await,
        [
            "profiles inserted a,b",
            "profiles inserted c",
            "profiles updated b"
        ]
    );
    // `late` comes and goes in one transaction: to others it was never there.
    let merges = Batch {
        aliases: vec![alias("b", "c"), alias("late", "c"), alias("strange", "c")],
        ..batch(&[("c", 2), ("late", 1)])
    };
    load(&mut loader, merges).await;
    assert_eq!(
        feed(&db).await[3..],
        [
            "profiles updated c",
            "profile_aliases inserted b,late,strange",
            "profiles removed merged b",
            "profile_tombstones inserted b,late,strange",
        ]
    );
    drop(loader);
    let (lease, walk) = db.walk(PROFILES_INCREMENT).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    load(&mut loader, batch(&[("b", 3)])).await;
    assert_eq!(
        feed(&db).await[7..],
        [
            "profiles inserted b",
            "profile_aliases removed returned b",
            "profile_tombstones removed returned b",
        ]
    );
    let times: i64 = db
        .one(
            "select count(*) from sync.changes as c join blueconic.profiles as p on p.id = any (c.keys)
             where c.table_name = 'profiles' and p.synced_at = c.changed_at and p.id in ('b', 'c')",
        )
        .await;
    assert_eq!(times, 2, "the time of the newest change is that of the row");
}

#[tokio::test]
async fn sweeps_say_why_a_row_went() {
    let db = with_feed().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    load(
        &mut loader,
        batch(&[("deleted", 1), ("merged", 1), ("out", 1), ("stays", 1)]),
    )
    .await;
    drop(loader);
    sqlx::query("update sync.leases set expires_at = 'epoch'")
        .execute(&db.look)
        .await
        .unwrap();
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    db.store
        .candidates(&PROFILES, walk, &id_hasher(walk))
        .await
        .unwrap();
    let survivor = "stays".to_owned();
    let verdicts = [
        ("deleted".to_owned(), Verdict::Deleted),
        ("merged".to_owned(), Verdict::Merged { survivor }),
        ("out".to_owned(), Verdict::OutOfScope),
        ("stays".to_owned(), Verdict::Kept),
    ];
    assert_eq!(
        db.store.remove(&PROFILES, &lease, walk, &verdicts).await.unwrap(),
        3
    );
    assert_eq!(
        feed(&db).await[1..],
        [
            "profiles removed deleted deleted",
            "profiles removed merged merged",
            "profiles removed out_of_scope out",
            "profile_aliases inserted merged",
            "profile_tombstones inserted deleted,merged,out",
        ]
    );
}

#[tokio::test]
async fn lists_are_in_the_feed_with_what_they_no_longer_list() {
    let db = with_feed().await;
    let lease = db.lease(SEGMENTS).await;
    let mut loader = db.store.loader(&SEGMENTS_TABLE, &lease, None).await.unwrap();
    let mut batch = Batch::default();
    add_segment(&mut batch, "s1", Some(1), "one");
    add_segment(&mut batch, "s2", Some(1), "two");
    load(&mut loader, batch).await;
    let mut batch = Batch::default();
    add_segment(&mut batch, "s1", Some(1), "one");
    add_segment(&mut batch, "s2", Some(1), "another name");
    load(&mut loader, batch).await;
    let (_, walk) = db.walk(PROFILES_FULL).await;
    db.store
        .candidates(&SEGMENTS_TABLE, walk, &id_hasher(walk))
        .await
        .unwrap();
    let verdicts = [("s1".to_owned(), Verdict::Deleted)];
    assert_eq!(
        db.store
            .remove(&SEGMENTS_TABLE, &lease, walk, &verdicts)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        feed(&db).await,
        [
            "segments inserted s1,s2",
            "segments updated s2",
            "segments removed not_listed s1"
        ]
    );
}

/// A lane has written its rows and does not commit; a minute later another one commits. To `synced_at` the first lane's rows are older
/// than what has been read already.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lane_that_stalls_for_a_minute_before_its_commit_is_not_passed() {
    let db = with_feed().await;
    let follower = Follower::of(&db).await;
    follower.begins().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut stalled = db.profiles(&lease, Some(walk)).await;
    load(&mut stalled, batch(&[("before", 1)])).await;
    follower.catches_up().await;

    let mut holding = db.look.acquire().await.unwrap();
    // A load comes here after its rows, if it has a reject. This lock takes no transaction id, which would delay the feed itself.
    run(&mut holding, "begin; lock table sync.rejects in share mode").await;
    let stalling = tokio::spawn(async move {
        let broken = Reject {
            element_id: Some("broken".to_owned()),
            reason: RejectReason::WrongShape,
            detail: "a field".to_owned(),
            raw: "{}".to_owned(),
            raw_bytes: 2,
            sha256: [0; 32],
        };
        let late = Batch {
            rejects: vec![broken],
            ..batch(&[("before", 2), ("late", 2)])
        };
        stalled.load(late, None).await.unwrap()
    });
    eventually("the lane stalls", Duration::from_secs(20), async || {
        let waiting: i64 = db
            .one("select count(*) from pg_locks where relation = 'sync.rejects'::regclass and not granted")
            .await;
        (waiting == 1).then_some(())
    })
    .await;

    // The database's clock moves on by a minute for new sessions.
    let name: String = db.one("select current_database()::text").await;
    let later = format!("alter database {name} set sync.clock_offset = '60 seconds'");
    run(&mut db.look.acquire().await.unwrap(), &later).await;
    let other = store_with(&db.options, |limits| limits).await;
    let mut prompt = other.loader(&PROFILES, &lease, Some(walk)).await.unwrap();
    load(&mut prompt, batch(&[("prompt", 3)])).await;
    let shown: i64 = db
        .one("select count(*) from blueconic.changes where id = 'prompt'")
        .await;
    assert_eq!(shown, 0, "what is committed waits for what may still be");
    assert_eq!(follower.step().await, "followed");

    run(&mut holding, "commit").await;
    let written = stalling.await.unwrap();
    assert_eq!((written.inserted, written.updated), (1, 1));
    let waited: bool = db
        .one(
            "select (select synced_at from blueconic.profiles where id = 'prompt')
               > (select synced_at from blueconic.profiles where id = 'late') + interval '50 seconds'",
        )
        .await;
    assert!(waited, "by `synced_at` the late row would have been passed");
    follower.catches_up().await;
    other.disconnect().await;
}

/// Two lanes load, merge and bring back at random, as fast as they can, beside somebody who follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_follows_beside_two_lanes_misses_nothing() {
    const LOADS: i64 = 150;
    let db = with_feed().await;
    let follower = Follower::of(&db).await;
    follower.begins().await;
    let mut lanes = tokio::task::JoinSet::new();
    for (number, slot) in [(0, PROFILES_FULL), (1, PROFILES_INCREMENT)] {
        let (lease, walk) = db.walk(slot).await;
        let mut loader = db.profiles(&lease, Some(walk)).await;
        lanes.spawn(async move {
            for round in 0..LOADS {
                // Each change has a date of its own.
                let second = round * 2 + number;
                let ids: Vec<String> = (0..8)
                    .map(|_| format!("p{}", rand::random_range(0..40)))
                    .collect();
                let profiles: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), second)).collect();
                let aliases = if round % 25 == 0 {
                    vec![alias(&format!("p{}", rand::random_range(0..40)), &ids[0])]
                } else {
                    Vec::new()
                };
                let one = Batch {
                    aliases,
                    ..batch(&profiles)
                };
                loader.load(one, None).await.unwrap();
            }
        });
    }
    let mut steps = 0;
    while !lanes.is_empty() {
        assert_eq!(follower.step().await, "followed");
        steps += 1;
        tokio::select! {
            ended = lanes.join_next() => ended.unwrap().unwrap(),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(steps > 3, "only {steps} steps beside the lanes");
    follower.catches_up().await;
    assert!(db.one::<i64>("select count(*) from copies.profiles").await > 5);
    // All kinds of changes took part.
    let kinds = db
        .texts("select distinct operation from sync.changes where table_name = 'profiles' order by 1")
        .await;
    assert_eq!(kinds, ["inserted", "removed", "updated"]);
}

#[tokio::test]
async fn an_erased_person_is_named_nowhere_and_leaves_the_copies_all_the_same() {
    let db = with_feed().await;
    let follower = Follower::of(&db).await;
    follower.begins().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    load(&mut loader, batch(&[("person", 1), ("other", 1)])).await;
    load(&mut loader, batch(&[("person", 2)])).await;
    follower.catches_up().await;
    let receipt = erase::erase(&db.store, &[&PROFILES], &["person".to_owned()])
        .await
        .unwrap();
    assert!(
        receipt.removed.contains(&("sync.changes".to_owned(), 2)),
        "{receipt:?}"
    );
    assert_eq!(
        feed(&db).await,
        [
            "profiles inserted other",
            "profiles updated ",
            "profiles removed erased ?"
        ]
    );
    follower.catches_up().await;
    assert_eq!(db.texts("select id from copies.profiles").await, ["other"]);
    // Who loses a merge into an erased person is that person.
    load(&mut loader, batch(&[("former", 1)])).await;
    let merged = Batch {
        aliases: vec![alias("former", "person")],
        ..batch(&[("person", 3)])
    };
    load(&mut loader, merged).await;
    let after = feed(&db).await;
    assert_eq!(after[3..], ["profiles inserted ", "profiles removed erased ?"]);
    follower.catches_up().await;
}

#[tokio::test]
async fn old_changes_go_and_whoever_comes_too_late_copies_once() {
    let db = with_feed().await;
    let store = store_with(&db.options, |limits| Limits {
        changes_kept: Some(Duration::ZERO),
        ..limits
    })
    .await;
    let [prompt, late] = [Follower::of(&db).await, Follower(db.look.clone())];
    prompt.begins().await;
    sqlx::query("create table copies.late as select * from copies.place")
        .execute(&late.0)
        .await
        .unwrap();
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    for second in 1..=3 {
        load(&mut loader, batch(&[("a", second)])).await;
    }
    prompt.catches_up().await;
    // The copy may be the table before the feed shows the newest change, where the follower has to stand.
    eventually(
        "the feed shows its newest change",
        Duration::from_mins(1),
        async || {
            let shown = "select max(changed_by) < pg_snapshot_xmin(pg_current_snapshot()) from sync.changes";
            db.one::<bool>(shown).await.then_some(())
        },
    )
    .await;
    assert_eq!(prompt.step().await, "followed");
    // With a time of a week nothing goes, with none all but the newest transaction.
    db.store.close(&lease, &ledger()).await.unwrap();
    assert_eq!(db.one::<i64>("select count(*) from sync.changes").await, 4);
    let lease = db.lease(PROFILES_FULL).await;
    store.close(&lease, &ledger()).await.unwrap();
    assert_eq!(feed(&db).await, ["profiles updated a"]);
    assert_eq!(prompt.step().await, "followed");
    for sql in [
        "delete from copies.place",
        "insert into copies.place select * from copies.late",
    ] {
        sqlx::query(sql).execute(&late.0).await.unwrap();
    }
    assert_eq!(late.step().await, "copied");
    assert_eq!(late.step().await, "followed");
    store.disconnect().await;
}

#[tokio::test]
async fn a_feed_that_was_off_has_no_rows_and_begins_anew() {
    let db = with_feed().await;
    let follower = Follower::of(&db).await;
    follower.begins().await;
    let off = store_with(&db.options, |limits| Limits {
        changes_kept: None,
        ..limits
    })
    .await;
    off.switch_changes().await.unwrap();
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    load(&mut loader, batch(&[("a", 1)])).await;
    assert_eq!(db.one::<i64>("select count(*) from sync.changes").await, 0);
    assert_eq!(follower.step().await, "copied");
    assert_eq!(follower.differences().await, 0);
    // Off: there is no place to stand at.
    assert_eq!(follower.step().await, "copied");
    db.store.switch_changes().await.unwrap();
    load(&mut loader, batch(&[("a", 2)])).await;
    follower.begins().await;
    follower.catches_up().await;
    assert_eq!(feed(&db).await, ["profiles updated a"]);
    off.disconnect().await;
}

/// A crash, a failover and a restored backup empty unlogged tables. A dump gives tables new oids, and has changes of transactions that
/// are still to come on the other server.
#[tokio::test]
async fn a_feed_that_may_have_lost_changes_begins_anew() {
    let db = with_feed().await;
    let follower = Follower::of(&db).await;
    for loss in [
        "truncate sync.lease_marks",
        "update sync.lease_marks set fence = 1 where name = 'changes'",
        "update sync.changes set changed_by = (changed_by::text::bigint + 1000000000)::text::xid8",
    ] {
        follower.begins().await;
        let first: i64 = db.one("select change_id from sync.changes").await;
        sqlx::query(loss).execute(&db.look).await.unwrap();
        db.store.switch_changes().await.unwrap();
        let again: i64 = db.one("select change_id from sync.changes").await;
        assert!(again > first, "after {loss}");
        assert_eq!(follower.step().await, "copied", "after {loss}");
        db.store.switch_changes().await.unwrap();
        assert_eq!(db.one::<i64>("select change_id from sync.changes").await, again);
    }
}

/// A run that notices that commits are gone goes on, and the feed begins anew with it.
#[tokio::test]
async fn a_run_that_lost_commits_starts_the_feed_again() {
    let db = with_feed().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    load(&mut loader, batch(&[("a", 1)])).await;
    sqlx::query("truncate sync.lease_marks")
        .execute(&db.look)
        .await
        .unwrap();
    loader.load(batch(&[("b", 1)]), None).await.unwrap_err();
    db.store.regain(&lease).await.unwrap();
    assert_eq!(feed(&db).await, Vec::<String>::new());
    load(&mut loader, batch(&[("b", 1)])).await;
    assert_eq!(feed(&db).await, ["profiles inserted b"]);
    db.store.switch_changes().await.unwrap();
    assert_eq!(feed(&db).await, ["profiles inserted b"], "it goes on");
}

/// A load that began while the feed was off must not change rows after it has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_feed_begins_when_no_load_is_under_way() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut holding = db.look.acquire().await.unwrap();
    run(&mut holding, "begin; select from sync.leases for update").await;
    let loading = tokio::spawn(async move { load(&mut loader, batch(&[("a", 1)])).await });
    eventually("the load waits", Duration::from_secs(20), async || {
        let waiting: i64 = db
            .one("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
            .await;
        (waiting == 1).then_some(())
    })
    .await;
    let store = db.store.clone();
    let switching = tokio::spawn(async move { store.switch_changes().await.unwrap() });
    super::erasures::waiting(&db, 1).await;
    assert_eq!(db.one::<i64>("select count(*) from sync.changes").await, 0);
    run(&mut holding, "commit").await;
    assert_eq!(loading.await.unwrap().inserted, 1);
    switching.await.unwrap();
    assert_eq!(feed(&db).await, Vec::<String>::new());
    assert_eq!(db.one::<i64>("select count(*) from sync.changes").await, 1);
}
