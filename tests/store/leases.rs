//! Who may write: fences, takeovers, cursors that only a holder moves, runs that are closed honestly.

use std::time::Duration;

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::cursor::Cursor;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::lease::Acquired;
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::ports::{Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::model::verdict::Verdict;

use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, another_store, fixture,
    fixture_with_lease_of, load, position, run, time,
};

fn ledger(status: RunStatus) -> Ledger {
    Ledger {
        status,
        counts: Counts::default(),
        error: None,
        hint: None,
    }
}

#[tokio::test]
async fn a_held_lease_is_shown_and_a_lapsed_one_is_taken_over() {
    let ttl = Duration::from_millis(700);
    let db = fixture_with_lease_of(ttl).await;
    let first = db.lease(PROFILES_FULL).await;
    let other = another_store(&db.options, ttl).await;
    assert_ne!(other.holder(), db.store.holder());
    let Acquired::Held(holder) = other.acquire(PROFILES_FULL).await.unwrap() else {
        panic!("held twice")
    };
    assert_eq!(holder.name, db.store.holder());
    assert_eq!(holder.run_id, Some(first.run_id));
    assert!(holder.expires_at > holder.now);
    // The other scope is another lease.
    assert!(matches!(
        other.acquire(PROFILES_INCREMENT).await.unwrap(),
        Acquired::Lease(_)
    ));

    db.store.renew(&first).await.unwrap();
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    // Lapsed, but nobody took it: still ours.
    db.store.renew(&first).await.unwrap();
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    let Acquired::Lease(second) = other.acquire(PROFILES_FULL).await.unwrap() else {
        panic!("not taken over")
    };
    assert_eq!(second.fence, first.fence + 1);
    assert_eq!(db.store.renew(&first).await.unwrap_err().kind, Kind::Fenced);
    let statuses = db
        .texts("select status || ' ' || (finished_at is not null) from sync.runs where mode = 'full' order by started_at")
        .await;
    assert_eq!(statuses, ["interrupted true", "running false"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_ask_one_gets_it() {
    let db = fixture().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = another_store(&db.options, Duration::from_secs(30)).await;
        tasks.spawn(async move { matches!(store.acquire(PROFILES_FULL).await.unwrap(), Acquired::Lease(_)) });
    }
    let got = tasks.join_all().await;
    assert_eq!(got.iter().filter(|got| **got).count(), 1);
    assert_eq!(db.one::<i64>("select count(*) from sync.runs").await, 1);
}

#[tokio::test]
async fn a_fenced_load_writes_nothing() {
    let ttl = Duration::from_millis(300);
    let db = fixture_with_lease_of(ttl).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    let other = another_store(&db.options, ttl).await;
    assert!(matches!(
        other.acquire(PROFILES_FULL).await.unwrap(),
        Acquired::Lease(_)
    ));
    let batch = || {
        let mut batch = Batch {
            aliases: vec![("l".to_owned(), "w".to_owned())],
            ..Batch::default()
        };
        add_profile(&mut batch, "p", None, "x");
        batch
    };
    let mut moved = advance();
    moved.watermark = Some(time(1));
    let fault = loader.load(batch(), Some(moved.clone())).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Transient, "the takeover ended its sessions");
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let fault = loader.load(batch(), Some(moved.clone())).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Fenced);
    assert_eq!(
        db.store.advance(&lease, &moved).await.unwrap_err().kind,
        Kind::Fenced
    );
    assert_eq!(
        db.store.forget(&lease, walk.id).await.unwrap_err().kind,
        Kind::Fenced
    );
    let rows: i64 = db
        .one(
            "select (select count(*) from blueconic.profiles) + (select count(*) from blueconic.profile_aliases)
                  + (select count(*) from sync.cursors) + (select count(*) from sync.walk_seen)",
        )
        .await;
    assert_eq!(rows, 0);
    // The late ledger leaves the run as its successor closed it.
    db.store
        .close(&lease, &ledger(RunStatus::Succeeded))
        .await
        .unwrap();
    let status: String = db
        .one(&format!(
            "select status from sync.runs where id = '{}'",
            lease.run_id
        ))
        .await;
    assert_eq!(status, "interrupted");
}

