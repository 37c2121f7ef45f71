//! Status, readiness, the tenant of a database, reset.

use std::time::Duration;

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::cursor::Cursor;
use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::ports::{Observer as _, RunStore as _};
use blueconic_sync::model::position::Scope;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::postgres::{reset, status};
use url::Url;

use crate::support::fixture::{
    PROFILES_FULL, PROFILES_INCREMENT, SEGMENTS, add_profile, advance, fixture, load, position,
    store_with_retention, time,
};
use crate::support::registry::tables;

#[tokio::test]
async fn status_tells_of_every_slot() {
    let db = fixture().await;
    db.store.ready().await.unwrap();
    let empty = db.store.status().await.unwrap();
    assert_eq!(empty.resources.len(), 4);
    assert_eq!((empty.tenant, empty.token), (None, None));
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
        status: RunStatus::Succeeded,
        counts: Counts::default(),
        error: None,
        hint: None,
    };
    db.store.close(&lease, &ledger).await.unwrap();
    let reported = status::read(&db.store).await.unwrap();
    assert_eq!(reported.tenant.as_deref(), Some("https://tenant.example"));
    let profiles = &reported.resources[1];
    assert_eq!(
        (profiles.resource.as_str(), profiles.scope),
        ("profiles", Scope::Full)
    );
    assert_eq!(profiles.last_run.as_ref().unwrap().status, RunStatus::Succeeded);
    assert_eq!(profiles.holder(), None);
    assert!(profiles.watermark.is_some());
    assert_eq!(profiles.watermark, profiles.complete_as_of);
    assert!(profiles.lag_seconds.unwrap() > 1000.0);
    let names: Vec<&str> = reported.tables.iter().map(|table| table.name.as_str()).collect();
    let beside_profiles = vec![
        "daily_profile_counts",
        "daily_property_fill",
        "daily_segment_sizes",
        "profile_columns_1",
        "profile_identifiers",
    ];
    let mut expected = [tables(), beside_profiles].concat();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let profiles = reported
        .tables
        .iter()
        .find(|table| table.name == "profiles")
        .unwrap();
    assert!(profiles.bytes > 8_000);
    // Nobody has analyzed the table yet.
    assert_eq!(profiles.rows_estimated, Some(1));
}

/// Rows that the planner was never told of are counted where that is cheap, and not invented where it is not.
#[tokio::test]
async fn rows_of_tables_that_were_never_analyzed_are_counted_or_not_known() {
    let db = fixture().await;
    let rows = async || -> Vec<Option<i64>> {
        let status = status::read(&db.store).await.unwrap();
        ["segments", "profile_aliases", "audit_events"]
            .map(|name| {
                let table = status.tables.iter().find(|table| table.name == name);
                table.unwrap().rows_estimated
            })
            .to_vec()
    };
    let run = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&db.look).await.unwrap();
    };
    assert_eq!(rows().await, [Some(0); 3]);
    run("alter table blueconic.segments set (autovacuum_enabled = off);
         alter table blueconic.profile_aliases set (autovacuum_enabled = off);
         insert into blueconic.segments (id, name, synced_at)
         select n::text, repeat('x', 100), now() from generate_series(1, 500) as n")
    .await;
    assert_eq!(rows().await, [Some(500), Some(0), Some(0)]);
    // Larger than what is counted: not known until it is analyzed.
    run("insert into blueconic.segments (id, name, synced_at)
         select n::text, repeat('x', 1000), now() from generate_series(501, 10500) as n")
    .await;
    assert_eq!(rows().await[0], None);
    run("analyze blueconic.segments").await;
    assert_eq!(rows().await[0], Some(10_500));
}

/// An open gap lasts as soon as the tenant's retention has passed it, whatever that is set to.
#[tokio::test]
async fn gaps_last_from_the_retention_on() {
    let db = fixture().await;
    sqlx::raw_sql(
        "insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at)
         select 'audit_events', now() - make_interval(days => days + 1), now() - make_interval(days => days),
           'unreachable', gen_random_uuid(), now()
         from unnest(array[2, 20, 40]) as days",
    )
    .execute(&db.look)
    .await
    .unwrap();
    for (days, lasting) in [(30, 1), (7, 2), (60, 0), (1, 3)] {
        let store = store_with_retention(&db.options, Duration::from_hours(days * 24)).await;
        let status = status::read(&store).await.unwrap();
        let events = &status.resources[3];
        assert_eq!(
            (events.open_gaps, events.lasting_gaps),
            (3, lasting),
            "{days} days"
        );
    }
}

#[tokio::test]
async fn a_list_is_complete_as_of_the_start_of_its_last_full_success() {
    let db = fixture().await;
    for end in [RunStatus::Succeeded, RunStatus::Partial, RunStatus::Failed] {
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
    assert_eq!(db.seen(walk).await, (0, 0));
    assert_eq!(db.one::<i64>("select count(*) from blueconic.profiles").await, 1);
    assert!(db.store.cursor(SEGMENTS).await.unwrap().watermark.is_some());
    // The run that had lapsed cannot bring its position back.
    assert_eq!(
        db.store.advance(&lease, &moved).await.unwrap_err().kind,
        Kind::Fenced
    );
}
