//! One request for a token at a time, over all processes.

use std::time::Duration;

use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::ports::TokenStore as _;
use blueconic_sync::model::tokens::{ClaimOutcome, RefreshOutcome, Sealed, TokenName};
use blueconic_sync::postgres::store::PostgresStore;

use crate::support::fixture::{another_store, fixture};

const HOLD: Duration = Duration::from_secs(20);

fn name() -> TokenName {
    TokenName {
        tenant: "tenant.example:443".to_owned(),
        client_id: "client".to_owned(),
        grant_type: "client_credentials".to_owned(),
    }
}

async fn claim(store: &PostgresStore, seen: i64, hold: Duration) -> ClaimOutcome {
    store.claim(&name(), seen, hold).await.unwrap()
}

/// The fence of a claim that must be ours, after one that was settled or not.
#[track_caller]
fn fence(claim: &ClaimOutcome, after_an_unfinished_one: bool) -> i64 {
    let ClaimOutcome::Claimed {
        fence,
        previous_unfinished,
    } = claim
    else {
        panic!("not ours: {claim:?}")
    };
    assert_eq!(*previous_unfinished, after_an_unfinished_one);
    *fence
}

fn sealed(bytes: &[u8]) -> Sealed {
    ("key".to_owned(), bytes.to_vec())
}

fn token(bytes: &[u8]) -> RefreshOutcome {
    RefreshOutcome::Token {
        life: Duration::from_hours(1),
        sealed: Some(sealed(bytes)),
    }
}

fn failed(reauth: bool, sealed: Option<Sealed>) -> RefreshOutcome {
    RefreshOutcome::Failed {
        error: "invalid_grant".to_owned(),
        reauth,
        sealed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_claimers_one_asks() {
    let db = fixture().await;
    assert_eq!(db.store.read(&name()).await.unwrap(), None);
    for seen in 0..5 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let store = another_store(&db.options, HOLD).await;
            tasks.spawn(async move {
                match claim(&store, seen, HOLD).await {
                    ClaimOutcome::Claimed { fence, .. } => {
                        let row = store
                            .finish_refresh(&name(), fence, token(b"sealed"))
                            .await
                            .unwrap();
                        assert_eq!((row.version, row.status.as_str()), (seen + 1, "valid"));
                        1
                    }
                    ClaimOutcome::Superseded | ClaimOutcome::Busy { .. } => 0,
                }
            });
        }
        assert_eq!(tasks.join_all().await.iter().sum::<i32>(), 1);
    }
    let row = db.store.read(&name()).await.unwrap().unwrap();
    assert_eq!(
        (row.version, row.ciphertext.as_deref()),
        (5, Some(&b"sealed"[..]))
    );
    let life = row.expires_at.unwrap() - row.issued_at.unwrap();
    assert!((life.num_milliseconds() - 3_600_000).abs() < 10, "{life}");
}

#[tokio::test]
async fn a_lapsed_claim_is_taken_over_and_its_late_token_refused() {
    let db = fixture().await;
    let slow = &db.store;
    let fast = another_store(&db.options, HOLD).await;
    let first = fence(&claim(slow, 0, Duration::from_secs(1)).await, false);
    let ClaimOutcome::Busy { until } = claim(&fast, 0, HOLD).await else {
        panic!("two claims")
    };
    assert!(until > chrono::Utc::now() - chrono::TimeDelta::seconds(5));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // Nobody has taken it: its holder may go on.
    slow.extend(&name(), first, Duration::from_secs(1)).await.unwrap();
    assert!(matches!(claim(&fast, 0, HOLD).await, ClaimOutcome::Busy { .. }));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let second = fence(&claim(&fast, 0, HOLD).await, true);
    assert!(second > first);
    let late = async || {
        slow.finish_refresh(&name(), first, token(b"late"))
            .await
            .unwrap_err()
            .kind
    };
    let held = async || slow.extend(&name(), first, HOLD).await.unwrap_err().kind;
    assert_eq!((late().await, held().await), (Kind::Fenced, Kind::Fenced));
    fast.finish_refresh(&name(), second, token(b"fast"))
        .await
        .unwrap();
    assert_eq!((late().await, held().await), (Kind::Fenced, Kind::Fenced));
    assert_eq!(slow.remove(&name(), first).await.unwrap_err().kind, Kind::Fenced);
    assert!(matches!(claim(slow, 0, HOLD).await, ClaimOutcome::Superseded));
    assert_eq!(
        slow.read(&name()).await.unwrap().unwrap().ciphertext.unwrap(),
        b"fast"
    );
    // What was settled is settled: the next claim follows on nobody's death.
    fence(&claim(slow, 1, HOLD).await, false);
}

