//! Status, readiness, the tenant of a database, reset.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::cursor::Cursor;
use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::model::ledger::{Counts, Ledger, Status};
use blueconic_sync::model::ports::{Observer as _, Store as _};
use blueconic_sync::postgres::{reset, status};
use url::Url;

use crate::store::fixture::{
    PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, add_profile, advance, fixture, load, position, time,
};

#[tokio::test]
async fn status_tells_of_every_slot() {
    let db = fixture().await;
    db.store.ready().await.unwrap();
    let empty = db.store.status().await.unwrap();
    assert_eq!(empty["resources"].as_array().unwrap().len(), 4);
    assert!(empty["tenant"].is_null() && empty["token"].is_null());
    db.store
        .claim_tenant(&Url::parse("https://Tenant.example/").unwrap())
        .await
        .unwrap();
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    load(&mut loader, batch).await;
    let mut moved = advance();
    moved.watermark = Some(time(0));
    db.store.advance(&lease, &moved).await.unwrap();
    let ledger = Ledger {
        status: Status::Succeeded,
        counts: Counts::default(),
        error: None,
        hint: None,
    };
    db.store.close(&lease, &ledger).await.unwrap();
    let told = status::read(&db.store).await.unwrap();
    assert_eq!(told["tenant"], "https://tenant.example");
    let profiles = &told["resources"][1];
    assert_eq!(
        (profiles["resource"].as_str(), profiles["scope"].as_str()),
        (Some("profiles"), Some("full"))
    );
    assert_eq!(profiles["last_run"]["status"], "succeeded");
    assert_eq!(profiles["lease"]["held"], false);
    assert_eq!(profiles["watermark"], profiles["complete_as_of"]);
    assert!(profiles["lag_seconds"].as_f64().unwrap() > 1000.0);
    let names: Vec<&str> = told["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    let expected = [
        "audit_events",
        "profile_aliases",
        "profile_properties",
        "profile_tombstones",
        "profiles",
        "segments",
    ];
    assert_eq!(names, expected);
    assert!(told["tables"][4]["bytes"].as_i64().unwrap() > 8_000);
}

#[tokio::test]
async fn a_list_is_complete_as_of_the_start_of_its_last_full_success() {
    let db = fixture().await;
    for end in [Status::Succeeded, Status::Partial, Status::Failed] {
        let lease = db.lease(SEGMENTS).await;
        let ledger = Ledger {
            status: end,
            counts: Counts::default(),
            error: None,
            hint: None,
        };
        db.store.close(&lease, &ledger).await.unwrap();
    }
    let right: bool = db
        .one(
            "select complete_as_of = (select started_at from sync.runs where status = 'succeeded')
               and last_success_at = (select finished_at from sync.runs where status = 'succeeded')
             from blueconic.freshness where resource = 'segments'",
        )
        .await;
    assert!(right);
}

#[tokio::test]
async fn a_database_belongs_to_one_tenant() {
    let db = fixture().await;
    let url = |text: &str| Url::parse(text).unwrap();
    db.store.verify_tenant(&url("https://a.example")).await.unwrap();
    assert_eq!(db.store.tenant().await.unwrap(), None);
    db.store
        .claim_tenant(&url("https://user:secret@a.example/?token=secret"))
        .await
        .unwrap();
    assert_eq!(db.store.tenant().await.unwrap().unwrap().url, "https://a.example");
    db.store
        .claim_tenant(&url("https://A.EXAMPLE:443"))
        .await
        .unwrap();
    for other in ["https://b.example", "https://a.example:8443"] {
        let fault = Fault::from(db.store.claim_tenant(&url(other)).await.unwrap_err());
        assert_eq!(fault.kind, Kind::Settings);
        assert!(
            fault.what.contains("a.example") && fault.hint.is_some(),
            "{fault:?}"
        );
    }
    reset::tenant(&db.store).await.unwrap();
    db.store.claim_tenant(&url("https://b.example")).await.unwrap();
}

#[tokio::test]
async fn reset_forgets_positions_and_no_data_and_waits_for_runs() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", None, "x");
    load(&mut loader, batch).await;
    let mut moved = advance();
    moved.position = Some(position(walk));
    moved.watermark = Some(time(1));
    db.store.advance(&lease, &moved).await.unwrap();
    let segments = db.lease(SEGMENTS).await;
    db.store.advance(&segments, &moved).await.unwrap();
    let fault = Fault::from(reset::resource(&db.store, "profiles").await.unwrap_err());
    assert_eq!(fault.kind, Kind::Held);
    assert!(fault.what.contains(db.store.holder()), "{fault}");

    sqlx::query("update sync.leases set expires_at = 'epoch' where name = 'profiles/full'")
        .execute(&db.look)
        .await
        .unwrap();
    reset::resource(&db.store, "profiles").await.unwrap();
    for slot in [PROFILES_FULL, PROFILES_INCREMENT] {
        assert_eq!(db.store.cursor(slot).await.unwrap(), Cursor::default());
    }
    assert_eq!(db.store.seen(walk.id).await.unwrap(), (0, 0));
    assert_eq!(db.one::<i64>("select count(*) from blueconic.profiles").await, 1);
    assert!(db.store.cursor(SEGMENTS).await.unwrap().watermark.is_some());
    // The run that had lapsed cannot bring its position back.
    assert_eq!(
        db.store.advance(&lease, &moved).await.unwrap_err().kind,
        Kind::Fenced
    );
}
