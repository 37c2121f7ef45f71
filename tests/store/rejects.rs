//! Rejects: one open row for an element, closed when it loads.

use blueconic_sync::model::batch::{Batch, Reject};
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::page::RejectReason;
use blueconic_sync::model::ports::RunStore as _;
use blueconic_sync::model::status::RunStatus;

use crate::support::fixture::{PROFILES_FULL, add_profile, fixture, load};

fn reject(id: Option<&str>, content: u8) -> Reject {
    Reject {
        element_id: id.map(str::to_owned),
        reason: RejectReason::WrongShape,
        detail: format!("detail {content}"),
        raw: "{\u{fffd}}".to_owned(),
        raw_bytes: 3,
        sha256: [content; 32],
    }
}

#[tokio::test]
async fn a_repeated_reject_is_one_open_row() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let rejects = vec![
        reject(Some("b"), 1),
        reject(None, 2),
        reject(Some("a"), 3),
        reject(Some("b"), 4),
    ];
    let written = load(
        &mut loader,
        Batch {
            rejects,
            ..Batch::default()
        },
    )
    .await;
    assert_eq!(written.rejected, 4);
    let rejects = vec![reject(None, 2), reject(Some("b"), 5)];
    load(
        &mut loader,
        Batch {
            rejects,
            ..Batch::default()
        },
    )
    .await;
    let open = db
        .texts("select coalesce(element_id, '-') || ' ' || detail from sync.rejects where resolved_at is null order by 1")
        .await;
    assert_eq!(open, ["- detail 2", "a detail 3", "b detail 5"]);
    let run: uuid::Uuid = db.one("select distinct run_id from sync.rejects").await;
    assert_eq!(run, lease.run_id);
}

#[tokio::test]
async fn a_reject_closes_when_its_element_loads_or_is_the_same_again() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let seen = ["a", "b", "c"].map(str::to_owned).to_vec();
    let rejects = vec![reject(Some("a"), 1), reject(Some("b"), 2), reject(Some("c"), 3)];
    load(
        &mut loader,
        Batch {
            rejects,
            seen,
            ..Batch::default()
        },
    )
    .await;
    assert_eq!(
        db.one::<i64>("select count(*) from sync.rejects where resolved_at is null")
            .await,
        3
    );
    // a loads, b is the same as what is stored, c is rejected again.
    let mut batch = Batch {
        rejects: vec![reject(Some("c"), 3)],
        ..Batch::default()
    };
    batch.seen.extend(["b".to_owned(), "c".to_owned()]);
    add_profile(&mut batch, "a", None, "x");
    load(&mut loader, batch).await;
    assert_eq!(
        db.texts("select element_id from sync.rejects where resolved_at is null")
            .await,
        ["c"]
    );
    // And a may be rejected anew.
    load(
        &mut loader,
        Batch {
            rejects: vec![reject(Some("a"), 9)],
            ..Batch::default()
        },
    )
    .await;
    assert_eq!(
        db.one::<i64>("select count(*) from sync.rejects where element_id = 'a'")
            .await,
        2
    );
}

#[tokio::test]
async fn old_rejects_go_when_a_run_closes() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let rejects = vec![reject(Some("old"), 1), reject(Some("new"), 2)];
    load(
        &mut loader,
        Batch {
            rejects,
            ..Batch::default()
        },
    )
    .await;
    sqlx::query(
        "update sync.rejects set noticed_at = noticed_at - interval '31 days' where element_id = 'old'",
    )
    .execute(&db.look)
    .await
    .unwrap();
    let ledger = Ledger {
        status: RunStatus::Partial,
        counts: Counts::default(),
        error: None,
        hint: None,
    };
    db.store.close(&lease, &ledger).await.unwrap();
    assert_eq!(db.texts("select element_id from sync.rejects").await, ["new"]);
}