/// A takeover waits for a transaction that has asserted the old fence, and no longer than the server lets it idle.
#[tokio::test]
async fn a_holder_that_stops_inside_its_transaction_does_not_block_a_takeover() {
    let ttl = Duration::from_millis(900);
    let db = fixture_with_lease_of(ttl).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "warm", None, "x");
    load(&mut loader, batch).await;
    // The loader stops for good on a lock that another session holds, with its fence asserted: here by hand.
    let mut stuck = db.look.acquire().await.unwrap();
    run(
        &mut stuck,
        "set idle_in_transaction_session_timeout = '600ms'; begin",
    )
    .await;
    run(
        &mut stuck,
        "select from sync.leases where name = 'profiles/full' for key share",
    )
    .await;
    // Renewing goes on beside it.
    db.store.renew(&lease).await.unwrap();
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    let other = another_store(&db.options, ttl).await;
    let taken = tokio::time::timeout(Duration::from_secs(5), other.acquire(PROFILES_FULL)).await;
    assert!(matches!(taken.expect("blocked").unwrap(), Acquired::Lease(_)));
    drop(stuck.detach());
}

#[tokio::test]
async fn loading_connections_may_not_idle_as_long_as_a_lease_lives() {
    let db = fixture_with_lease_of(Duration::from_secs(3)).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    // A trigger of the test's own tells what the loading session goes by.
    sqlx::raw_sql(
        "create table limits (setting text);
         create function note() returns trigger language plpgsql as $$
         begin
           insert into public.limits values (current_setting('idle_in_transaction_session_timeout'));
           return null;
         end $$;
         create trigger note after insert on blueconic.profiles for each statement execute function note()",
    )
    .execute(&db.look)
    .await
    .unwrap();
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    load(&mut loader, batch).await;
    assert_eq!(db.texts("select setting from limits").await, ["2s"]);
}

/// As a standby has it that took over without the last lease.
const FAIL_OVER: &str = "update sync.leases set fence = fence - 1, expires_at = 'epoch', run_id = null;
    delete from sync.runs; truncate sync.lease_marks";

#[tokio::test]
async fn a_server_that_lost_commits_takes_none_before_the_lease_is_taken_back() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    run_sql(&db, FAIL_OVER).await;
    let batch = || {
        let mut batch = Batch::default();
        add_profile(&mut batch, "p", None, "x");
        batch
    };
    let gone = [("p".to_owned(), Verdict::Deleted)];
    let faults = [
        loader.load(batch(), None).await.unwrap_err(),
        db.store.advance(&lease, &advance()).await.unwrap_err(),
        db.store.forget(&lease, walk.id).await.unwrap_err(),
        db.store.remove(&PROFILES, &lease, walk, &gone).await.unwrap_err(),
        db.store.remember_asked(&lease, None).await.unwrap_err(),
        db.store.renew(&lease).await.unwrap_err(),
    ];
    assert!(
        faults.iter().all(|fault| fault.kind == Kind::CommitsLost),
        "{faults:?}"
    );
    assert_eq!(
        db.one::<i64>(
            "select (select count(*) from blueconic.profiles) + (select count(*) from sync.cursors)"
        )
        .await,
        0
    );

    db.store.regain(&lease).await.unwrap();
    db.store.renew(&lease).await.unwrap();
    loader.load(batch(), None).await.unwrap();
    let run = "select status || ' ' || (id = (select run_id from sync.leases)) from sync.runs";
    assert_eq!(db.texts(run).await, ["running true"]);
    let other = another_store(&db.options, Duration::from_secs(30)).await;
    assert!(matches!(
        other.acquire(PROFILES_FULL).await.unwrap(),
        Acquired::Held(_)
    ));
    // A crash that lost nothing of the lease takes its mark, too.
    run_sql(&db, "truncate sync.lease_marks").await;
    assert_eq!(
        loader.load(batch(), None).await.unwrap_err().kind,
        Kind::CommitsLost
    );
    db.store.regain(&lease).await.unwrap();
    loader.load(batch(), None).await.unwrap();
}

