//! Audit events: rows never change, and their months' partitions are there when they come.

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _};

use crate::support::fixture::{AUDIT, AUDIT_EVENTS, Fixture, fixture, load};

fn add_event(batch: &mut Batch, at: &str, key: u8, occurrence: i32, user: &str) {
    let at: Time = at.parse().unwrap();
    let order = [
        [key].as_slice(),
        &occurrence.to_be_bytes(),
        &at.timestamp_micros().to_be_bytes(),
    ]
    .concat();
    batch
        .rows
        .row(&order, None, 9)
        .timestamp(Some(at))
        .bytea(&[key; 32])
        .int(Some(occurrence))
        .text(user)
        .null()
        .text("SEGMENT")
        .text("UPDATE")
        .null()
        .jsonb(b"[]");
}

#[tokio::test]
async fn events_are_inserted_once_and_never_changed() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    let mut loader = db.store.loader(&AUDIT_EVENTS, &lease, None).await.unwrap();
    let mut batch = Batch::default();
    // The vendor's own example spans two years; both ends of a month, in UTC.
    for at in [
        "2019-12-31T23:59:59.999Z",
        "2020-01-01T00:00:00Z",
        "2021-02-28T12:00:00Z",
    ] {
        add_event(&mut batch, at, 1, 0, "first");
    }
    add_event(&mut batch, "2021-02-28T12:00:00Z", 1, 1, "first");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.inserted, written.unchanged), (4, 0));
    let mut batch = Batch::default();
    add_event(&mut batch, "2021-02-28T12:00:00Z", 1, 1, "second");
    add_event(&mut batch, "2021-02-28T12:00:00Z", 1, 2, "second");
    let written = load(&mut loader, batch).await;
    assert_eq!((written.inserted, written.updated, written.unchanged), (1, 0, 1));
    let users = db
        .texts("select user_name from blueconic.audit_events order by occurrence, occurred_at")
        .await;
    assert_eq!(users, ["first", "first", "first", "first", "second"]);
    let homes = db
        .texts("select distinct tableoid::regclass::text from blueconic.audit_events order by 1")
        .await;
    assert_eq!(
        homes,
        [
            "blueconic.audit_events_y2019m12",
            "blueconic.audit_events_y2020m01",
            "blueconic.audit_events_y2021m02"
        ]
    );
}

async fn partitions(db: &Fixture) -> i64 {
    db.one("select count(*) from pg_inherits where inhparent = 'blueconic.audit_events'::regclass")
        .await
}

#[tokio::test]
async fn partitions_are_made_ahead() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    for _ in 0..2 {
        db.store.loader(&AUDIT_EVENTS, &lease, None).await.unwrap();
        assert_eq!(partitions(&db).await, 3);
    }
    let ahead: String = db
        .one("select to_char((sync.clock() at time zone 'UTC') + interval '2 months', '\"audit_events_y\"YYYY\"m\"MM')")
        .await;
    assert_eq!(
        db.one::<i64>(&format!(
            "select count(*) from pg_class where relname = '{ahead}'"
        ))
        .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_need_the_same_months_at_once_both_get_them() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    let mut loaders = Vec::new();
    for _ in 0..4 {
        loaders.push(db.store.loader(&AUDIT_EVENTS, &lease, None).await.unwrap());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (lane, mut loader) in loaders.into_iter().enumerate() {
        tasks.spawn(async move {
            let mut batch = Batch::default();
            for month in 1..=12 {
                let key = u8::try_from(lane).unwrap();
                add_event(&mut batch, &format!("2015-{month:02}-01T00:00:00Z"), key, 0, "u");
            }
            loader.load(batch, None).await.unwrap().inserted
        });
    }
    assert_eq!(tasks.join_all().await, [12; 4]);
    assert_eq!(partitions(&db).await, 15);
}
