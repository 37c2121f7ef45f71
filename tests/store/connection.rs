//! No database, or a wrong one: one error that names the address and what to do, and never a password.

use std::time::Duration;

use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::postgres::pool::{self, Limits};
use blueconic_sync::postgres::store::PostgresStore;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;

use crate::support::fixture::{database, fixture};

pub(super) const LIMITS: Limits = Limits {
    max_connections: 4,
    load_connections: 2,
    lease_ttl: Duration::from_secs(30),
    retention: Duration::from_hours(30 * 24),
    changes_kept: Some(Duration::from_hours(7 * 24)),
    rejects_kept: Duration::from_hours(30 * 24),
};

async fn fault(options: PgConnectOptions) -> Fault {
    Fault::from(PostgresStore::connect(options, LIMITS, vec![]).await.unwrap_err())
}

#[tokio::test]
async fn an_unreachable_database_is_named_without_its_password() {
    let url = SecretString::from("postgres://ann:hunter2@127.0.0.1:1/shop");
    let fault = fault(pool::parse(&url).unwrap()).await;
    assert_eq!(fault.kind, Kind::Transient);
    let reported = format!("{fault:?}");
    for part in ["127.0.0.1:1", "shop", "ann", "refused", "start PostgreSQL"] {
        assert!(reported.contains(part), "{part} in {reported}");
    }
    assert!(!reported.contains("hunter2"));
    let bad = pool::parse(&SecretString::from("postgres://ann:hunter2@[bad/shop")).unwrap_err();
    let reported = format!(
        "{:?} {bad:?}",
        Fault::from(pool::parse(&SecretString::from("nonsense hunter2")).unwrap_err())
    );
    assert!(!reported.contains("hunter2"), "{reported}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let options = database().await.database("nowhere").password("hunter2");
    let fault = fault(options).await;
    let reported = format!("{fault:?}");
    for part in ["nowhere", "socket", "createdb"] {
        assert!(reported.contains(part), "{part} in {reported}");
    }
    assert!(!reported.contains("hunter2"));
}

#[tokio::test]
async fn a_direct_connection_keeps_its_session() {
    assert!(!pool::loses_sessions(&database().await).await.unwrap());
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_transient() {
    use blueconic_sync::model::ports::Loader as _;
    let db = fixture().await;
    let (lease, walk) = db.walk(crate::support::fixture::PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&db.look)
    .await
    .unwrap();
    let mut batch = blueconic_sync::model::batch::Batch::default();
    crate::support::fixture::add_profile(&mut batch, "p", None, "x");
    let fault = loader.load(batch, None).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Transient, "{fault:?}");
    // A new loader has a new connection.
    drop(loader);
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = blueconic_sync::model::batch::Batch::default();
    crate::support::fixture::add_profile(&mut batch, "p", None, "x");
    assert_eq!(
        crate::support::fixture::load(&mut loader, batch).await.inserted,
        1
    );
}