#[tokio::test]
async fn a_failure_keeps_the_token_that_is_there() {
    let db = fixture().await;
    let first = fence(&claim(&db.store, 0, HOLD).await, false);
    db.store
        .finish_refresh(&name(), first, token(b"one"))
        .await
        .unwrap();
    let second = fence(&claim(&db.store, 1, HOLD).await, false);
    let row = db
        .store
        .finish_refresh(&name(), second, failed(false, None))
        .await
        .unwrap();
    assert_eq!(
        (row.version, row.status.as_str(), row.ciphertext.as_deref()),
        (1, "failed", Some(&b"one"[..]))
    );
    assert!(row.expires_at.unwrap() > row.now);
    assert_eq!(row.last_error.as_deref(), Some("invalid_grant"));

    // Let go of at once, so that the next may try.
    let third = fence(&claim(&db.store, 1, HOLD).await, false);
    let keyless = RefreshOutcome::Token {
        life: Duration::from_mins(1),
        sealed: None,
    };
    let row = db.store.finish_refresh(&name(), third, keyless).await.unwrap();
    assert_eq!((row.version, row.ciphertext, row.key_id), (2, None, None));
}

#[tokio::test]
async fn the_end_of_an_authorization_is_a_version_of_its_own() {
    let db = fixture().await;
    let row = db.store.grant(&name(), HOLD, sealed(b"one")).await.unwrap();
    assert_eq!((row.version, row.status.as_str()), (1, "valid"));
    let ended = fence(&claim(&db.store, 1, HOLD).await, false);
    let row = db
        .store
        .finish_refresh(&name(), ended, failed(true, None))
        .await
        .unwrap();
    assert_eq!((row.version, row.status.as_str()), (2, "reauth_required"));
    // Whoever saw the row before that does not ask again.
    assert!(matches!(
        claim(&db.store, 1, HOLD).await,
        ClaimOutcome::Superseded
    ));
    // A person who signs in ends every claim.
    let stale = fence(&claim(&db.store, 2, HOLD).await, false);
    let row = db.store.grant(&name(), HOLD, sealed(b"two")).await.unwrap();
    assert_eq!(
        (row.version, row.status.as_str(), row.last_error),
        (3, "valid", None)
    );
    let late = db.store.finish_refresh(&name(), stale, token(b"late")).await;
    assert_eq!(late.unwrap_err().kind, Kind::Fenced);
    assert_eq!(row.ciphertext.as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
async fn what_came_with_a_failure_takes_the_place_of_what_was_there() {
    let db = fixture().await;
    db.store.grant(&name(), HOLD, sealed(b"one")).await.unwrap();
    let rotated = fence(&claim(&db.store, 1, HOLD).await, false);
    let with = failed(false, Some(sealed(b"rotated")));
    let row = db.store.finish_refresh(&name(), rotated, with).await.unwrap();
    assert_eq!(
        (row.version, row.status.as_str(), row.ciphertext.as_deref()),
        (2, "failed", Some(&b"rotated"[..]))
    );
    assert!(row.expires_at.unwrap() <= row.now);
}

#[tokio::test]
async fn a_removed_row_is_not_made_again_by_who_saw_it() {
    let db = fixture().await;
    db.store.grant(&name(), HOLD, sealed(b"one")).await.unwrap();
    let names = db.store.of_client("tenant.example:443", "client").await.unwrap();
    assert_eq!(names, [name()]);
    assert!(
        db.store
            .of_client("tenant.example:443", "other")
            .await
            .unwrap()
            .is_empty()
    );
    let own = fence(&claim(&db.store, 1, HOLD).await, false);
    db.store.remove(&name(), own).await.unwrap();
    assert!(matches!(
        claim(&db.store, 1, HOLD).await,
        ClaimOutcome::Superseded
    ));
    assert_eq!(db.store.read(&name()).await.unwrap(), None);
}

#[tokio::test]
async fn a_dropped_version_is_dead_and_a_newer_one_is_not() {
    let db = fixture().await;
    let first = fence(&claim(&db.store, 0, HOLD).await, false);
    db.store
        .finish_refresh(&name(), first, token(b"one"))
        .await
        .unwrap();
    db.store.drop_version(&name(), 1).await.unwrap();
    let row = db.store.read(&name()).await.unwrap().unwrap();
    assert!(row.expires_at.unwrap() <= row.now);
    let second = fence(&claim(&db.store, 1, HOLD).await, false);
    db.store
        .finish_refresh(&name(), second, token(b"two"))
        .await
        .unwrap();
    db.store.drop_version(&name(), 1).await.unwrap();
    let row = db.store.read(&name()).await.unwrap().unwrap();
    assert!(row.expires_at.unwrap() > row.now);
    assert_eq!(row.status.as_str(), "valid");
}