/// The new server counts on from an older fence: two processes may hold the same one, and only one of them the lease.
#[tokio::test]
async fn after_a_failover_another_may_hold_the_same_fence() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    run_sql(&db, FAIL_OVER).await;
    let other = another_store(&db.options, Duration::from_secs(30)).await;
    let Acquired::Lease(theirs) = other.acquire(PROFILES_FULL).await.unwrap() else {
        panic!("held")
    };
    assert_eq!(theirs.fence, lease.fence);
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    for fault in [
        loader.load(batch, None).await.unwrap_err(),
        db.store.advance(&lease, &advance()).await.unwrap_err(),
        db.store.renew(&lease).await.unwrap_err(),
        db.store.regain(&lease).await.unwrap_err(),
    ] {
        assert_eq!(fault.kind, Kind::Fenced, "{fault:?}");
    }
    // A late end of the former run does not release the lease.
    db.store
        .close(&lease, &ledger(RunStatus::Succeeded))
        .await
        .unwrap();
    other.renew(&theirs).await.unwrap();
    assert!(matches!(
        db.store.acquire(PROFILES_FULL).await.unwrap(),
        Acquired::Held(_)
    ));

    // With an older fence than ours it is theirs as well, as long as it lasts.
    run_sql(
        &db,
        "update sync.leases set fence = fence - 1; truncate sync.lease_marks",
    )
    .await;
    assert_eq!(db.store.regain(&lease).await.unwrap_err().kind, Kind::Fenced);
    run_sql(&db, "update sync.leases set expires_at = 'epoch'").await;
    db.store.regain(&lease).await.unwrap();
    assert_eq!(other.renew(&theirs).await.unwrap_err().kind, Kind::Fenced);
}

async fn run_sql(db: &Fixture, sql: &str) {
    run(&mut db.look.acquire().await.unwrap(), sql).await;
}

#[tokio::test]
async fn a_cursor_moves_with_its_batch_and_a_watermark_never_back() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    assert_eq!(db.store.cursor(PROFILES_FULL).await.unwrap(), Cursor::default());
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    let mut moved = advance();
    moved.position = Some(position(walk));
    moved.watermark = Some(time(10));
    loader.load(batch, Some(moved.clone())).await.unwrap();
    let cursor = db.store.cursor(PROFILES_FULL).await.unwrap();
    assert_eq!(
        (cursor.position, cursor.watermark),
        (Some(position(walk)), Some(time(10)))
    );

    moved.watermark = Some(time(9));
    moved.position = None;
    db.store.advance(&lease, &moved).await.unwrap();
    let cursor = db.store.cursor(PROFILES_FULL).await.unwrap();
    assert_eq!((cursor.position, cursor.watermark), (None, Some(time(10))));
    moved.watermark = None;
    db.store.advance(&lease, &moved).await.unwrap();
    assert_eq!(
        db.store.cursor(PROFILES_FULL).await.unwrap().watermark,
        Some(time(10))
    );
    // What a full walk covers, an increment need not read again.
    let lifted = db.store.cursor(PROFILES_INCREMENT).await.unwrap();
    assert_eq!((lifted.position, lifted.watermark), (None, Some(time(10))));
}

#[tokio::test]
async fn a_closed_run_says_what_it_did() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let counts = Counts {
        read: 7,
        unexplained: Some(-2),
        missed: 3,
        source_total: Some(9),
        ..Counts::default()
    };
    db.store.progress(&lease, &counts).await.unwrap();
    assert_eq!(
        db.one::<String>("select status || ' ' || rows_read from sync.runs")
            .await,
        "running 7"
    );
    let mut moved = advance();
    moved.position = Some(position(walk));
    db.store.advance(&lease, &moved).await.unwrap();
    let counts = Counts { read: 8, ..counts };
    let closing = Ledger {
        status: RunStatus::Partial,
        counts,
        error: Some("two are missing".to_owned()),
        hint: Some("wait".to_owned()),
    };
    db.store.close(&lease, &closing).await.unwrap();
    let row: String = db
        .one(
            "select concat_ws(' ', status, rows_read, unexplained, rows_missed, source_total, error, hint,
               position_from is null, position_to ->> 'segment', finished_at >= started_at) from sync.runs",
        )
        .await;
    assert_eq!(row, "partial 8 -2 3 9 two are missing wait t allvisitors t");
    // The lease is free at once, and the fence goes on from where it was.
    assert_eq!(db.lease(PROFILES_FULL).await.fence, lease.fence + 1);
}
