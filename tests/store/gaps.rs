//! Gaps: recorded once, shrinking by what is covered, closed when nothing is left.

use blueconic_sync::model::batch::{GapReason, TimeRange};
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::RunStore as _;

use crate::support::fixture::{AUDIT, Fixture, advance, fixture, time};

fn span(from: i64, to: i64) -> TimeRange {
    TimeRange {
        from: time(from),
        to: time(to),
    }
}

async fn record(db: &Fixture, lease: &Lease, spans: &[(i64, i64)], reason: GapReason) {
    let mut moved = advance();
    moved.gaps = spans
        .iter()
        .map(|(from, to)| (span(*from, *to), reason))
        .collect();
    db.store.advance(lease, &moved).await.unwrap();
}

async fn cover(db: &Fixture, lease: &Lease, spans: &[(i64, i64)]) {
    let mut moved = advance();
    moved.covered = spans.iter().map(|(from, to)| span(*from, *to)).collect();
    db.store.advance(lease, &moved).await.unwrap();
}

async fn open(db: &Fixture) -> Vec<(i64, i64)> {
    let zero = time(0);
    let gaps = db.store.open_gaps("audit_events").await.unwrap();
    gaps.iter()
        .map(|gap| ((gap.from - zero).num_seconds(), (gap.to - zero).num_seconds()))
        .collect()
}

#[tokio::test]
async fn what_is_recorded_is_not_doubled() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    record(&db, &lease, &[(10, 20)], GapReason::Retention).await;
    record(&db, &lease, &[(10, 20), (12, 15)], GapReason::Retention).await;
    assert_eq!(open(&db).await, [(10, 20)]);
    record(&db, &lease, &[(5, 30)], GapReason::Unreachable).await;
    assert_eq!(open(&db).await, [(5, 10), (10, 20), (20, 30)]);
    let reasons = db.texts("select reason from sync.gaps order by from_at").await;
    assert_eq!(reasons, ["unreachable", "retention", "unreachable"]);
    record(&db, &lease, &[(7, 7), (9, 8)], GapReason::Saturated).await;
    assert_eq!(open(&db).await.len(), 3);
    assert_eq!(
        db.one::<i64>("select open_gaps from blueconic.freshness where resource = 'audit_events'")
            .await,
        3
    );
}

#[tokio::test]
async fn a_gap_covered_in_the_middle_splits() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    record(&db, &lease, &[(0, 100)], GapReason::Interrupted).await;
    cover(&db, &lease, &[(40, 60)]).await;
    assert_eq!(open(&db).await, [(0, 40), (60, 100)]);
    let pieces: i64 = db
        .one("select count(distinct (run_id, noticed_at, reason)) from sync.gaps")
        .await;
    assert_eq!(pieces, 1, "pieces keep run, time and reason");
    cover(&db, &lease, &[(30, 70), (90, 95)]).await;
    assert_eq!(open(&db).await, [(0, 30), (70, 90), (95, 100)]);
    // What analysts see.
    let seen = db
        .texts(
            "select concat_ws(' ', resource, reason, extract(epoch from to_at - from_at)::int, noticed_at <= now())
             from blueconic.gaps order by from_at",
        )
        .await;
    assert_eq!(
        seen,
        [30, 20, 5].map(|seconds| format!("audit_events interrupted {seconds} t"))
    );
    cover(&db, &lease, &[(100, 200)]).await;
    assert_eq!(open(&db).await.len(), 3, "bounds are exclusive and inclusive");
    cover(&db, &lease, &[(0, 100)]).await;
    assert_eq!(open(&db).await, []);
    assert_eq!(db.one::<i64>("select count(*) from blueconic.gaps").await, 0);
    assert_eq!(
        db.one::<i64>("select count(*) from sync.gaps where closed_at is not null")
            .await,
        3
    );
    // A closed stretch can open again.
    record(&db, &lease, &[(0, 30)], GapReason::Retention).await;
    assert_eq!(open(&db).await, [(0, 30)]);
}

/// Analysts and operators are to tell a gap that may still close from one that stays.
#[tokio::test]
async fn gaps_that_no_scan_can_close_are_counted_apart() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    let now = db.store.now().await.unwrap();
    let days_ago = |days| now - chrono::TimeDelta::days(days);
    for (days, reason) in [
        (2, GapReason::Saturated),
        (10, GapReason::Retention),
        (20, GapReason::Unreachable),
        (40, GapReason::Unreachable),
        (5, GapReason::Interrupted),
    ] {
        let mut moved = advance();
        let gap = TimeRange {
            from: days_ago(days + 1),
            to: days_ago(days),
        };
        moved.gaps = vec![(gap, reason)];
        db.store.advance(&lease, &moved).await.unwrap();
    }
    let reported = blueconic_sync::postgres::status::read(&db.store).await.unwrap();
    let events = reported
        .resources
        .iter()
        .find(|slot| slot.resource == "audit_events");
    let events = events.unwrap();
    assert_eq!((events.open_gaps, events.lasting_gaps), (5, 3));
}

#[tokio::test]
async fn what_is_covered_and_recorded_at_once_stays_recorded() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    let mut moved = advance();
    moved.covered = vec![span(0, 100)];
    moved.gaps = vec![(span(50, 51), GapReason::Saturated)];
    db.store.advance(&lease, &moved).await.unwrap();
    db.store.advance(&lease, &moved).await.unwrap();
    assert_eq!(open(&db).await, [(50, 51)]);
}
