//! One request for a token at a time, over all processes.

use std::time::Duration;

use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::ports::{Claim, Settled, TokenName, TokenStore as _};
use blueconic_sync::postgres::store::PostgresStore;

use crate::store::fixture::{another_store, fixture};

const HOLD: Duration = Duration::from_secs(20);

fn name() -> TokenName {
    TokenName {
        tenant: "tenant.example:443".to_owned(),
        client_id: "client".to_owned(),
        grant_type: "client_credentials".to_owned(),
    }
}

async fn claim(store: &PostgresStore, seen: i64, hold: Duration) -> Claim {
    store.claim(&name(), seen, hold).await.unwrap()
}

fn token(sealed: &[u8]) -> Settled {
    Settled::Token {
        life: Duration::from_hours(1),
        sealed: Some(("key".to_owned(), sealed.to_vec())),
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
                    Claim::Yours { version } => {
                        let row = store.settle(&name(), version, token(b"sealed")).await.unwrap();
                        assert_eq!((row.version, row.status.as_str()), (seen + 1, "valid"));
                        1
                    }
                    Claim::Newer | Claim::Busy { .. } => 0,
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
    let Claim::Yours { version } = claim(slow, 0, Duration::from_millis(100)).await else {
        panic!("not ours")
    };
    assert_eq!(version, 1);
    let Claim::Busy { until } = claim(&fast, 0, HOLD).await else {
        panic!("two claims")
    };
    assert!(until > chrono::Utc::now() - chrono::TimeDelta::seconds(5));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(matches!(claim(&fast, 0, HOLD).await, Claim::Yours { version: 1 }));
    assert_eq!(
        slow.settle(&name(), 1, token(b"late")).await.unwrap_err().kind,
        Kind::Fenced
    );
    fast.settle(&name(), 1, token(b"fast")).await.unwrap();
    assert_eq!(
        slow.settle(&name(), 1, token(b"late")).await.unwrap_err().kind,
        Kind::Fenced
    );
    assert!(matches!(claim(slow, 0, HOLD).await, Claim::Newer));
    assert_eq!(
        slow.read(&name()).await.unwrap().unwrap().ciphertext.unwrap(),
        b"fast"
    );
}

#[tokio::test]
async fn a_failure_keeps_the_token_that_is_there() {
    let db = fixture().await;
    claim(&db.store, 0, HOLD).await;
    db.store.settle(&name(), 1, token(b"one")).await.unwrap();
    assert!(matches!(
        claim(&db.store, 1, HOLD).await,
        Claim::Yours { version: 2 }
    ));
    let failed = Settled::Failed {
        error: "invalid_grant".to_owned(),
        reauth: true,
    };
    let row = db.store.settle(&name(), 2, failed).await.unwrap();
    assert_eq!(
        (row.version, row.status.as_str(), row.ciphertext.as_deref()),
        (1, "reauth_required", Some(&b"one"[..]))
    );
    assert!(row.expires_at.unwrap() > row.now);
    assert_eq!(
        db.one::<String>("select last_error from sync.tokens").await,
        "invalid_grant"
    );

    // Let go of at once, so that the next may try.
    assert!(matches!(
        claim(&db.store, 1, HOLD).await,
        Claim::Yours { version: 2 }
    ));
    let keyless = Settled::Token {
        life: Duration::from_mins(1),
        sealed: None,
    };
    let row = db.store.settle(&name(), 2, keyless).await.unwrap();
    assert_eq!((row.version, row.ciphertext, row.key_id), (2, None, None));
}

#[tokio::test]
async fn a_dropped_version_is_dead_and_a_newer_one_is_not() {
    let db = fixture().await;
    claim(&db.store, 0, HOLD).await;
    db.store.settle(&name(), 1, token(b"one")).await.unwrap();
    db.store.drop_version(&name(), 1).await.unwrap();
    let row = db.store.read(&name()).await.unwrap().unwrap();
    assert!(row.expires_at.unwrap() <= row.now);
    claim(&db.store, 1, HOLD).await;
    db.store.settle(&name(), 2, token(b"two")).await.unwrap();
    db.store.drop_version(&name(), 1).await.unwrap();
    let row = db.store.read(&name()).await.unwrap().unwrap();
    assert!(row.expires_at.unwrap() > row.now);
    assert_eq!(row.status, "valid");
}
